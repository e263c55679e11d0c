"""Tasks of eIndkomst: `eindkomst.refresh` fetches one citizen's data, normalises and stores them."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from domain.service_windows import danish_today
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.upstreams.answer_parsing import apart
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.employers import Employers
from workers.eindkomst.normalise import employer_numbers, employers_of, normalise
from workers.process.register_tasks import make_background_tasks, run_refresh

FRESH_WITHOUT_NAMES = timedelta(minutes=15)
"""So that a name that could not be looked up comes soon."""

REPORT_CHARACTERS = 200
"""Extent of one report, by the time it takes to normalise."""


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks eIndkomst about one citizen, and CVR for the employers' names. Raises UpstreamError for eIndkomst alone."""
    settings = services.settings
    client = EindkomstClient(
        services.upstream("eindkomst"), settings.eindkomst, danish_today, services.certificates("eindkomst")
    )
    reports, rules = await client.fetch(cpr), services.rules.now()
    employers = Employers(services.upstream("cvr"), settings.cvr, services.cache, services.sealer)
    extent = REPORT_CHARACTERS * len(reports.read)
    employed = await apart(partial(employers_of, reports, rules), extent)
    names = await employers.names(employer_numbers(employed))
    normalised = await apart(partial(normalise, reports, names.by_number, employed, rules), extent)
    return Fetched(
        replace(normalised, left_out=normalised.left_out + names.left_out),
        fresh_for=None if names.complete else FRESH_WITHOUT_NAMES,
    )


REGISTER = Register("eindkomst", fetch)


@shared_task(name="eindkomst.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from eIndkomst; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


make_background_tasks(REGISTER)
