"""Canary task of each queue: it leaves the mark which says that the queue is consumed, and does nothing else.

Every other task leaves the mark as well, so that a queue counts as consumed when the canary waits at its end, or is not
sent because the queue is too long.
"""

import time
from typing import Any

import structlog
from celery import shared_task, signals
from redis.asyncio import Redis

from config.celery import HEARTBEAT_EVERY, QUEUES
from registerbro.storage.coordination.queue_liveness import mark
from registerbro.storage.redis_client import REDIS_DOWN
from workers.process import current

log = structlog.get_logger()

_marked: dict[str, float] = {}
"""Queue → when this process last left its mark, in seconds of the monotonic clock."""


def make_task(service: str) -> None:
    """Makes `<service>.alive`, whose only argument is the queue that it was sent to."""

    @shared_task(name=f"{service}.alive")
    async def alive(queue: str) -> None:
        if await _mark_quietly(current.event_loop().services.coordination, queue):
            _marked[queue] = time.monotonic()


@signals.task_postrun.connect
def _mark_soon(task: Any = None, **_: object) -> None:  # noqa: ANN401 - a Celery task
    """Leaves the mark of the queue that the task came from, if its last is old; nothing waits for it."""
    queue = (task.request.delivery_info or {}).get("routing_key")
    now = time.monotonic()
    if queue not in QUEUES or now - _marked.get(queue, float("-inf")) < HEARTBEAT_EVERY.total_seconds():
        return
    try:
        process = current.event_loop()
    except RuntimeError:
        # The client is closed: this worker is shutting down, and needs no mark.
        return
    _marked[queue] = now
    process.submit(_mark_quietly(process.services.coordination, queue))


async def _mark_quietly(coordination: Redis, queue: str) -> bool:
    """Whether the mark was left: without its Redis it is not, which is no defect of the task."""
    try:
        await mark(coordination, queue)
    except REDIS_DOWN as error:
        log.info("canary_not_recorded", queue=queue, detail=type(error).__name__)
        return False
    return True
