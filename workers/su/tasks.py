"""The register itself: how its client and its rules make one fetch, and the tasks that run it."""

from functools import partial

from workers.domain.cpr import Cpr
from workers.gateway import extent
from workers.register import Fetched, Register, make_tasks
from workers.resilience.reading import apart
from workers.runtime import Services
from workers.su.client import SuClient
from workers.su.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks the register about one citizen. Raises UpstreamError."""
    answer = await SuClient(services.upstream("su")).fetch(cpr)
    return Fetched(await apart(partial(normalise, answer, cpr.birth_date), extent(answer)))


REGISTER = Register("su", fetch)
make_tasks(REGISTER)
