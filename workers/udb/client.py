"""Client of UngedataService: subscribes a citizen, cancels that, and fetches the citizen's events."""

from collections.abc import Mapping

from domain.cpr import Cpr
from registerbro import audit_log
from registerbro.storage.coordination.leases import Purpose
from registerbro.upstreams.dfdg_protocol import ask_about, write_about
from registerbro.upstreams.pipeline import Upstream
from workers.udb import wire

WHOLE_HISTORY: Mapping[str, object] = {}
"""Body of a subscription without a start, which then is the citizen's 15th birthday."""


async def subscribe(upstream: Upstream, cpr: Cpr) -> str | None:
    """Subscribes the citizen, whose events come later. Returns the code by which the register refuses them, or None.

    A subscription that is there already stays as it is. Raises UpstreamError.
    """
    with audit_log.with_purpose(Purpose.SUBSCRIBE):
        return await write_about(
            upstream, "POST", wire.SUBSCRIPTION_PATH, cpr, WHOLE_HISTORY, refusals=wire.REFUSALS.keys()
        )


async def cancel(upstream: Upstream, cpr: Cpr) -> None:
    """Cancels the citizen's subscription. One that is not there, or cannot be, is cancelled. Raises UpstreamError."""
    with audit_log.with_purpose(Purpose.CANCEL_SUBSCRIPTION):
        await write_about(upstream, wire.CANCEL_METHOD, wire.SUBSCRIPTION_PATH, cpr, refusals=wire.REFUSALS.keys())


async def fetch(upstream: Upstream, cpr: Cpr) -> wire.Haendelser | None:
    """The citizen's events; None when the register does not know the person. Raises UpstreamError.

    No event is no "no data" by itself: `workers/udb/subscription.py` decides that.
    """
    return await ask_about(upstream, upstream.path, cpr, wire.Haendelser)
