"""The register itself: how its client and its rules make one fetch, and the tasks that run it."""

from functools import partial

from workers.domain.cpr import Cpr
from workers.gateway import extent
from workers.register import Fetched, Register, make_tasks
from workers.resilience.reading import apart
from workers.runtime import Services
from workers.ydelse.client import YdelseClient
from workers.ydelse.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Asks the register about one citizen. Raises UpstreamError."""
    answer = await YdelseClient(services.upstream("ydelse")).fetch(cpr)
    return Fetched(await apart(partial(normalise, answer), extent(answer)))


REGISTER = Register("ydelse", fetch)
make_tasks(REGISTER)
