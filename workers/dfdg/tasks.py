"""The register itself: how its client and its rules make one fetch, and the tasks that run it."""

from functools import partial

from workers.dfdg.client import DfdgClient
from workers.dfdg.normalise import normalise
from workers.domain.cpr import Cpr
from workers.gateway import extent
from workers.register import Fetched, Register, make_tasks
from workers.resilience.reading import apart
from workers.runtime import Services


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks the register about one citizen. Raises UpstreamError."""
    answer = await DfdgClient(services.upstream("dfdg")).fetch(cpr)
    return Fetched(await apart(partial(normalise, answer), extent(answer)))


REGISTER = Register("dfdg", fetch)
make_tasks(REGISTER)
