"""The end of the server: what is under way is cut off after a while, in one line and without a traceback."""

import asyncio

import pytest

from portal.ending import Ending, Ends


def scope():
    return {"type": "http"}


async def test_a_request_that_the_end_cuts_off_is_one_line(logged):
    begun, ending = asyncio.Event(), Ending()

    async def waits(*_):
        begun.set()
        await asyncio.Event().wait()

    request = asyncio.create_task(Ends(waits, ending)(scope(), None, None))
    await begun.wait()
    ending.begin()
    request.cancel()
    await request
    assert [(one["event"], one["log_level"]) for one in logged] == [("request_cut_off", "warning")]


async def test_a_request_that_something_else_cuts_off_ends_as_ever(logged):
    async def waits(*_):
        await asyncio.Event().wait()

    request = asyncio.create_task(Ends(waits, Ending())(scope(), None, None))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert not logged


async def test_who_waits_hears_of_the_ending_whether_it_begins_before_or_after():
    found = []

    async def looks(own, *_):
        found.append(Ending.of(own))

    ending = Ending()
    await Ends(looks, ending)(scope(), None, None)
    assert found == [ending]
    before, after, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
    with ending.wakes(gone):
        pass
    with ending.wakes(before):
        ending.begin()
    with ending.wakes(after):
        assert (before.is_set(), after.is_set(), gone.is_set()) == (True, True, False)


def test_without_a_server_that_says_so_there_is_no_ending():
    assert not Ending.of(scope()).begun
