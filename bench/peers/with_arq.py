"""arq: `python -m bench.peers.with_arq (publish N | work)`.

A job stays in Redis until it has ended, which is its acknowledgement. Results are not kept, as with the others.
"""

import asyncio
import sys
from typing import Any

from arq import create_pool, func, run_worker
from arq.connections import RedisSettings

from bench.peers.aio import Fetcher
from bench.peers.work import AT_ONCE, BROKER
from bench.people import numbers


async def fetch(context: dict[str, Any], cpr: str) -> None:
    """The job."""
    await context["fetcher"].fetch(cpr)


async def _startup(context: dict[str, Any]) -> None:
    context["fetcher"] = Fetcher()


class WorkerSettings:
    """As arq's documentation names them; `poll_delay` and `max_jobs` are what it has for more throughput."""

    functions = (func(fetch, name="fetch", keep_result=0),)
    redis_settings = RedisSettings.from_dsn(BROKER)
    on_startup = _startup
    max_jobs = AT_ONCE
    poll_delay = 0.02


async def _publish(count: int) -> None:
    pool = await create_pool(WorkerSettings.redis_settings)
    for cpr in numbers(count):
        await pool.enqueue_job("fetch", cpr)
    await pool.aclose()


if __name__ == "__main__":
    if sys.argv[1] == "publish":
        asyncio.run(_publish(int(sys.argv[2])))
    else:
        asyncio.set_event_loop(asyncio.new_event_loop())
        run_worker(WorkerSettings)
