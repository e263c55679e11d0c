"""Client of Borgerindsats: asks about one citizen's activities and joblog."""

from domain.cpr import Cpr
from registerbro.upstreams.dfdg_protocol import ask_about
from registerbro.upstreams.pipeline import Upstream
from workers.borgerindsats import wire
from workers.dfdg_gateway.two_calls import both


async def fetch(
    upstream: Upstream, cpr: Cpr, joblog_path: str
) -> tuple[wire.AktivitetSvar | None, wire.JoblogSvar | None]:
    """The citizen's activities and their joblog, each None when the service does not know the person.

    Raises UpstreamError when either cannot be fetched.
    """
    return await both(fetch_activities(upstream, cpr), fetch_joblog(upstream, cpr, joblog_path))


async def fetch_activities(upstream: Upstream, cpr: Cpr) -> wire.AktivitetSvar | None:
    """The citizen's activities; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, upstream.path, cpr, wire.AktivitetSvar)


async def fetch_joblog(upstream: Upstream, cpr: Cpr, path: str) -> wire.JoblogSvar | None:
    """The citizen's joblog; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, path, cpr, wire.JoblogSvar)
