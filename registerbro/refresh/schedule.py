"""Schedule of a register: takes due citizens from the timetable, and sends them in chunks to the bulk queue.

It takes as many as the register's rate allows. It holds no state: a run may come twice, late, or never.
"""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

from config.celery import (
    SCHEDULE_EVERY,
    bulk,
)
from config.settings import RegisterSettings
from domain.service_windows import closed_until
from redis_admission import Override, State
from registerbro.messaging import backlog
from registerbro.messaging.backlog import Backlog
from registerbro.refresh.register import send_many
from registerbro.services import Services
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

CHUNK = 50
"""Citizens per message: a message then costs little beside a fetch, and a killed worker holds few."""
TAKEN_FOR = timedelta(minutes=10)
"""How long a chunk may take from its sending to its end, before its citizens are due again: 50 refreshes, ten at a
time, of a register at its slowest, and the queue before them."""
OUTSTANDING_FOR = timedelta(seconds=30)
"""How much of the rate may be on its way: more is not sent while the workers do not keep up."""


async def run(services: Services, register: str) -> int:
    """Sends the citizens who are due, in chunks. Returns their number.

    Sends none in a service window, while the breaker is open or forced open, or while the bulk queue is long: chunks
    that wait there count as lost in time, and each run would add its own. Once the breaker's time has passed, it sends
    as many citizens as the breaker lets probe, due or not, so that it closes without a citizen waiting for that.
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
    """The largest number of citizens to take, and whether before they are due; None while the register is spared."""
    seen = await services.admission(register).status()
    if seen.get("override") == Override.FORCED_OPEN:
        return None
    if "override" not in seen and seen.get("state") == State.OPEN and float(seen["open_until"]) > float(seen["now"]):
        return None
    if "override" not in seen and seen.get("state") in {State.OPEN, State.HALF_OPEN}:
        return settings.admission.probes, True
    return _outstanding(settings), False


_backlog = Backlog()


def _is_long(queue: str) -> bool:
    """Whether the queue is too long to send more to. Raises OperationalError."""
    with current_app.pool.acquire(block=True) as connection:
        return _backlog.holds_back(queue, backlog.waiting(connection, queue))


def _outstanding(settings: RegisterSettings) -> int:
    return max(CHUNK, round(settings.scheduled_per_second * OUTSTANDING_FOR.total_seconds()))


async def _send(services: Services, register: str, citizen_ids: tuple[str, ...], *, early: bool) -> int:
    """Publishes the chunks; citizens whose chunk the broker does not take are due again at once."""
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
