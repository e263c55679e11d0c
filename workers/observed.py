"""What all processes share, looked at from outside: upstreams, queues, fault reports, the schedule, and Redis itself.

`registerbro status`, the API and Prometheus show the same. No server that is away keeps the others from being shown.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict

from config.celery import QUEUES, REGISTERS, WORKERS
from config.settings import ADMISSIONS, UPSTREAMS, Settings, upstream_of
from config.windows import closed_until
from workers import heartbeat, partial_answers
from workers.booking_vendor import reports
from workers.booking_vendor.outbox import Standing as ReportsStanding
from workers.cache.timetable import Standing
from workers.connections import REDIS_DOWN
from workers.partial_answers import PartialView
from workers.queues import BrokerDown, Queued, Waiting
from workers.resilience.admission import Override, State
from workers.runtime import Runtime, Services

log = structlog.get_logger()

T = TypeVar("T")

WITHIN = timedelta(seconds=1)
"""How long one server may take to answer."""
SCRAPE_WITHIN = timedelta(seconds=3)
"""How long a scrape may take in all; Prometheus gives up after ten by default."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class OverrideView(_Frozen):
    """What an operator set above a breaker."""

    override: Override
    by: str
    at: datetime
    reason: str
    user: str = ""
    """The system's user who gave the command; empty of what came through the API or is the worker's own."""


class QueueView(_Frozen):
    """A queue; what is not known is null."""

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


async def upstreams(services: Services) -> dict[str, UpstreamView]:
    """The health of every upstream. Raises REDIS_DOWN errors; a broker that does not tell leaves its part out."""
    seen, quarantined, queues, consumed, partial = await asyncio.gather(
        asyncio.gather(*(_admission(services, name) for name in ADMISSIONS)),
        services.quarantine.count(ADMISSIONS),
        _or_none(queued(services)),
        heartbeat.consumed(services.coordination, QUEUES),
        partial_answers.look(services.coordination, REGISTERS),
    )
    schedules = dict(
        zip(REGISTERS, await asyncio.gather(*(services.timetable.look(name) for name in REGISTERS)), strict=True)
    )
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
            }
        )
        for name, one in zip(ADMISSIONS, seen, strict=True)
    }


async def queued(services: Services) -> Queued:
    """What waits at the broker. Raises BrokerDown."""
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            return await asyncio.to_thread(services.queues.look, QUEUES)
    except TimeoutError:
        raise BrokerDown("TimeoutError") from None


async def _or_none(looking: Awaitable[T]) -> T | None:
    try:
        return await looking
    except BrokerDown as error:
        log.warning("broker_not_observed", detail=str(error))
        return None


async def _admission(services: Services, name: str) -> UpstreamView:
    seen = await services.admission(name).shared.look()
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


def _schedule_view(standing: Standing) -> ScheduleView:
    return ScheduleView(
        active=standing.active,
        due=standing.due,
        taken=standing.taken,
        lag_seconds=round(standing.lag.total_seconds(), 3),
    )


def _time(ms: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(float(ms)) / 1000, UTC) if ms else None


class SharedState(Collector):
    """Gauges of what all processes share, read when Prometheus asks; what does not answer is left out, and said so.

    `runtime` is the loop that looks; the thread that is scraped waits for it for SCRAPE_WITHIN at the most.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def describe(self) -> list[Metric]:
        """Nothing, so that registering this looks at no server."""
        return []

    def collect(self) -> list[Metric]:
        """The gauges, as they are now."""
        looking = self._runtime.submit(gauges(self._runtime.services))
        try:
            return looking.result(SCRAPE_WITHIN.total_seconds())
        except concurrent.futures.TimeoutError:
            looking.cancel()
            log.warning("shared_state_not_collected", detail="TimeoutError")
            return []


def expose(settings: Settings, registry: CollectorRegistry = REGISTRY) -> Callable[[], None]:
    """Has this process's metrics show what all processes share. Returns what ends that."""
    looking = Runtime(settings)
    shared = SharedState(looking)
    registry.register(shared)

    def end() -> None:
        registry.unregister(shared)
        looking.close()

    return end


async def gauges(services: Services) -> list[Metric]:
    """All gauges, each server asked by itself and for WITHIN at the most."""
    parts: Mapping[str, Callable[[Services], Awaitable[list[Metric]]]] = {
        "coordination": _of_coordination,
        "ledger": _of_ledger,
        "cache": _of_cache,
        "broker": _of_broker,
    }
    found = await asyncio.gather(*(_bounded(part(services)) for part in parts.values()))
    up = GaugeMetricFamily("registerbro_redis_up", "Whether a server that keeps our state answers", labels=["server"])
    for server, metrics in zip(parts, found, strict=True):
        up.add_metric([server], float(metrics is not None))
    return [up, *(metric for metrics in found for metric in metrics or ())]


async def _bounded(part: Awaitable[list[Metric]]) -> list[Metric] | None:
    try:
        async with asyncio.timeout(WITHIN.total_seconds()):
            return await part
    except (BrokerDown, *REDIS_DOWN):
        return None
    except Exception:
        # What is shown must never break because of one part of it.
        log.exception("shared_state_defect")
        return None


def _gauge(name: str, text: str, label: str, values: Mapping[str, float | None]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"registerbro_{name}", text, labels=[label])
    for of, value in values.items():
        if value is not None:
            family.add_metric([of], value)
    return family


async def _of_coordination(services: Services) -> list[Metric]:
    seen = dict(
        zip(
            ADMISSIONS,
            await asyncio.gather(*(services.admission(name).shared.look() for name in ADMISSIONS)),
            strict=True,
        )
    )
    consumed = await heartbeat.consumed(services.coordination, QUEUES)
    partial = await partial_answers.look(services.coordination, REGISTERS)
    return [
        *_admission_gauges(seen),
        *(await _schedule_gauges(services)),
        _consumed_gauge(consumed),
        _partial_gauge(partial),
    ]


def _admission_gauges(seen: Mapping[str, Mapping[str, str]]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "registerbro_breaker_state", "1 for the state that an upstream's breaker is in", labels=["upstream", "state"]
    )
    for name, one in seen.items():
        current = one.get("override", one.get("state", State.CLOSED))
        for state in (*State, *Override):
            states.add_metric([name, state], float(state == current))
    yield states
    for field, text in (
        ("in_flight", "Calls under way, over all processes"),
        ("waiting", "Calls that wait for a place, over all processes"),
        ("limit", "How many calls may be under way now"),
    ):
        yield _gauge(f"upstream_{field}", text, "upstream", {name: float(one[field]) for name, one in seen.items()})
    yield _gauge(
        "upstream_last_success_timestamp_seconds",
        "When an upstream last answered",
        "upstream",
        {name: float(one["succeeded_at"]) / 1000 if "succeeded_at" in one else None for name, one in seen.items()},
    )


async def _schedule_gauges(services: Services) -> list[Metric]:
    standing = dict(
        zip(REGISTERS, await asyncio.gather(*(services.timetable.look(name) for name in REGISTERS)), strict=True)
    )
    windows = {
        name: float(closed_until(services.settings.upstream(name).service_windows, datetime.now(UTC)) is not None)
        for name in UPSTREAMS
    }
    return [
        _gauge(
            "schedule_lag_seconds",
            "How long the first of the citizens who are due has waited",
            "register",
            {name: one.lag.total_seconds() for name, one in standing.items()},
        ),
        _gauge("schedule_due", "Citizens who are due", "register", {name: one.due for name, one in standing.items()}),
        _gauge(
            "schedule_taken",
            "Citizens for whom a message of the schedule is on its way",
            "register",
            {name: one.taken for name, one in standing.items()},
        ),
        _gauge(
            "schedule_active",
            "Citizens for whom the schedule goes on",
            "register",
            {name: one.active for name, one in standing.items()},
        ),
        _gauge("service_window", "Whether an upstream is closed as planned", "upstream", windows),
    ]


def _consumed_gauge(consumed: Mapping[str, bool]) -> Metric:
    text = "Whether a task of a queue was carried out within the last seconds"
    return _gauge("queue_consumed", text, "queue", {queue: float(alive) for queue, alive in consumed.items()})


def _partial_gauge(partial: Mapping[str, PartialView | None]) -> Metric:
    text = "Whether items of a register's answers could not be read within the last hour"
    return _gauge("register_partial", text, "register", {name: float(one is not None) for name, one in partial.items()})


async def _of_broker(services: Services) -> list[Metric]:
    found = await queued(services)
    metrics: list[Metric] = [
        _gauge(
            "queue_messages",
            "Messages that wait in a queue",
            "queue",
            {queue: one.messages for queue, one in found.queues.items()},
        ),
        _gauge(
            "queue_oldest_seconds",
            "How long the oldest message in a queue has waited; 0 when there is none",
            "queue",
            {queue: one.oldest if one.messages else 0.0 for queue, one in found.queues.items()},
        ),
    ]
    if found.dead_letters is not None:
        text = "Messages that were set aside, as they came back too often"
        metrics.append(GaugeMetricFamily("registerbro_dead_letters", text, value=found.dead_letters))
    return metrics


async def _of_ledger(services: Services) -> list[Metric]:
    standing: ReportsStanding = await reports.outbox(services).standing()
    quarantined = await services.quarantine.count(REGISTERS)
    states = {str(state): float(count) for state, count in standing.reports.items()}
    oldest = standing.oldest_undelivered
    return [
        _gauge(
            "quarantined_citizens",
            "Citizens whom a register is not asked about, as another person's answer came for them",
            "register",
            {name: float(count) for name, count in quarantined.items()},
        ),
        _gauge("fault_reports", "Fault reports that are kept, by state", "state", states),
        GaugeMetricFamily(
            "registerbro_fault_reports_oldest_undelivered_seconds",
            "How long the oldest report that is still to be delivered has waited; 0 when there is none",
            value=oldest.total_seconds() if oldest else 0.0,
        ),
    ]


async def _of_cache(services: Services) -> list[Metric]:
    told = await services.cache.info()
    evicted = "What the cache dropped before its time, for want of memory, since it started"
    return [
        GaugeMetricFamily("registerbro_cache_used_bytes", "Memory that the cache uses", value=told["used_memory"]),
        CounterMetricFamily("registerbro_cache_evicted", evicted, value=told["evicted_keys"]),
    ]
