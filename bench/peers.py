"""The same fetch for every queue that bench/transport.py compares, and the workers of those that are not Celery.

It runs in an environment of its own: `python bench/peers.py (arq|taskiq) (publish N|work)`, or `upstream`.
"""

import asyncio
import os
import sys

import aiohttp
from aiohttp import web
from redis.asyncio import Redis

AT_ONCE = 100
UPSTREAM_SECONDS = 0.2

_clients: dict[str, object] = {}


async def fetch(number: int) -> None:
    """Asks the upstream, and stores its answer."""
    if not _clients:
        _clients["http"] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))
        _clients["redis"] = Redis.from_url(os.environ["PEERS_STORE"])
    async with _clients["http"].get(os.environ["PEERS_UPSTREAM"]) as answer:
        body = await answer.read()
    await _clients["redis"].set(f"answer:{number}", body)


def upstream() -> None:
    """Answers 4 KB after 200 ms."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(UPSTREAM_SECONDS)
        return web.json_response({"data": "x" * 4000})

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        print(f"http://{host}:{port}/", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


def arq(action: str, count: int) -> None:
    """Arq keeps a job until it has ended, so that is its acknowledgement."""
    from arq import create_pool, func, run_worker  # noqa: PLC0415 - not installed everywhere
    from arq.connections import RedisSettings  # noqa: PLC0415 - as above

    redis_settings = RedisSettings.from_dsn(os.environ["PEERS_BROKER"])

    async def job(_: dict, number: int) -> None:
        await fetch(number)

    async def publish() -> None:
        pool = await create_pool(redis_settings)
        for number in range(count):
            await pool.enqueue_job("fetch", number)

    if action == "publish":
        asyncio.run(publish())
    else:
        asyncio.set_event_loop(asyncio.new_event_loop())
        run_worker(
            {
                "functions": [func(job, name="fetch", keep_result=0)],
                "redis_settings": redis_settings,
                "max_jobs": AT_ONCE,
                "poll_delay": 0.02,
            }
        )


def taskiq(action: str, count: int) -> None:
    """Taskiq over Redis streams, which acknowledges what has run."""
    from taskiq.api import run_receiver_task  # noqa: PLC0415 - not installed everywhere
    from taskiq_redis import RedisStreamBroker  # noqa: PLC0415 - as above

    broker = RedisStreamBroker(url=os.environ["PEERS_BROKER"])
    task = broker.register_task(fetch, task_name="fetch")

    async def publish() -> None:
        await broker.startup()
        for number in range(count):
            await task.kiq(number)
        await broker.shutdown()

    async def work() -> None:
        broker.is_worker_process = True
        await broker.startup()
        await run_receiver_task(broker, max_async_tasks=AT_ONCE)

    asyncio.run(publish() if action == "publish" else work())


if __name__ == "__main__":
    if sys.argv[1] == "upstream":
        upstream()
    else:
        {"arq": arq, "taskiq": taskiq}[sys.argv[1]](sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 0)
