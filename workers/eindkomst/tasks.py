"""The register itself: how its client, the look-up of names and its rules make one fetch, and the tasks that run it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial

from config.windows import DENMARK
from workers.domain.cpr import Cpr
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.employers import Employers
from workers.eindkomst.normalise import employer_numbers, normalise
from workers.register import Fetched, Register, make_tasks
from workers.resilience.reading import apart
from workers.runtime import Services

FRESH_WITHOUT_NAMES = timedelta(minutes=15)
"""So that a name that could not be looked up comes soon."""

REPORT_CHARACTERS = 200
"""What there is to one report, for how long it takes to make a part of a page of it."""


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks eIndkomst about one citizen, and CVR for the employers' names. Raises UpstreamError for eIndkomst alone."""
    settings = services.settings
    client = EindkomstClient(
        services.upstream("eindkomst"), settings.eindkomst, _today, services.certificates("eindkomst")
    )
    reports = await client.fetch(cpr)
    employers = Employers(services.upstream("cvr"), settings.cvr, services.cache, services.sealer)
    extent = REPORT_CHARACTERS * len(reports.read)
    names = await employers.names(await apart(partial(employer_numbers, reports), extent))
    normalised = await apart(partial(normalise, reports, names.by_number), extent)
    return Fetched(
        replace(normalised, left_out=normalised.left_out + names.left_out),
        fresh_for=None if names.complete else FRESH_WITHOUT_NAMES,
    )


def _today() -> date:
    return datetime.now(DENMARK).date()


REGISTER = Register("eindkomst", fetch)
make_tasks(REGISTER)
