"""Queue liveness: a mark per queue on the coordination server says that its tasks were run a moment ago.

A worker process that is up may still be stuck, so liveness is told from tasks that end and not from processes.
"""

import asyncio
import time
from collections.abc import Iterable

from redis.asyncio import Redis

from config.celery import HEARTBEAT_KEPT_FOR
from registerbro.storage.keys import alive_key

_too_long: dict[str, float] = {}
"""Queue → since when (monotonic seconds) this process has seen a mark of it that lasts longer than marks are kept."""


async def mark(coordination: Redis, queue: str) -> None:
    """Records that a task of this queue ended just now. Raises REDIS_DOWN errors."""
    await coordination.set(alive_key(queue), b"1", px=HEARTBEAT_KEPT_FOR)


async def consumed(coordination: Redis, queues: Iterable[str]) -> dict[str, bool]:
    """Whether each queue is consumed. Raises REDIS_DOWN errors.

    Redis ends a mark by its own clock. After that clock is set back, a mark lasts longer than marks are kept, and says
    nothing about now: a live worker gets as long as a mark is kept to leave another.
    """
    queues = tuple(queues)
    lasting = await asyncio.gather(*(coordination.pttl(alive_key(queue)) for queue in queues))
    return {queue: _is_consumed(queue, left) for queue, left in zip(queues, lasting, strict=True)}


def _is_consumed(queue: str, left: int) -> bool:
    """`left` is how many ms the mark lasts: -1 without end, -2 without a mark."""
    kept_for = HEARTBEAT_KEPT_FOR.total_seconds()
    if left == -1 or left > kept_for * 1000:
        return time.monotonic() - _too_long.setdefault(queue, time.monotonic()) <= kept_for
    _too_long.pop(queue, None)
    return left > 0
