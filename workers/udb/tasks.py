"""Tasks of Ungedatabasen: `udb.refresh` fetches one citizen's data, `udb.cancel_subscriptions` ends subscriptions."""

from functools import partial

from celery import shared_task

from domain.cpr import Cpr
from registerbro.refresh.register import Fetched, Register
from registerbro.services import Services
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.dfdg_protocol import extent
from workers.process import current
from workers.process.register_tasks import make_background_tasks, run_refresh
from workers.udb import client, subscription, wire
from workers.udb.normalise import normalise


async def fetch(services: Services, cpr: Cpr) -> Fetched:
    """Subscribes the citizen where they are not, and fetches and normalises their events. Raises UpstreamError."""
    try:
        held = await subscription.subscribed(services, cpr)
    except subscription.Refused:
        return Fetched(normalise(None))
    answer = await client.fetch(services.upstream("udb"), cpr)
    if answer is None or not answer.haendelser:
        # The register has just taken the citizen: that it knows nothing of them is no "no data" yet either.
        await subscription.require_old_enough(services, cpr, held)
    return await normalised(answer)


async def normalised(answer: wire.Haendelser | None) -> Fetched:
    """The sections of an answer. Raises InvalidResponse."""
    return Fetched(await apart(partial(normalise, answer), extent(answer)))


REGISTER = Register("udb", fetch)


@shared_task(name="udb.refresh")
async def refresh(citizen_id: str) -> None:
    """Refreshes one citizen's data from Ungedatabasen; `citizen_id` is the opaque id. A citizen waits for it."""
    await run_refresh(REGISTER, citizen_id)


@shared_task(name="udb.cancel_subscriptions")
async def cancel_subscriptions() -> None:
    """Cancels the subscriptions of citizens who were forgotten, left the target group, or are not active any more."""
    await subscription.cancel_due(current.event_loop().services)


make_background_tasks(REGISTER)
