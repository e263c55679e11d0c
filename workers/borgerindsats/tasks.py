"""Tasks of Borgerindsats: `borgerindsats.refresh` fetches one citizen's data, normalises and stores them."""

from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.dfdg_protocol import extent
from workers.borgerindsats import client
from workers.borgerindsats.normalise import normalise
from workers.process.register_tasks import make_background_tasks, run_refresh


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Fetches and normalises one citizen's data. Raises UpstreamError."""
    joblog_path = services.settings.borgerindsats.joblog_path
    answers = await client.fetch(services.upstream("borgerindsats"), cpr, joblog_path)
    return Fetched(await apart(partial(normalise, *answers), extent(answers)))


REGISTER = Register("borgerindsats", fetch)


@shared_task(name="borgerindsats.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from Borgerindsats; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


make_background_tasks(REGISTER)
