"""Asks STARs Ydelsesregister about one citizen."""

from workers.domain.cpr import Cpr
from workers.gateway import ask_about
from workers.resilience.upstream import Upstream
from workers.ydelse import wire

PATH = "/VisiteringOgStatus/v1/ydelser"


class YdelseClient:
    """The Ydelsesregister, through the upstream that spares it."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def fetch(self, cpr: Cpr) -> wire.YdelseSvar | None:
        """The citizen's benefits; None when the register does not know the person. Raises UpstreamError."""
        return await ask_about(self._upstream, PATH, cpr, wire.YdelseSvar)
