"""Tasks of the Ydelsesregister: `ydelse.refresh` fetches one citizen's data, normalises and stores them."""

from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from domain.service_windows import danish_today
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.dfdg_protocol import extent
from workers.process.register_tasks import make_background_tasks, run_refresh
from workers.ydelse import client
from workers.ydelse.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Fetches and normalises one citizen's data. Raises UpstreamError."""
    answer = await client.fetch(services.upstream("ydelse"), cpr)
    return Fetched(await apart(partial(normalise, answer, danish_today(), services.rules.now()), extent(answer)))


REGISTER = Register("ydelse", fetch)


@shared_task(name="ydelse.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from the Ydelsesregister; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


make_background_tasks(REGISTER)
