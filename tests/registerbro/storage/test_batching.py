"""Batched calls: each caller has its own answer or its own error, whatever becomes of the others."""

import asyncio
import contextvars
import signal
from contextlib import suppress
from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import ResponseError

from demo.installation import RedisServer
from registerbro.storage.batching import MOST_ITEMS, Batched
from registerbro.storage.lua import Scripts
from registerbro.storage.redis_client import REDIS_DOWN, connect


class Sender:
    """Answers each item with its double, when `may_answer` is set; keeps what it was sent."""

    def __init__(self):
        self.sent = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fails_with = None

    async def __call__(self, items):
        self.sent.append(items)
        await self.may_answer.wait()
        if self.fails_with is not None:
            raise self.fails_with
        return [item if isinstance(item, Exception) else item * 2 for item in items]


@pytest.fixture
async def sender():
    return Sender()


async def test_what_is_asked_for_in_one_turn_is_one_batch_in_order(sender):
    batched = Batched(sender)
    assert await asyncio.gather(*map(batched, range(5))) == [0, 2, 4, 6, 8]
    assert sender.sent == [[0, 1, 2, 3, 4]]


async def test_what_is_asked_for_while_a_batch_is_under_way_is_the_next(sender):
    batched = Batched(sender)
    sender.may_answer.clear()
    first = batched(1)
    await asyncio.sleep(0)
    others = [batched(2), batched(3)]
    await asyncio.sleep(0)
    assert sender.sent == [[1]]
    sender.may_answer.set()
    assert await asyncio.gather(first, *others) == [2, 4, 6]
    assert sender.sent == [[1], [2, 3]]


async def test_a_later_call_is_sent_anew(sender):
    batched = Batched(sender)
    assert [await batched(item) for item in (1, 2)] == [2, 4]
    assert sender.sent == [[1], [2]]


async def test_a_batch_has_no_more_than_so_many_items_and_their_order_is_kept(sender):
    items = list(range(2 * MOST_ITEMS + 1))
    assert await asyncio.gather(*map(Batched(sender), items)) == [item * 2 for item in items]
    assert sender.sent == [items[:MOST_ITEMS], items[MOST_ITEMS:-1], items[-1:]]
    assert MOST_ITEMS == 100


async def test_an_error_of_one_item_is_nobody_elses(sender):
    one, wrong, other = await asyncio.gather(*map(Batched(sender), (1, KeyError("x"), 3)), return_exceptions=True)
    assert (one, repr(wrong), other) == (2, "KeyError('x')", 6)


@pytest.mark.parametrize("error", [ConnectionFailed("gone"), TimeoutError(), OSError(5, "broken")])
async def test_an_error_of_the_batch_is_everybodys_and_each_has_an_exception_of_its_own(sender, error):
    batched = Batched(sender)
    sender.fails_with = error
    found = await asyncio.gather(*map(batched, range(3)), return_exceptions=True)
    assert [(type(one), one.args) for one in found] == [(type(error), error.args)] * 3
    assert len({id(one) for one in (*found, error)}) == 4
    assert all(one.__cause__ is error for one in found)
    sender.fails_with = None
    assert await batched(1) == 2


class NoCopy(Exception):
    def __copy__(self):
        raise TypeError("there is one of me")


async def test_an_error_that_cannot_be_copied_reaches_everybody_all_the_same(sender):
    sender.fails_with = NoCopy()
    found = await asyncio.gather(*map(Batched(sender), range(2)), return_exceptions=True)
    assert found == [sender.fails_with] * 2


@pytest.mark.parametrize("answers", [[], [1], [1, 2, 3]])
async def test_answers_of_another_number_than_items_are_nobodys(answers):
    async def send(_):
        return answers

    found = await asyncio.gather(*map(Batched(send), (1, 2)), return_exceptions=True)
    assert [type(one) for one in found] == [RuntimeError, RuntimeError]


async def test_a_waiter_who_gives_up_takes_nothing_from_the_others(sender):
    batched = Batched(sender)
    sender.may_answer.clear()
    waiting = [asyncio.ensure_future(batched(item)) for item in (1, 2)]
    await asyncio.sleep(0)
    waiting += [asyncio.ensure_future(batched(item)) for item in (3, 4)]
    waiting[0].cancel()
    waiting[2].cancel()
    sender.may_answer.set()
    assert await asyncio.gather(waiting[1], waiting[3]) == [4, 8]
    assert sender.sent == [[1, 2], [4]]


async def test_when_all_have_given_up_nothing_is_sent_and_the_next_is(sender):
    batched = Batched(sender)
    batched(1).cancel()
    await asyncio.sleep(0)
    assert sender.sent == []
    assert await batched(2) == 4


async def test_a_batch_is_sent_in_nobodys_context():
    """Its sender outlives its first caller, and would hold the citizen whom that was about."""
    about = contextvars.ContextVar("about", default=None)
    about.set("a citizen")
    seen = []

    async def send(items):
        seen.append(about.get())
        return items

    await Batched(send)(1)
    assert seen == [None]


def test_at_the_end_of_the_event_loop_nobody_waits_for_ever_and_nobody_counts_as_cancelled():
    found = []

    async def wait(answer):
        try:
            await answer
        except Exception as error:  # noqa: BLE001 - whatever it is
            found.append(error)

    async def main():
        sender = Sender()
        batched = Batched(sender)
        sender.may_answer.clear()
        waiting = [asyncio.create_task(wait(batched(1)))]
        await asyncio.sleep(0)
        waiting += [asyncio.create_task(wait(batched(2)))]
        await asyncio.sleep(0)
        batched._sending.cancel()
        await asyncio.gather(*waiting)
        sender.may_answer.set()
        assert await batched(3) == 6

    asyncio.run(main())
    assert len(found) == 2
    assert all(isinstance(error, REDIS_DOWN) for error in found)


def test_a_loop_that_closes_with_a_batch_under_way_ends(caplog):
    async def main():
        sender = Sender()
        sender.may_answer.clear()
        waiting = asyncio.ensure_future(Batched(sender)(1))
        await asyncio.sleep(0)
        assert sender.sent == [[1]]
        return waiting

    assert isinstance(asyncio.run(main()).exception(), ConnectionAbortedError)
    assert caplog.records == []


@pytest.fixture
def server(tmp_path):
    it = RedisServer("broker", tmp_path).start()
    yield it
    it.stop()


@pytest.fixture
def write(tmp_path):
    (tmp_path / "scripts").mkdir()

    def written(text):
        (tmp_path / "scripts" / "script.lua").write_text(text, encoding="utf-8")
        return str(tmp_path / "module.py")

    return written


@pytest.mark.xdist_group("processes")
async def test_a_server_that_hangs_is_everybodys_time_out_and_one_that_is_back_nobodys(server, write):
    module = write("-- KEYS: count\n-- ITEM ARGV: by\nreturn redis.call('INCRBY', count, by)")
    async with connect(server.url) as client:
        script = Scripts(client, module).load_batched("script")
        await script(count="count", by=1)
        server.process.signal(signal.SIGSTOP)
        try:
            found = await asyncio.gather(
                *(script(count="other count", by=1) for _ in range(150)), return_exceptions=True
            )
        finally:
            server.process.signal(signal.SIGCONT)
        assert all(isinstance(error, REDIS_DOWN) for error in found)
        assert len({id(error) for error in found}) == 150
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await script(count="count", by=1) >= 2
                except REDIS_DOWN:
                    continue
                break


@pytest.mark.xdist_group("processes")
async def test_a_batch_that_an_operator_kills_ends_whole_and_is_everybodys_error(server, write):
    """An item's `pcall` does not catch that, and no next item begins."""
    module = write("-- ITEM ARGV: size:number\nif size > 0 then while true do end end\nreturn size")
    async with connect(server.url, timedelta(minutes=1)) as client, connect(server.url, timedelta(minutes=1)) as other:
        await other.config_set("lua-time-limit", 20)
        script = Scripts(client, module).load_batched("script")
        waiting = [asyncio.ensure_future(script(size=size)) for size in (0, 1, 2, 3)]
        async with asyncio.timeout(60):
            while True:
                # Until it is busy, there is nothing to kill.
                with suppress(ResponseError):
                    await other.script_kill()
                    break
                await asyncio.sleep(0.01)
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(error) for error in found] == [ResponseError] * 4
        assert len({id(error) for error in found}) == 4
        assert await script(size=0) == 0


@pytest.mark.xdist_group("processes")
async def test_a_closed_client_ends_what_waits_for_its_batch(server, write):
    module = write("-- KEYS: count\n-- ITEM ARGV: by\nreturn redis.call('INCRBY', count, by)")
    client = connect(server.url)
    script = Scripts(client, module).load_batched("script")
    await script(count="count", by=1)
    server.process.signal(signal.SIGSTOP)
    try:
        waiting = [asyncio.ensure_future(script(count="count", by=1)) for _ in range(3)]
        await asyncio.sleep(0.01)
        await client.aclose()
        async with asyncio.timeout(10):
            found = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        server.process.signal(signal.SIGCONT)
    assert [type(error) for error in found] == [ConnectionFailed] * 3
