"""The end of the server: what is under way is cut off after a while, in one line and without a traceback."""

import asyncio

import pytest

from portal.shutdown import Shutdown, ShutdownMiddleware


def scope():
    return {"type": "http"}


async def test_a_request_that_the_end_cuts_off_is_one_line(logged):
    begun, shutdown = asyncio.Event(), Shutdown()

    async def waits(*_):
        begun.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(ShutdownMiddleware(waits, shutdown)(scope(), None, None))
    await begun.wait()
    shutdown.begin_shutdown()
    request.cancel()
    await request
    assert [(one["event"], one["log_level"]) for one in logged] == [("request_cut_off", "warning")]


async def test_a_request_that_something_else_cuts_off_ends_as_ever(logged):
    async def waits(*_):
        await asyncio.Event().wait()

    request = asyncio.create_task(ShutdownMiddleware(waits, Shutdown())(scope(), None, None))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not logged


async def test_who_waits_hears_of_the_ending_whether_it_begins_before_or_after():
    found = []

    async def looks(own, *_):
        found.append(Shutdown.of(own))

    shutdown = Shutdown()
    await ShutdownMiddleware(looks, shutdown)(scope(), None, None)
    assert found == [shutdown]
    before, after, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
    with shutdown.wakes(gone):
        pass
    with shutdown.wakes(before):
        shutdown.begin_shutdown()
    with shutdown.wakes(after):
        assert (before.is_set(), after.is_set(), gone.is_set()) == (True, True, False)


def test_without_a_server_that_says_so_there_is_no_ending():
    assert not Shutdown.of(scope()).begun
