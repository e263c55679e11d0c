"""Redis clients answer soon or fail soon, and a restart of the server is nobody's failure."""

import asyncio
import signal

import pytest

from ops.local import RedisServer
from workers.connections import REDIS_DOWN, connect

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
def server(tmp_path):
    it = RedisServer("broker", tmp_path).start()
    yield it
    it.stop()


@pytest.fixture
async def client(server):
    it = connect(server.url)
    yield it
    await it.aclose()


async def test_after_a_restart_no_command_fails_over_a_connection_that_was_kept(server, client):
    kept = 8
    await asyncio.gather(*(client.blpop("nothing", timeout=0.1) for _ in range(kept)))
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    assert [await client.incr("count") for _ in range(2 * kept)] == list(range(1, 2 * kept + 1))


async def test_without_a_server_a_command_fails_at_once(server, client):
    await asyncio.to_thread(server.stop)
    with pytest.raises(REDIS_DOWN):
        await client.get("key")


async def test_a_frozen_server_is_not_asked_twice(server, client):
    await client.set("key", "value")
    server.process.signal(signal.SIGSTOP)
    try:
        with pytest.raises(REDIS_DOWN):
            await client.incr("count")
    finally:
        server.process.signal(signal.SIGCONT)
    async with asyncio.timeout(30):
        while await client.exists("count") == 0:
            pass
    assert await client.get("count") == b"1"
