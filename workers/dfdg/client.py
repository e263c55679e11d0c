"""Asks DFDG about one citizen."""

from workers.dfdg import wire
from workers.domain.cpr import Cpr
from workers.gateway import ask_about
from workers.resilience.upstream import Upstream

PATH = "/v1/borger"


class DfdgClient:
    """DFDG, through the upstream that spares it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def fetch(self, cpr: Cpr) -> wire.Borger | None:
        """What DFDG holds of the citizen; None when it does not know the person. Raises UpstreamError."""
        return await ask_about(self._upstream, PATH, cpr, wire.Borger)
