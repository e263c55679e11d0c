"""Prometheus gauges of the fleet: a collector that reads the shared state when a scrape asks for it.

A server that does not answer leaves its gauges out, and `registerbro_redis_up` says so; the other servers' gauges are
shown all the same.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config.celery import QUEUES, REGISTERS, SUBSCRIBED
from config.settings import ADMISSIONS, BOOKING, UPSTREAMS, Settings
from domain.service_windows import closed_until
from redis_admission import Override, State
from registerbro.event_loop import EventLoop
from registerbro.fault_reports.model import OutboxStats
from registerbro.messaging.inspect import BrokerDown
from registerbro.services import Services
from registerbro.status.fleet import WITHIN, queued
from registerbro.storage.coordination import partial_answers, queue_liveness
from registerbro.storage.coordination.partial_answers import PartialView
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

SCRAPE_WITHIN = timedelta(seconds=3)
"""How long a scrape may take in all; Prometheus gives up after ten by default."""


class SharedState(Collector):
    """Prometheus collector: reads the gauges of the shared state at each scrape.

    `runtime` is the loop that reads them; the scraped thread waits for it for at most SCRAPE_WITHIN.
    """

    def __init__(self, runtime: EventLoop) -> None:
        self._runtime = runtime

    def describe(self) -> list[Metric]:
        """Nothing, so that registering the collector asks no server."""
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
    """Adds the gauges of the shared state to this process's metrics. Returns a function that removes them."""
    looking = EventLoop(settings)
    shared = SharedState(looking)
    registry.register(shared)

    def end() -> None:
        registry.unregister(shared)
        looking.close()

    return end


async def gauges(services: Services) -> list[Metric]:
    """Reads all gauges; each server is asked by itself, and has WITHIN to answer."""
    parts: Mapping[str, Callable[[Services], Awaitable[list[Metric]]]] = {
        "coordination": _of_coordination,
        "ledger": _of_ledger,
        "cache": _of_cache,
        "broker": _of_broker,
    }
    found = await asyncio.gather(*(_bounded(part(services)) for part in parts.values()))
    text = "Whether a server answers reads; one that refuses writes counts as up"
    up = GaugeMetricFamily("registerbro_redis_up", text, labels=["server"])
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
        # A defect in one part must not take the other gauges away.
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
            await asyncio.gather(*(services.admission(name).status() for name in ADMISSIONS)),
            strict=True,
        )
    )
    consumed = await queue_liveness.consumed(services.coordination, QUEUES)
    partial = await partial_answers.status(services.coordination, REGISTERS)
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
        zip(REGISTERS, await asyncio.gather(*(services.timetable.status(name) for name in REGISTERS)), strict=True)
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
    standing: OutboxStats = await services.outbox.stats()
    quarantined = await services.quarantine.count((*REGISTERS, BOOKING))
    subscribed = dict(
        zip(
            SUBSCRIBED, await asyncio.gather(*(services.subscriptions.status(name) for name in SUBSCRIBED)), strict=True
        )
    )
    states = {str(state): float(count) for state, count in standing.reports.items()}
    oldest = standing.oldest_undelivered
    return [
        _gauge(
            "quarantined_citizens",
            "Citizens whom a register is not asked about, as another person's answer came for them",
            "register",
            {name: float(count) for name, count in quarantined.items()},
        ),
        _gauge(
            "subscriptions",
            "Citizens who are subscribed at a register",
            "register",
            {name: float(one.held) for name, one in subscribed.items()},
        ),
        _gauge(
            "subscriptions_ending",
            "Subscriptions at a register that are to be cancelled now",
            "register",
            {name: float(one.ending) for name, one in subscribed.items()},
        ),
        _gauge(
            "subscriptions_oldest_ending_seconds",
            "How long the first of them has waited; 0 when there is none",
            "register",
            {name: one.oldest_ending.total_seconds() for name, one in subscribed.items()},
        ),
        _gauge("fault_reports", "Fault reports that are kept, by state", "state", states),
        GaugeMetricFamily(
            "registerbro_fault_reports_undecided",
            "Fault reports of unknown outcome that wait for an operator to repeat or settle them",
            value=float(standing.undecided),
        ),
        GaugeMetricFamily(
            "registerbro_fault_reports_sent_again",
            "Kept fault reports that were sent again after an unknown outcome, and may have come more than once",
            value=float(standing.sent_again),
        ),
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
