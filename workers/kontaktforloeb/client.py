"""Client of Kontaktforloeb: asks about one citizen's meetings and booking deadlines."""

from domain.cpr import Cpr
from registerbro.upstreams.dfdg_protocol import ask_about
from registerbro.upstreams.pipeline import Upstream
from workers.dfdg_gateway.two_calls import both
from workers.kontaktforloeb import wire


async def fetch(
    upstream: Upstream, cpr: Cpr, deadlines_path: str
) -> tuple[wire.Indkaldelser | None, wire.Borgerstatus | None]:
    """The citizen's meetings and their booking deadlines, each None when the service does not know the person.

    Raises UpstreamError when either cannot be fetched.
    """
    return await both(fetch_meetings(upstream, cpr), fetch_deadlines(upstream, cpr, deadlines_path))


async def fetch_meetings(upstream: Upstream, cpr: Cpr) -> wire.Indkaldelser | None:
    """The citizen's meetings; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, upstream.path, cpr, wire.Indkaldelser)


async def fetch_deadlines(upstream: Upstream, cpr: Cpr, path: str) -> wire.Borgerstatus | None:
    """The citizen's booking deadlines; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, path, cpr, wire.Borgerstatus)
