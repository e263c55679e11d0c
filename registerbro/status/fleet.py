"""Fleet status: reads the shared state (upstreams, queues, schedule) for `registerbro status` and the API.

A server that is away leaves its part out, and the rest is shown all the same. `prometheus.py` shows the same state as
gauges.
"""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from pydantic import BaseModel, ConfigDict

from config.celery import QUEUES, REGISTERS, SUBSCRIBED, WORKERS
from config.settings import ADMISSIONS, upstream_of
from domain.service_windows import closed_until
from redis_admission import Override, State
from registerbro.messaging.inspect import BrokerDown, Queued, Waiting
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, queue_liveness
from registerbro.storage.coordination.partial_answers import PartialView
from registerbro.storage.coordination.timetable import ScheduleStatus

log = structlog.get_logger()

T = TypeVar("T")

WITHIN = timedelta(seconds=1)
"""How long one server may take to answer."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class OverrideView(_Frozen):
    """Override that an operator set above a breaker."""

    override: Override
    by: str
    at: datetime
    reason: str
    user: str = ""
    """The system's user who gave the command; empty for an override by way of the API or by a worker."""


class QueueView(_Frozen):
    """A queue; an unknown figure is null."""

    messages: int | None
    oldest_seconds: float | None
    consumed: bool | None
    """Whether a task of it was carried out within the last seconds."""


class ScheduleView(_Frozen):
    """A register's schedule: citizens it goes on for, those due, those with a message on its way; how late it is."""

    active: int
    due: int
    taken: int
    lag_seconds: float


class SubscriptionsView(_Frozen):
    """Subscriptions of citizens at a register, those to be cancelled now, and how long the first of them has waited."""

    held: int
    ending: int
    oldest_ending_seconds: float


class UpstreamView(_Frozen):
    """One upstream's health. Times are UTC."""

    state: State | Override
    since: datetime | None
    calls: int
    failures: int
    slow: int
    in_flight: int
    waiting: int
    limit: int
    last_success: datetime | None
    last_failure: datetime | None
    last_failure_reason: str | None
    next_probe: datetime | None
    override: OverrideView | None
    quarantined: int
    """How many citizens it is not asked about, as another person's answer came for them."""
    window_until: datetime | None
    queues: dict[str, QueueView]
    schedule: ScheduleView | None
    partial: PartialView | None
    """Set while items of a register's answers could not be read, and for an hour after the last."""
    subscriptions: SubscriptionsView | None = None
    """Of a register at which citizens are subscribed."""


async def upstreams(services: Services) -> dict[str, UpstreamView]:
    """Reads the health of every upstream. Raises REDIS_DOWN errors; without the broker, its figures are null."""
    seen, quarantined, queues, consumed, partial = await asyncio.gather(
        asyncio.gather(*(_admission(services, name) for name in ADMISSIONS)),
        services.quarantine.count(ADMISSIONS),
        _or_none(queued(services)),
        queue_liveness.consumed(services.coordination, QUEUES),
        partial_answers.status(services.coordination, REGISTERS),
    )
    schedules = dict(
        zip(REGISTERS, await asyncio.gather(*(services.timetable.status(name) for name in REGISTERS)), strict=True)
    )
    subscribed = await asyncio.gather(*(services.subscriptions.status(name) for name in SUBSCRIBED))
    subscriptions = {
        name: SubscriptionsView(
            held=one.held, ending=one.ending, oldest_ending_seconds=round(one.oldest_ending.total_seconds(), 3)
        )
        for name, one in zip(SUBSCRIBED, subscribed, strict=True)
    }
    return {
        name: one.model_copy(
            update={
                "quarantined": quarantined[name],
                "queues": {
                    queue: _queue_view(queues.queues[queue] if queues else None, consumed=consumed[queue])
                    for queue in WORKERS.get(name, ())
                },
                "schedule": _schedule_view(schedules[name]) if name in schedules else None,
                "partial": partial.get(name),
                "subscriptions": subscriptions.get(name),
            }
        )
        for name, one in zip(ADMISSIONS, seen, strict=True)
    }


async def queued(services: Services) -> Queued:
    """Reads the queues' lengths and ages at the broker. Raises BrokerDown."""
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            return await asyncio.to_thread(services.queues.inspect, QUEUES)
    except TimeoutError:
        raise BrokerDown("TimeoutError") from None


async def _or_none(looking: Awaitable[T]) -> T | None:
    try:
        return await looking
    except BrokerDown as error:
        log.warning("broker_not_read", detail=str(error))
        return None


async def _admission(services: Services, name: str) -> UpstreamView:
    seen = await services.admission(name).status()
    ordered = await services.overrides.get(name)
    state = State(seen.get("state", State.CLOSED))
    return UpstreamView(
        state=Override(seen["override"]) if "override" in seen else state,
        since=_time(seen.get("since")),
        calls=int(seen["calls"]),
        failures=int(seen["failures"]),
        slow=int(seen["slow"]),
        in_flight=int(seen["in_flight"]),
        waiting=int(seen["waiting"]),
        limit=int(seen["limit"]),
        last_success=_time(seen.get("succeeded_at")),
        last_failure=_time(seen.get("failed_at")),
        last_failure_reason=seen.get("failure"),
        next_probe=_time(seen.get("open_until")) if state is State.OPEN else None,
        override=None
        if ordered is None
        else OverrideView(
            override=ordered.override,
            by=ordered.by,
            at=datetime.fromtimestamp(ordered.at / 1000, UTC),
            reason=ordered.reason,
            user=ordered.user,
        ),
        quarantined=0,
        window_until=closed_until(services.settings.upstream(upstream_of(name)).service_windows, datetime.now(UTC)),
        queues={},
        schedule=None,
        partial=None,
    )


def _queue_view(waiting: Waiting | None, *, consumed: bool) -> QueueView:
    return QueueView(
        messages=waiting.messages if waiting else None,
        oldest_seconds=round(waiting.oldest, 3) if waiting and waiting.oldest is not None else None,
        consumed=consumed,
    )


def _schedule_view(standing: ScheduleStatus) -> ScheduleView:
    return ScheduleView(
        active=standing.active,
        due=standing.due,
        taken=standing.taken,
        lag_seconds=round(standing.lag.total_seconds(), 3),
    )


def _time(ms: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(float(ms)) / 1000, UTC) if ms else None
