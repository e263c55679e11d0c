"""Which sessions have ended, over processes, and while their Redis is away."""

import signal
from contextlib import suppress

import pytest

from demo.ended_sessions import EndedSessions
from registerbro.storage.keys import ended_key
from registerbro.storage.redis_client import REDIS_DOWN

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
async def processes(make_settings):
    both = [EndedSessions(make_settings()) for _ in range(2)]
    yield both
    for one in both:
        await one.close()


async def test_a_session_that_one_process_ended_is_ended_in_all(processes, services):
    one, other = processes
    assert not await other.has("mark")
    await one.record("mark", 60)
    assert (await one.has("mark"), await other.has("mark"), await other.has("another")) == (True, True, False)
    assert 50 < await services.coordination.ttl(ended_key("mark")) <= 60


@pytest.mark.parametrize("how", ["stopped", "frozen"])
async def test_without_redis_a_process_knows_of_its_own_and_a_page_is_there(processes, redis_servers, how):
    one, other = processes
    server = redis_servers["broker"]
    server.stop() if how == "stopped" else server.process.signal(signal.SIGSTOP)
    try:
        await one.record("mark", 60)
        assert await one.has("mark")
        assert not await other.has("mark")
    finally:
        server.start() if how == "stopped" else server.process.signal(signal.SIGCONT)
    # What was sent to a frozen server is answered now.
    for process in processes:
        with suppress(*REDIS_DOWN):
            await process._redis.ping()
