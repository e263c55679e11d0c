"""Whether somebody works: a mark per queue that its tasks leave, since a process that is there may still do nothing.

Beat sends each queue a task that does nothing else. The others leave the mark as well, so that a queue which has become
too long to be sent that one, or has it at its end, does not count as one that nobody consumes.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

import structlog
from celery import shared_task, signals
from redis.asyncio import Redis

from config.celery import HEARTBEAT_EVERY, HEARTBEAT_KEPT_FOR, QUEUES
from workers import runtime
from workers.connections import REDIS_DOWN

log = structlog.get_logger()

_marked: dict[str, float] = {}
"""Queue → when this process last left its mark, in seconds of the monotonic clock."""
_too_long: dict[str, float] = {}
"""Queue → since when this process sees a mark of it that lasts longer than any is kept, likewise."""


def make_task(service: str) -> None:
    """Makes `<service>.alive`, whose only argument is the queue that it was sent to."""

    @shared_task(name=f"{service}.alive")
    def alive(queue: str) -> None:
        process = runtime.current()
        if process.run(_mark_quietly(process.services.coordination, queue)):
            _marked[queue] = time.monotonic()


@signals.task_postrun.connect
def _mark_soon(task: Any = None, **_: object) -> None:  # noqa: ANN401 - a Celery task
    """Leaves the mark of the queue that the task came from, if its last is old; nothing waits for it."""
    queue = (task.request.delivery_info or {}).get("routing_key")
    now = time.monotonic()
    if queue not in QUEUES or now - _marked.get(queue, float("-inf")) < HEARTBEAT_EVERY.total_seconds():
        return
    try:
        process = runtime.current()
    except RuntimeError:
        # It has been closed: this worker is at its end, and its mark is nobody's concern.
        return
    _marked[queue] = now
    process.submit(_mark_quietly(process.services.coordination, queue))


async def _mark_quietly(coordination: Redis, queue: str) -> bool:
    """Whether the mark was left: without its Redis it is not, which is no defect of the task."""
    try:
        await mark(coordination, queue)
    except REDIS_DOWN as error:
        log.info("mark_not_left", queue=queue, detail=type(error).__name__)
        return False
    return True


async def mark(coordination: Redis, queue: str) -> None:
    """Notes that a task of this queue was carried out just now. Raises REDIS_DOWN errors."""
    await coordination.set(_key(queue), b"1", px=HEARTBEAT_KEPT_FOR)


async def consumed(coordination: Redis, queues: Iterable[str]) -> dict[str, bool]:
    """Of each queue, whether its tasks are carried out. Raises REDIS_DOWN errors.

    Redis ends a mark by its own clock. When that is put back, a mark lasts longer than any is kept, and says nothing of
    now: whoever is alive has as long as a mark is kept to leave another.
    """
    queues = tuple(queues)
    lasting = await asyncio.gather(*(coordination.pttl(_key(queue)) for queue in queues))
    return {queue: _is_consumed(queue, left) for queue, left in zip(queues, lasting, strict=True)}


def _is_consumed(queue: str, left: int) -> bool:
    """By how many ms the mark lasts: -1 without end, -2 when there is none."""
    kept_for = HEARTBEAT_KEPT_FOR.total_seconds()
    if left == -1 or left > kept_for * 1000:
        return time.monotonic() - _too_long.setdefault(queue, time.monotonic()) <= kept_for
    _too_long.pop(queue, None)
    return left > 0


def _key(queue: str) -> str:
    return f"alive:{queue}"
