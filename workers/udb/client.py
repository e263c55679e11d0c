"""Asks Ungedatabasen about one citizen."""

from workers.domain.cpr import Cpr
from workers.gateway import ask_about
from workers.resilience.upstream import Upstream
from workers.udb import wire

PATH = "/v1/ungedata"


class UdbClient:
    """Ungedatabasen, through the upstream that spares it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def fetch(self, cpr: Cpr) -> wire.Ungedata | None:
        """The citizen's educations; None when the register does not know the person. Raises UpstreamError."""
        return await ask_about(self._upstream, PATH, cpr, wire.Ungedata)
