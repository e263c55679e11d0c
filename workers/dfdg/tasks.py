"""The register itself: how its client and its rules make one fetch, and the tasks that run it."""

from workers.dfdg.client import DfdgClient
from workers.dfdg.normalise import normalise
from workers.domain.cpr import Cpr
from workers.register import Fetched, Register, make_tasks
from workers.runtime import Services


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks the register about one citizen. Raises UpstreamError."""
    answer = await DfdgClient(services.upstream("dfdg")).fetch(cpr)
    return Fetched(normalise(answer))


REGISTER = Register("dfdg", fetch)
make_tasks(REGISTER)
