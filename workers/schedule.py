"""Everything that happens by itself: what beat sends, when and to which queue; and how the schedule refreshes pages.

A register's schedule takes the citizens who are due from the timetable, as many as its rate allows, and sends them in
chunks to the register's bulk queue. It holds nothing itself: a run may come twice, late, or never.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery import current_app, shared_task
from kombu.exceptions import OperationalError

from config.celery import (
    BOOKING_VENDOR,
    DELIVER_EVERY,
    HEARTBEAT_EVERY,
    REGISTERS,
    SCHEDULE_EVERY,
    SCHEDULED,
    SWEEP_EVERY,
    TIDY_EVERY,
    WORKERS,
    bulk,
)
from config.settings import RegisterSettings
from config.windows import closed_until
from workers import backlog, runtime
from workers.backlog import Backlog
from workers.connections import REDIS_DOWN
from workers.register import send_many
from workers.resilience.admission import Override, State
from workers.runtime import Services

log = structlog.get_logger()

CHUNK = 50
"""Citizens per message: what a message costs is then nothing beside a fetch, and a killed worker holds few."""
TAKEN_FOR = timedelta(minutes=10)
"""How long a chunk may take from its sending to its end, before its citizens are due again: 50 refreshes, ten at a
time, of a register at its slowest, and the queue before them."""
OUTSTANDING_FOR = timedelta(seconds=30)
"""How much of the rate may be on its way: more is not sent while the workers do not keep up."""


def entries() -> dict[str, dict[str, Any]]:
    """Beat's schedule: entry → task, period and queue."""
    return {
        **{f"{name}.sweep": _every(SWEEP_EVERY, f"{name}.sweep") for name in REGISTERS},
        **{f"{name}.schedule": _every(SCHEDULE_EVERY, f"{name}.schedule") for name in SCHEDULED},
        f"{BOOKING_VENDOR}.deliver_due": _every(DELIVER_EVERY, f"{BOOKING_VENDOR}.deliver_due"),
        f"{BOOKING_VENDOR}.tidy": _every(TIDY_EVERY, f"{BOOKING_VENDOR}.tidy"),
        **{
            f"{queue}.alive": _every(HEARTBEAT_EVERY, f"{name}.alive", queue)
            for name, queues in WORKERS.items()
            for queue in queues
        },
    }


def _every(interval: timedelta, task: str, queue: str | None = None) -> dict[str, Any]:
    """An entry of the schedule; a task that is given its `queue` is told which it is.

    No message of it expires, as that would take two clocks that agree (`workers/backlog.py`).
    """
    return {
        "task": task,
        "schedule": interval,
        "args": [] if queue is None else [queue],
        "options": {"queue": queue or task.partition(".")[0]},
    }


async def run(services: Services, register: str) -> int:
    """Sends for the citizens who are due, in chunks. Returns how many those were.

    None in a service window, while the breaker is open, while an operator keeps everybody away, or while the bulk
    queue is long: its chunks are taken for lost in time, and nobody who consumes it would have those of every run.
    Once the breaker's time has passed, as many as it lets try, due or not: so it closes without a citizen waiting for
    that.
    """
    settings = services.settings.register(register)
    if closed_until(settings.service_windows, datetime.now(UTC)) is not None:
        return 0
    try:
        wanted = await _wanted(services, register, settings)
        if wanted is None:
            return 0
        if await asyncio.to_thread(_is_long, bulk(register)):
            return 0
        most, early = wanted
        citizen_ids = await services.timetable.take(
            register,
            most,
            per_second=settings.scheduled_per_second,
            burst=2 * SCHEDULE_EVERY,
            outstanding=_outstanding(settings),
            taken_for=TAKEN_FOR,
            early=early,
        )
        return await _send(services, register, citizen_ids, early=early)
    except (OperationalError, *REDIS_DOWN) as error:
        log.error("schedule_not_possible", register=register, detail=type(error).__name__)
        return 0


async def _wanted(services: Services, register: str, settings: RegisterSettings) -> tuple[int, bool] | None:
    """How many citizens to take at the most, and whether also early; None while the register is spared."""
    seen = await services.admission(register).shared.look()
    if seen.get("override") == Override.FORCED_OPEN:
        return None
    if "override" not in seen and seen.get("state") == State.OPEN and float(seen["open_until"]) > float(seen["now"]):
        return None
    if "override" not in seen and seen.get("state") in {State.OPEN, State.HALF_OPEN}:
        return settings.admission.probes, True
    return _outstanding(settings), False


_backlog = Backlog()


def _is_long(queue: str) -> bool:
    """Whether nothing more is to be sent there. Raises OperationalError."""
    with current_app.pool.acquire(block=True) as connection:
        return _backlog.holds_back(queue, backlog.waiting(connection, queue))


def _outstanding(settings: RegisterSettings) -> int:
    return max(CHUNK, round(settings.scheduled_per_second * OUTSTANDING_FOR.total_seconds()))


async def _send(services: Services, register: str, citizen_ids: tuple[str, ...], *, early: bool) -> int:
    """Publishes the chunks; what the broker does not take is due again at once."""
    unsent = list(citizen_ids)
    try:
        for chunk in _chunks(citizen_ids):
            await asyncio.to_thread(send_many, register, chunk, early=early)
            del unsent[: len(chunk)]
    except (OperationalError, *REDIS_DOWN) as error:
        log.error("schedule_not_sent", register=register, citizens=len(unsent), detail=type(error).__name__)
        await services.timetable.put_back(register, unsent, timedelta(0))
    return len(citizen_ids) - len(unsent)


def _chunks(citizen_ids: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(citizen_ids), CHUNK):
        yield citizen_ids[first : first + CHUNK]


def _make_task(register: str) -> None:
    @shared_task(name=f"{register}.schedule")
    def schedule() -> None:
        process = runtime.current()
        process.run(run(process.services, register))


for _register in REGISTERS:
    _make_task(_register)
