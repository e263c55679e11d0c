"""taskiq over Redis streams, which acknowledges what has run: `taskiq worker bench.peers.with_taskiq:broker`.

`python -m bench.peers.with_taskiq N` publishes. uvloop is installed beside it (`taskiq[uv]`), and its worker uses that
by itself.
"""

import asyncio
import sys

from taskiq import TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

from bench.peers.aio import Fetcher
from bench.peers.work import AT_ONCE, BROKER
from bench.people import numbers

broker = RedisStreamBroker(BROKER, xread_count=AT_ONCE)
_fetchers: list[Fetcher] = []


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def _startup(_: TaskiqState) -> None:
    _fetchers.append(Fetcher())


@broker.task(task_name="fetch")
async def fetch(cpr: str) -> None:
    """The task."""
    await _fetchers[0].fetch(cpr)


async def _publish(count: int) -> None:
    await broker.startup()
    for cpr in numbers(count):
        await fetch.kiq(cpr)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(_publish(int(sys.argv[1])))
