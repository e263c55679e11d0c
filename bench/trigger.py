"""From a request to the stored entry, on a system that does nothing else, without the time that the register took.

A real worker, one refresh at a time, at odd moments. The register notes how long it kept each call; the rest is ours.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bench.harness import Row, Target, installed, percentile, services, start_workers
from bench.people import numbers
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import audit_log, refresh
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.storage.keys import entry_channel
from workers.su import client as su_client
from workers.su.normalise import normalise

T = TypeVar("T")
WARM_UP = 20


async def _timed(ours: Services, citizen: Citizen) -> float:
    """Seconds from the request until the entry's event is here, which is published as it is stored."""
    async with ours.cache.pubsub() as events:
        await events.subscribe(entry_channel(ours.citizens.id_of(citizen.cpr)))
        await events.get_message(timeout=5)
        began = time.perf_counter()
        today = datetime.now(UTC).date()
        await refresh.request_due(ours, citizen, ["su"], reason=Reason.CITIZEN, today=today)
        async with asyncio.timeout(10):
            while await events.get_message(ignore_subscribe_messages=True, timeout=10) is None:
                pass
        return time.perf_counter() - began


class _Stages:
    """How long each step of a refresh takes, one after the other in this process, in ms."""

    def __init__(self) -> None:
        self._found: dict[str, list[float]] = {}

    async def timed(self, stage: str, step: Awaitable[T]) -> T:
        """What the step gives."""
        began = time.perf_counter()
        result = await step
        self._found.setdefault(stage, []).append(1000 * (time.perf_counter() - began))
        return result

    @property
    def medians(self) -> dict[str, float]:
        """By stage."""
        return {stage: round(percentile(found, 0.5), 2) for stage, found in self._found.items()}


async def _stages(count: int) -> dict[str, float]:
    """The steps that `registerbro.refresh.request` and `registerbro.refresh.register` take, each by itself."""
    from registerbro.refresh.register import send  # noqa: PLC0415 - it wants the app to be there

    stages, minute = _Stages(), timedelta(minutes=1)
    async with services() as ours:
        guard, upstream = ours.admission("su"), ours.upstream("su")
        for cpr in map(Cpr.parse, numbers(count)):
            citizen_id = ours.citizens.id_of(cpr)
            known = asyncio.gather(ours.citizens.remember(cpr), ours.entries.read(citizen_id, ["su"]))
            await stages.timed("request: remember, read", known)
            await stages.timed("request: lease", ours.leases.acquire(citizen_id, "su", minute, CITIZENS_WISH))
            await stages.timed("request: pending", ours.entries.mark_pending(citizen_id, {"su": minute}))
            # The queue of another register, which nobody consumes here: only the publishing is timed.
            await stages.timed("request: publish", asyncio.to_thread(send, "su", citizen_id, "udb"))
            lease = await stages.timed("worker: begin", ours.leases.begin_refresh(citizen_id, "su", minute))
            await stages.timed("worker: read", ours.entries.read(citizen_id, ["su"]))
            await stages.timed("worker: recall", ours.citizens.recall(citizen_id))
            permit = await stages.timed("call: enter", guard.enter(is_retry=False))
            with audit_log.about(citizen_id, CITIZENS_WISH):
                trail = ours.audit_log.look_up("su")
                await stages.timed("call: on record", trail.call("bench", ""))
            trail.answered("answered")
            await stages.timed("call: record", guard.record(permit, None, timedelta(0)))
            with audit_log.about(citizen_id, CITIZENS_WISH):
                answer = await stages.timed("all of the call", su_client.fetch(upstream, cpr))
            sections = normalise(answer, cpr.birth_date).sections
            await stages.timed("worker: look for override", guard.check())
            store = ours.entries.store(
                citizen_id, "su", sections, age=timedelta(0), fresh_for=minute, usable_for=minute
            )  # fmt: skip
            await stages.timed("worker: store", store)
            if lease is not None:
                await stages.timed("worker: settle", ours.leases.settle(lease, minute))
    return stages.medians


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
    count = 25 if quick else 250
    with installed() as (here, upstream):
        start_workers(here, ["su"])
        took = asyncio.run(_all(count + WARM_UP))
        held: dict[str, float] = json.loads(upstream.tell("held"))
        upstream.tell("median/0")
        # Once without counting it: scripts are loaded, the chain of the audit log is taken.
        asyncio.run(_stages(3))
        stages = asyncio.run(_stages(count))
    beyond = [1000 * (seconds - held[cpr]) for cpr, seconds in list(took.items())[WARM_UP:]]
    p50, p99 = percentile(beyond, 0.5), percentile(beyond, 0.99)
    told = {"refreshes": count, "register_ms": round(1000 * percentile(list(held.values()), 0.5), 1)}
    name = "trigger to stored on an idle system, beyond the register's own time"
    return [
        Row.alone("trigger_p50", f"{name}, p50", Target("at most", 12, "ms"), p50, "ms", stages_ms=stages, **told),
        Row.alone("trigger_p99", f"{name}, p99", Target("at most", 30, "ms"), p99, "ms", **told),
    ]
