"""The steady clock: it goes on by what has passed, and a server's clock that is set changes nothing."""

import asyncio
from datetime import timedelta

import pytest

from redis_admission.clock import LATE
from registerbro.storage.steady_clock import Steady

START = 1_700_000_000_000
SECOND, HOUR, WEEK = 1000, 3_600_000, 7 * 86_400_000
KEY = "a:clock"
READ = "return {now, time}"


class Times:
    """A server's clock, which may be set, and the time that passes."""

    def __init__(self):
        self.server = START
        self.passed = 0

    def pass_(self, ms):
        self.server += ms
        self.passed += ms


@pytest.fixture
def times():
    return Times()


@pytest.fixture
def make_process(cache, times):
    """What one process reads; `watches` is whether it knows how much time has passed."""

    def make(*, watches=True, unwatched=None, passed=None):
        monotonic = (passed or (lambda: times.passed)) if watches else None
        script = Steady(cache, lambda: times.server, monotonic, unwatched).script(READ)

        async def read():
            now, time = await script(keys=[KEY])
            assert time == times.server
            return now - START

        return read

    return make


async def test_it_is_the_servers_time_at_first_and_goes_on_with_it(make_process, times):
    read = make_process()
    assert await read() == 0
    times.pass_(1)
    assert await read() == 1
    times.pass_(WEEK)
    assert await read() == WEEK + 1


@pytest.mark.parametrize("back", [1, HOUR, WEEK])
async def test_a_clock_that_is_set_back_takes_nothing_from_what_has_passed(make_process, times, back):
    read = make_process()
    await read()
    times.pass_(SECOND)
    times.server -= back
    assert SECOND - 1 <= await read() <= SECOND
    times.pass_(HOUR)
    times.server -= back
    assert abs(await read() - SECOND - HOUR) <= HOUR / 1000 + 2


@pytest.mark.parametrize("watches", [True, False])
@pytest.mark.parametrize("back", [1, HOUR, WEEK])
async def test_a_clock_that_is_set_back_goes_on_from_where_it_was(make_process, times, watches, back):
    read = make_process(watches=watches)
    await read()
    times.pass_(SECOND)
    assert await read() == SECOND
    times.server -= back
    assert await read() == SECOND
    times.pass_(SECOND)
    assert await read() == 2 * SECOND


@pytest.mark.parametrize("ahead", [10 * SECOND, HOUR, WEEK])
async def test_a_clock_that_is_set_ahead_counts_for_no_more_than_has_passed(make_process, times, ahead):
    read = make_process()
    await read()
    times.server += ahead
    assert await read() <= LATE
    times.pass_(SECOND)
    assert await read() <= 2 * LATE + SECOND
    times.server -= ahead
    times.pass_(SECOND)
    assert await read() <= 3 * LATE + 2 * SECOND


async def test_whoever_comes_first_after_a_step_the_others_agree(make_process, times):
    processes = [make_process() for _ in range(3)]
    for read in processes:
        await read()
        times.pass_(SECOND)
    times.server += HOUR
    first, *others = [await read() for read in processes]
    assert first <= 3 * SECOND + 2 * LATE
    assert all(first <= other <= first + LATE for other in others)


async def test_who_has_just_begun_takes_no_more_for_passed_than_may_pass_unwatched(make_process, times):
    await make_process()()
    times.server += WEEK
    assert await make_process(unwatched=timedelta(seconds=5))() == 5 * SECOND
    times.pass_(SECOND)
    assert await make_process(unwatched=timedelta(seconds=5))() == 6 * SECOND


async def test_what_passed_while_a_process_watched_has_passed_however_long_it_asked_for_nothing(make_process, times):
    read = make_process(unwatched=timedelta(seconds=5))
    await read()
    times.pass_(WEEK)
    assert await read() == WEEK


async def test_a_process_that_was_held_up_puts_the_clock_back_for_nobody(make_process, times):
    slept = 0
    awake, asleep = make_process(), make_process(passed=lambda: times.passed - slept)
    await awake()
    await asleep()
    for _ in range(60):
        times.pass_(60 * SECOND)
        before = await awake()
    slept = HOUR
    assert await asleep() == before == HOUR
    times.pass_(SECOND)
    assert await awake() == await asleep() == HOUR + SECOND


async def test_without_a_test_it_goes_by_the_servers_and_the_processes_own(cache):
    script = Steady(cache, unwatched=timedelta(seconds=5)).script("return now - time")
    assert [await script(keys=[KEY]) for _ in range(3)] == [0, 0, 0]


async def test_what_a_script_says_and_does_not_say_arrives(cache):
    steady = Steady(cache)
    for source, said in [("return {}", []), ("return false", None), ("", None), ("return ARGV[1] .. #KEYS", b"x1")]:
        assert await steady.script(source)(keys=["own", KEY], args=["x"]) == said


async def test_answers_in_another_order_than_they_were_given_are_no_harm(cache, times):
    steady = Steady(cache, lambda: times.server, lambda: times.passed)
    script = steady.script("return now")
    assert await asyncio.gather(*(script(keys=[KEY]) for _ in range(20))) == [START] * 20
    steady.record(KEY, b"it", START - HOUR, -1.0)
    times.pass_(SECOND)
    assert await script(keys=[KEY]) == START + SECOND


async def test_a_clock_that_begins_anew_is_another_of_which_nobody_has_read_anything(make_process, cache, times):
    one, other = make_process(), make_process()
    await one()
    times.server -= HOUR
    assert await one() == 0
    await cache.flushall()
    times.pass_(SECOND)
    assert await other() == SECOND - HOUR
    assert await one() == SECOND - HOUR
