"""Two calls at the same time: their results together, or the first failure."""

import asyncio

import pytest

from registerbro.upstreams.errors import UpstreamTimeout, UpstreamUnavailable
from workers.dfdg_gateway.two_calls import both


async def giving(value, *, after=None):
    if after is not None:
        await after.wait()
    return value


async def failing(error, *, after=None):
    if after is not None:
        await after.wait()
    raise error


async def test_the_results_are_in_the_order_of_the_calls_and_not_of_their_ends():
    ended = asyncio.Event()

    async def last():
        ended.set()
        return 2

    assert await both(giving(1, after=ended), last()) == (1, 2)


@pytest.mark.parametrize("failing_first", [True, False])
async def test_one_that_fails_is_the_failure_and_the_other_is_cancelled(failing_first):
    cancelled = []

    async def for_ever():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    calls = [failing(UpstreamTimeout("x")), for_ever()]
    with pytest.raises(UpstreamTimeout, match="x"):
        await both(*(calls if failing_first else reversed(calls)))
    assert cancelled == [True]


async def test_of_two_failures_the_first_is_raised():
    ended = asyncio.Event()

    async def first():
        ended.set()
        raise UpstreamUnavailable("first")

    with pytest.raises(UpstreamUnavailable, match="first"):
        await both(failing(UpstreamTimeout("later"), after=ended), first())


async def test_a_cancelled_fetch_cancels_both():
    under_way, ended = asyncio.Barrier(3), []

    async def call(name):
        await under_way.wait()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    task = asyncio.create_task(both(call("a"), call("b")))
    await under_way.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == ["a", "b"]
