"""Subscription of a citizen at Ungedatabasen: makes it before the first fetch, and cancels it at the end.

The register has no list of a citizen's educations. It sends events of citizens who are subscribed, some time after the
subscription, so that no events mean "no data" only of a subscription that has been on for EVENTS_AFTER (R8). What
`registerbro/storage/ledger/subscriptions.py` keeps decides; without it, no events are never "no data".
"""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from config.celery import CANCEL_EVERY
from domain.cpr import Cpr
from registerbro import audit_log
from registerbro.services import Services
from registerbro.storage.coordination.leases import Behalf, Purpose, Wish
from registerbro.storage.ledger.subscriptions import Busy, Subscribed, ToCancel
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.storage.sealing.sealer import Unreadable
from registerbro.telemetry import metrics
from registerbro.upstreams import deadline
from registerbro.upstreams.errors import CallFailed, EventsNotYet, NotCalled, UpstreamError
from workers.udb import client, wire

log = structlog.get_logger()

REGISTER = "udb"

KEPT_AFTER_ACTIVITY = timedelta(days=1)
"""How long a subscription outlasts the citizen's activity: a visit a little later finds it, with its events."""
LONGEST_BEFORE_A_LOOK = timedelta(hours=1)
"""Longest time until no events yet are looked for again."""
SOONEST_LOOK = timedelta(seconds=1)
"""Shortest time until then: the last look comes when the subscription is just old enough."""
LEDGER_WITHIN = timedelta(seconds=1)
"""How long a fetch waits for the ledger."""
MOST_AT_ONCE = 100
"""How many subscriptions one run cancels at the most: a run that is lost leaves the rest to the next one."""
LONGEST_BEFORE_ANOTHER_TRY = timedelta(hours=1)
"""Longest time until a subscription that could not be cancelled is tried again."""
UNREADABLE_AGAIN_AFTER = timedelta(hours=1)

_WISH = Wish(Behalf.SCHEDULE, Purpose.CANCEL_SUBSCRIPTION)


class Refused(Exception):
    """The register does not subscribe this citizen, and so has no data of them; the message says why."""


async def subscribed(services: Services, cpr: Cpr) -> Subscribed | None:
    """Makes sure that the citizen is subscribed. None when the ledger does not say whether they are.

    Raises Refused when the register does not take the citizen; EventsNotYet while another process subscribes them or
    cancels that; UpstreamError.
    """
    ids = services.citizens.ids_of(cpr)
    settings = services.settings.udb
    store = services.subscriptions
    try:
        keep_for = await _keep_for(services, ids)
        async with asyncio.timeout(LEDGER_WITHIN.total_seconds()):
            held = await store.begin(REGISTER, cpr, ids, within=settings.pending_for, keep_for=keep_for)
    except REDIS_DOWN as error:
        log.error("subscription_not_known", register=REGISTER, citizen=ids[0], detail=type(error).__name__)
        return None
    if isinstance(held, Subscribed):
        return held
    if isinstance(held, Busy):
        raise EventsNotYet("another process is at the subscription", retry_after=max(held.left, SOONEST_LOOK))
    return await _subscribe(services, cpr, ids[0], held.owner)


async def _subscribe(services: Services, cpr: Cpr, citizen_id: str, owner: str) -> Subscribed:
    store = services.subscriptions
    try:
        code = await client.subscribe(services.upstream(REGISTER), cpr)
    except UpstreamError as error:
        metrics.SUBSCRIPTIONS.labels(REGISTER, error.reason).inc()
        await _or_logged(store.release(REGISTER, citizen_id, owner), citizen_id)
        raise
    if code is not None:
        reason = wire.REFUSALS.get(code, "person_unknown")
        metrics.SUBSCRIPTIONS_REFUSED.labels(REGISTER, reason).inc()
        log.info("subscription_refused", register=REGISTER, citizen=citizen_id, reason=reason, code=code)
        await _or_logged(store.remove(REGISTER, citizen_id, owner), citizen_id)
        raise Refused(reason)
    metrics.SUBSCRIPTIONS.labels(REGISTER, "subscribed").inc()
    log.info("citizen_subscribed", register=REGISTER, citizen=citizen_id)
    try:
        held = await store.confirm(REGISTER, citizen_id, cpr, owner)
    except REDIS_DOWN as error:
        # The record says that the register was asked: the next fetch asks again, which changes nothing there.
        log.error("subscription_not_recorded", register=REGISTER, citizen=citizen_id, detail=type(error).__name__)
        held = None
    if held is None:
        raise EventsNotYet("the subscription is not on record yet")
    return held


async def require_old_enough(services: Services, cpr: Cpr, held: Subscribed | None) -> None:
    """Makes sure that no events mean "no data": the subscription has been on for long enough, and still is.

    Raises EventsNotYet.
    """
    settings = services.settings.udb
    if held is None:
        raise EventsNotYet("no events, and the ledger does not say whether the citizen is subscribed")
    age = held.age
    if age < settings.events_after:
        wait = min(max(settings.retry_after, min(age, LONGEST_BEFORE_A_LOOK)), settings.events_after - age)
        raise EventsNotYet("the citizen was subscribed a short time ago", retry_after=max(wait, SOONEST_LOOK))
    # It may have been cancelled between the look at the record and the answer.
    try:
        now = await services.subscriptions.since(REGISTER, services.citizens.id_of(cpr))
    except REDIS_DOWN as error:
        log.error("subscription_not_known", register=REGISTER, detail=type(error).__name__)
        now = None
    if now != held.since:
        raise EventsNotYet("the subscription changed while the events were fetched")


async def cancel_due(services: Services) -> None:
    """Cancels the subscriptions that are due for it; what the register does not take is tried again later.

    Ends when the register is to be spared, and before the next run begins. Raises nothing.
    """
    ends = time.monotonic() + CANCEL_EVERY.total_seconds()
    try:
        for citizen_id in await services.subscriptions.due(REGISTER, MOST_AT_ONCE):
            if time.monotonic() > ends or not await _cancel_one(services, citizen_id):
                return
    except REDIS_DOWN as error:
        log.error("subscriptions_not_cancelled", register=REGISTER, detail=type(error).__name__)


async def _cancel_one(services: Services, citizen_id: str) -> bool:
    """Cancels one subscription. False when the register is to be spared. Raises REDIS_DOWN errors."""
    store, settings = services.subscriptions, services.settings.udb
    claimed = await store.claim(REGISTER, citizen_id, settings.pending_for)
    if claimed is None:
        return True
    goes_on, outcome = True, "cancelled"
    try:
        cpr = store.number_of(REGISTER, claimed)
        with audit_log.about(citizen_id, _WISH), deadline.within(settings.total_timeout):
            await client.cancel(services.upstream(REGISTER), cpr)
    except Unreadable as error:
        metrics.UNREADABLE.labels("subscription").inc()
        log.critical("subscription_unreadable", register=REGISTER, citizen=citizen_id, detail=str(error))
        outcome, wait = "unreadable", UNREADABLE_AGAIN_AFTER
    except UpstreamError as error:
        # The breaker is that of the fetches: a register that fails at cancelling alone must stay open for citizens.
        outcome, goes_on = error.reason, not _is_of_all(error)
        wait = max(error.retry_after or timedelta(0), _wait(claimed, settings.retry_after))
        log.warning(
            "subscription_not_cancelled", register=REGISTER, citizen=citizen_id, reason=outcome, detail=str(error)
        )
    except Exception:
        log.exception("subscription_defect", register=REGISTER, citizen=citizen_id)
        outcome, wait = "defect", _wait(claimed, settings.retry_after)
    else:
        await store.remove(REGISTER, citizen_id, claimed.owner)
        log.info("subscription_cancelled", register=REGISTER, citizen=citizen_id)
        metrics.SUBSCRIPTIONS.labels(REGISTER, outcome).inc()
        return True
    metrics.SUBSCRIPTIONS.labels(REGISTER, outcome).inc()
    await store.put_back(REGISTER, claimed, wait)
    return goes_on


def _is_of_all(error: UpstreamError) -> bool:
    """Whether cancelling another subscription now would end likewise."""
    return (isinstance(error, CallFailed) and error.counts) or (isinstance(error, NotCalled) and error.of_all)


def _wait(claimed: ToCancel, first: timedelta) -> timedelta:
    """A doubling wait, by how often it was tried."""
    doubled: timedelta = first * 2.0 ** min(claimed.tries, 20)
    return min(doubled, LONGEST_BEFORE_ANOTHER_TRY)


async def _keep_for(services: Services, ids: Sequence[str]) -> timedelta:
    """Time after which the subscription is cancelled, unless there is another fetch: a day beyond the activity.

    A citizen leaves the target group by their age without a visit, and the schedule knows that.
    """
    longest = services.settings.citizens_kept_for
    try:
        until = await services.timetable.active_until(ids[0])
    except REDIS_DOWN as error:
        log.warning("activity_not_known", register=REGISTER, detail=type(error).__name__)
        until = None
    left = longest if until is None else until - datetime.now(UTC)
    return min(max(left, timedelta(0)), longest) + KEPT_AFTER_ACTIVITY


async def _or_logged(writing: Awaitable[object], citizen_id: str) -> None:
    """Writes to the ledger. Without it, the record stands, and the next fetch finds it when its time is over."""
    try:
        await writing
    except REDIS_DOWN as error:
        log.warning("subscription_not_recorded", register=REGISTER, citizen=citizen_id, detail=type(error).__name__)
