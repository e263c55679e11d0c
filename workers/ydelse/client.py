"""Client of the Ydelsesregister: asks about one citizen."""

from domain.cpr import Cpr
from registerbro.upstreams.dfdg_protocol import ask_about
from registerbro.upstreams.pipeline import Upstream
from workers.ydelse import wire


async def fetch(upstream: Upstream, cpr: Cpr) -> wire.YdelseSvar | None:
    """The citizen's benefits; None when the register does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, upstream.path, cpr, wire.YdelseSvar)
