"""Client of JobSearch: asks about one citizen's job titles, and their history."""

from domain.cpr import Cpr
from registerbro.upstreams.dfdg_protocol import ask_about
from registerbro.upstreams.pipeline import Upstream
from workers.dfdg_gateway.two_calls import both
from workers.jobsearch import wire


async def fetch(
    upstream: Upstream, cpr: Cpr, history_path: str
) -> tuple[wire.Joboensker | None, wire.JoboenskeHistorik | None]:
    """The citizen's current and their former job titles, each None when the service does not know the person.

    Raises UpstreamError when either cannot be fetched.
    """
    return await both(fetch_current(upstream, cpr), fetch_former(upstream, cpr, history_path))


async def fetch_current(upstream: Upstream, cpr: Cpr) -> wire.Joboensker | None:
    """The titles that the citizen looks for; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, upstream.path, cpr, wire.Joboensker)


async def fetch_former(upstream: Upstream, cpr: Cpr, path: str) -> wire.JoboenskeHistorik | None:
    """The history of those titles; None when the service does not know the person. Raises UpstreamError."""
    return await ask_about(upstream, path, cpr, wire.JoboenskeHistorik)
