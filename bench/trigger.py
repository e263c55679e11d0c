"""From a request to the stored entry, on a system that does nothing else, without the time that the register took.

A real worker, one refresh at a time, at odd moments. The register notes how long it kept each call; the rest is ours.
"""

import asyncio
import json
import random
import time
from datetime import UTC, datetime

from bench.harness import Row, Target, installed, percentile, services, start_workers
from bench.people import numbers
from workers import refresh
from workers.cache.entries import channel
from workers.domain.cpr import Cpr
from workers.refresh import Citizen, Reason
from workers.runtime import Services

WARM_UP = 20


async def _timed(ours: Services, citizen: Citizen) -> float:
    """Seconds from the request until the entry's event is here, which is published as it is stored."""
    async with ours.cache.pubsub() as events:
        await events.subscribe(channel(ours.citizens.id_of(citizen.cpr)))
        await events.get_message(timeout=5)
        began = time.perf_counter()
        today = datetime.now(UTC).date()
        await refresh.request(ours, citizen, ["su"], reason=Reason.CITIZEN, today=today)
        async with asyncio.timeout(10):
            while await events.get_message(ignore_subscribe_messages=True, timeout=10) is None:
                pass
        return time.perf_counter() - began


async def _all(count: int) -> dict[str, float]:
    chance = random.Random(1)  # noqa: S311 - chance, and no secret
    took = {}
    async with services() as ours:
        for cpr in numbers(count):
            citizen = Citizen(Cpr.parse(cpr), frozenset({12}), education_order=True)
            took[cpr] = await _timed(ours, citizen)
            await asyncio.sleep(chance.uniform(0.02, 0.06))
    return took


def measure(*, quick: bool) -> list[Row]:
    """Its p50 and its p99."""
    count = 40 if quick else 250
    with installed() as (here, upstream):
        start_workers(here, ["su"])
        took = asyncio.run(_all(count + WARM_UP))
        held: dict[str, float] = json.loads(upstream.tell("held"))
    beyond = [1000 * (seconds - held[cpr]) for cpr, seconds in list(took.items())[WARM_UP:]]
    p50, p99 = percentile(beyond, 0.5), percentile(beyond, 0.99)
    told = {"refreshes": count, "register_ms": round(1000 * percentile(list(held.values()), 0.5), 1)}
    name = "trigger to stored on an idle system, beyond the register's own time"
    return [
        Row.alone("trigger_p50", f"{name}, p50", Target("at most", 20, "ms"), p50, "ms", **told),
        Row.alone("trigger_p99", f"{name}, p99", Target("at most", 60, "ms"), p99, "ms", **told),
    ]
