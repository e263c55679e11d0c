"""Timeout of Redis commands: it counts the server's own silence, and neither a busy process nor a busy server."""

import asyncio
import signal
import time

import pytest

from redis_admission import REDIS_AWAY
from redis_admission.timeout import RedisTimeout


async def test_a_silent_server_gets_no_more_time_than_it_is_granted():
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with RedisTimeout(0.01, lambda: 0):
            await asyncio.Event().wait()
    assert time.monotonic() - began >= 0.01


async def test_a_process_that_was_busy_is_not_the_servers_slowness():
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    async with RedisTimeout(0.05, lambda: 0):
        loop.call_soon(time.sleep, 0.2)
        loop.call_later(0.06, answer.set_result, "in time")
        assert await answer == "in time"


async def test_a_server_that_answers_other_commands_meanwhile_is_not_silent(client):
    answers = 0
    async with RedisTimeout(0.05, lambda: answers):
        for _ in range(20):
            await client.ping()
            answers += 1
            await asyncio.sleep(0.01)


async def test_a_block_that_ends_in_time_leaves_no_timer_behind():
    async with RedisTimeout(0.01, lambda: 0) as nothing:
        assert nothing is None
    await asyncio.sleep(0.03)


async def test_a_busy_process_gives_a_frozen_server_up_when_the_connection_does(redis_server, client):
    async def work():
        while True:
            time.sleep(0.02)  # noqa: ASYNC251 - what it is to be busy
            await asyncio.sleep(0)

    await client.ping()
    busy = asyncio.create_task(work())
    redis_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(REDIS_AWAY):
            async with RedisTimeout(0.05, lambda: 0):
                await client.ping()
    finally:
        redis_server.signal(signal.SIGCONT)
        busy.cancel()
