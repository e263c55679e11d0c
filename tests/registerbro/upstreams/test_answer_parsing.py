"""Long answers: read in a thread, within the caller's time, and never to be lost when they are about another person."""

import asyncio
import threading
from contextvars import ContextVar
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from registerbro.upstreams import errors
from registerbro.upstreams.answer_parsing import LONGEST_READ_AT_ONCE, THREADS, Reader
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from tests.registerbro.upstreams.conftest import answering
from tests.registerbro.upstreams.test_pipeline import Counted

SHORT, LONG = LONGEST_READ_AT_ONCE, LONGEST_READ_AT_ONCE + 1
PATIENCE = 30
"""Seconds after which a test that would wait for ever fails instead."""

who = ContextVar("who", default="nobody")


def exchange(read):
    return Exchange(lambda _: Question("GET", "/"), read)


def answer_of(length):
    return Answer(200, "application/json", "utf-8", b" " * length)


@pytest.fixture
def reader():
    it = Reader("test")
    yield it
    it.close()


@pytest.fixture
def impatient(http, upstream_settings, breaker):
    settings = upstream_settings.model_copy(update={"attempt_timeout": timedelta(seconds=1), "max_attempts": 1})
    return Upstream("test", settings, http, breaker, NoTrail())


@pytest.fixture
def held():
    """A reading that goes on until the test lets it: `begun`, `go_on`, `ended`."""

    class Held:
        def __init__(self):
            self.begun, self.go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
            self.comes_to = None

        def read(self, _):
            self.begun.set()
            self.go_on.wait(PATIENCE)
            try:
                if isinstance(self.comes_to, BaseException):
                    raise self.comes_to
                return self.comes_to
            finally:
                self.ended.set()

    it = Held()
    yield it
    it.go_on.set()


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - a thread brings it about
            await asyncio.sleep(0.01)


async def test_the_event_loop_goes_on_while_a_long_answer_is_read(upstream, server):
    begun, ticked = threading.Event(), threading.Event()

    def read(answer):
        begun.set()
        # Only the loop can end this, and only while it is not held up by this.
        return ticked.wait(PATIENCE), len(answer.body)

    async def tick():
        await until(begun.is_set)
        for _ in range(100):
            await asyncio.sleep(0)
        ticked.set()

    server.answers = [answering(body=b" " * LONG)]
    ticking = asyncio.create_task(tick())
    assert await upstream.ask(exchange(read)) == (True, LONG)
    await ticking


@pytest.mark.parametrize(("length", "here"), [(0, True), (SHORT, True), (LONG, False)])
async def test_only_a_long_answer_is_worth_a_thread(reader, length, here):
    thread = await reader.read(lambda _: threading.current_thread(), answer_of(length), PATIENCE, pytest.fail)
    assert (thread is threading.current_thread()) is here
    assert here or thread.name.startswith("read test")


@pytest.mark.parametrize("length", [SHORT, LONG])
async def test_a_reading_knows_the_context_of_who_asks(reader, length):
    who.set("somebody")
    assert await reader.read(lambda _: who.get(), answer_of(length), PATIENCE, pytest.fail) == "somebody"


@pytest.mark.parametrize("length", [SHORT, LONG])
@pytest.mark.parametrize("error", [errors.InvalidResponse, errors.WrongPerson, ZeroDivisionError, TimeoutError])
async def test_what_a_reading_raises_is_raised(upstream, server, length, error):
    def read(_):
        raise error

    server.answers = [answering(body=b" " * length)]
    with pytest.raises(error):
        await upstream.ask(exchange(read))


async def test_nobody_waits_longer_for_a_reading_than_for_an_answer(impatient, server, held):
    server.answers = [answering(body=b" " * LONG)]
    counted = Counted()
    with pytest.raises(errors.UpstreamTimeout):
        await impatient.ask(exchange(held.read))
    assert held.begun.is_set()
    assert not held.ended.is_set()
    assert counted.changed() == {"upstream_calls": ("test", "timeout")}


async def test_another_persons_answer_that_is_read_too_late_cuts_the_upstream_off_all_the_same(
    impatient, server, held, breaker, logged
):
    server.answers = [answering(body=b" " * LONG)]
    with pytest.raises(errors.UpstreamTimeout):
        await impatient.ask(exchange(held.read))
    assert breaker.state == "closed"
    counted = Counted()
    held.comes_to = errors.WrongPerson()
    held.go_on.set()
    await until(lambda: breaker.state == "forced_open")
    assert counted.changed() == {"alarms": ("test", "wrong_person")}
    (line,) = [line for line in logged if line["log_level"] == "critical"]
    facts = {"upstream": "test", "outcome": "wrong_person", "detail": "wrong_person"}
    assert line == {"event": "upstream_alarm", "log_level": "critical", "request_id": server.request_ids[0]} | facts


async def test_another_persons_answer_cuts_the_upstream_off_though_who_asked_was_cancelled(
    upstream, server, held, breaker
):
    server.answers = [answering(body=b" " * LONG)]
    asking = asyncio.create_task(upstream.ask(exchange(held.read)))
    await until(held.begun.is_set)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    held.comes_to = errors.WrongPerson()
    held.go_on.set()
    await until(lambda: breaker.state == "forced_open")


@pytest.mark.parametrize("comes_to", ["data", errors.InvalidResponse(), ZeroDivisionError()], ids=repr)
async def test_whatever_else_comes_too_late_changes_nothing(impatient, server, held, breaker, comes_to):
    server.answers = [answering(body=b" " * LONG)]
    with pytest.raises(errors.UpstreamTimeout):
        await impatient.ask(exchange(held.read))
    counted = Counted()
    held.comes_to = comes_to
    held.go_on.set()
    await until(held.ended.is_set)
    for _ in range(10):
        await asyncio.sleep(0)
    assert (breaker.state, counted.changed()) == ("closed", {})


async def test_what_has_not_begun_when_its_time_is_up_never_begins(reader, held):
    holding = [
        asyncio.create_task(reader.read(held.read, answer_of(LONG), PATIENCE, pytest.fail)) for _ in range(THREADS)
    ]
    await until(held.begun.is_set)
    begun = []
    with pytest.raises(errors.UpstreamTimeout):
        await reader.read(begun.append, answer_of(LONG), 0.05, pytest.fail)
    held.go_on.set()
    await asyncio.gather(*holding)
    assert await reader.read(lambda _: "next", answer_of(LONG), PATIENCE, pytest.fail) == "next"
    assert begun == []


async def test_how_a_long_answer_ended_is_on_record_as_of_any_other(upstream, server):
    def calls():
        return REGISTRY.get_sample_value(
            "registerbro_upstream_calls_total", {"upstream": "test", "outcome": "answered"}
        )

    server.answers = [answering(body=b" " * LONG)]
    before = calls() or 0
    await upstream.ask(exchange(lambda answer: len(answer.body)))
    assert calls() == before + 1
