"""Whether somebody works: a task per queue that leaves a mark, since a process that is there may still do nothing."""

from collections.abc import Iterable

from celery import shared_task
from redis.asyncio import Redis

from config.celery import HEARTBEAT_KEPT_FOR
from workers import runtime


def make_task(service: str) -> None:
    """Makes `<service>.alive`, whose only argument is the queue that it was sent to."""

    @shared_task(name=f"{service}.alive")
    def alive(queue: str) -> None:
        process = runtime.current()
        process.run(mark(process.services.coordination, queue))


async def mark(coordination: Redis, queue: str) -> None:
    """Notes that a task of this queue was carried out just now. Raises REDIS_DOWN errors."""
    await coordination.set(_key(queue), b"1", px=HEARTBEAT_KEPT_FOR)


async def consumed(coordination: Redis, queues: Iterable[str]) -> dict[str, bool]:
    """Of each queue, whether its tasks are carried out. Raises REDIS_DOWN errors."""
    queues = tuple(queues)
    marks = await coordination.mget([_key(queue) for queue in queues])
    return {queue: mark is not None for queue, mark in zip(queues, marks, strict=True)}


def _key(queue: str) -> str:
    return f"alive:{queue}"
