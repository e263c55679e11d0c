"""Client of VisiteringOgStatus: asks about one citizen's contact groups and absence."""

from domain.cpr import Cpr
from registerbro.upstreams.dfdg_protocol import ask_about
from registerbro.upstreams.pipeline import Upstream
from workers.dfdg_gateway.two_calls import both
from workers.visitering import wire


async def fetch(upstream: Upstream, cpr: Cpr, absences_path: str) -> tuple[wire.Status | None, wire.AlleFravaer | None]:
    """The contact groups that are open now, and all absence, each None when the service does not know the person.

    Raises UpstreamError when either cannot be fetched.
    """
    return await both(fetch_status(upstream, cpr), fetch_absences(upstream, cpr, absences_path))


async def fetch_status(upstream: Upstream, cpr: Cpr) -> wire.Status | None:
    """The contact groups that are open now; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, upstream.path, cpr, wire.Status)


async def fetch_absences(upstream: Upstream, cpr: Cpr, path: str) -> wire.AlleFravaer | None:
    """All absence; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, path, cpr, wire.AlleFravaer)
