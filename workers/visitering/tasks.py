"""Tasks of VisiteringOgStatus: `visitering.refresh` fetches one citizen's data, normalises and stores them."""

import time
from datetime import timedelta
from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from domain.overview import ContactGroupPeriod
from domain.service_windows import danish_today
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.storage.ledger.contact_groups import Look
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.dfdg_protocol import extent
from registerbro.upstreams.item_reading import left_out
from workers.process.register_tasks import make_background_tasks, run_refresh
from workers.visitering import client, history
from workers.visitering.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Fetches and normalises one citizen's data, with the past of the contact groups. Raises UpstreamError."""
    asked_at, today = time.monotonic(), danish_today()
    absences_path = services.settings.visitering.absences_path
    answers = status, _ = await client.fetch(services.upstream("visitering"), cpr, absences_path)
    found = await apart(partial(normalise, *answers, today, services.rules.now()), extent(answers))
    look = Look(
        groups=[one for one in found.sections["contact_groups"] if isinstance(one, ContactGroupPeriod)],
        day=today,
        age=timedelta(seconds=time.monotonic() - asked_at),
        is_whole=status is None or not left_out(status.kontaktgrupper),
    )
    return await history.with_past(services, cpr, found, look)


REGISTER = Register("visitering", fetch)


@shared_task(name="visitering.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from VisiteringOgStatus; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


make_background_tasks(REGISTER)
