"""Tasks of JobSearch: `jobsearch.refresh` fetches one citizen's data, normalises and stores them."""

from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.dfdg_protocol import extent
from workers.jobsearch import client, job_titles
from workers.jobsearch.normalise import normalise
from workers.process.register_tasks import make_background_tasks, run_refresh


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Fetches and normalises one citizen's data. Raises UpstreamError."""
    settings = services.settings.jobsearch
    answers = await client.fetch(services.upstream("jobsearch"), cpr, settings.history_path)
    return Fetched(await apart(partial(normalise, *answers, job_titles.current(settings)), extent(answers)))


REGISTER = Register("jobsearch", fetch)


@shared_task(name="jobsearch.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from JobSearch; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


make_background_tasks(REGISTER)
