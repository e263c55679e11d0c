"""The register itself: how its client and its rules make one fetch, and the tasks that run it."""

from workers.domain.cpr import Cpr
from workers.register import Fetched, Register, make_tasks
from workers.runtime import Services
from workers.udb.client import UdbClient
from workers.udb.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks the register about one citizen. Raises UpstreamError."""
    answer = await UdbClient(services.upstream("udb")).fetch(cpr)
    return Fetched(normalise(answer))


REGISTER = Register("udb", fetch)
make_tasks(REGISTER)
