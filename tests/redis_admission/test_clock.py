"""Admission when the clock of its server is set: nobody waits for longer, and nobody is let in that was not."""

from datetime import timedelta

import pytest

from redis_admission.clock import LATE
from redis_admission.local_state import LocalState
from redis_admission.model import Admitted, Limits, NoBudget, Outcome, Refused, Rules, State, Wait
from redis_admission.redis_state import RedisState

START = 2_000_000_000_000
SECOND, HOUR, DAYS = 1000, 3_600_000, 8 * 86_400_000
LEASE, WAITER_TTL = 6000, 1000
LIMITS = {
    "open_for": timedelta(seconds=5),
    "open_at_most": timedelta(seconds=7),
    "calls_per_second": 10.0,
    "max_in_flight": 20,
}


class World:
    """A machine in Redis with its server's clock and the time that passes, and names for the calls."""

    def __init__(self, redis, **limits):
        self.server, self.passed = START, 0
        self.redis = redis
        self.rules = Rules.of("udb", Limits(**LIMITS | limits))
        self.machine = self.process()
        self._names = iter(map(str, range(10**6)))

    def process(self):
        """Another process, which has seen nothing yet."""
        return RedisState(self.redis, self.rules, lambda: self.server, lambda: self.passed)

    def pass_(self, ms):
        self.server += ms
        self.passed += ms

    async def enter(self, name=None, *, is_retry=False, machine=None):
        name = name or next(self._names)
        return await (machine or self.machine).enter(name, LEASE, is_retry=is_retry, waiter_ttl=WAITER_TTL)

    async def call(self, outcome):
        name = next(self._names)
        entry = await self.enter(name)
        return await self.machine.record(name, entry.generation, entry.at, outcome, reason="why")


@pytest.fixture
async def make_world(client):
    async def make(**limits):
        world = World(client, **limits)
        await world.machine.create(None)
        return world

    return make


async def opened(world):
    assert [await world.call(Outcome.FAILURE) for _ in range(5)][-1] is State.OPEN
    return world


@pytest.mark.parametrize("step", [-DAYS, -HOUR, -SECOND, HOUR, DAYS])
async def test_an_open_breaker_is_open_for_as_long_as_it_was_to_be(make_world, step):
    world = await opened(await make_world())
    world.pass_(SECOND)
    world.server += step
    left = await world.enter()
    assert isinstance(left, Refused)
    assert 4 * SECOND - LATE - 1 <= left.wait <= 4 * SECOND + 1
    world.pass_(left.wait)
    assert (await world.enter()).changed is State.HALF_OPEN


async def test_a_breaker_is_open_no_longer_than_its_settings_say_whatever_is_kept(make_world, client):
    world = await opened(await make_world())
    await client.hset("admission:{udb}", "open_until", START + HOUR)
    assert await world.enter() == Refused(State.OPEN, 7 * SECOND)
    world.pass_(7 * SECOND)
    assert isinstance(await world.enter(), Admitted)


@pytest.mark.parametrize("step", [-DAYS, -HOUR, HOUR, DAYS])
async def test_the_rate_is_what_it_was(make_world, step):
    world = await make_world()
    assert [type(await world.enter()) for _ in range(10)] == [Admitted] * 10
    world.server += step
    entry = await world.enter("waits")
    if step < 0:
        assert entry == Wait(100)
        world.pass_(100)
        entry = await world.enter("waits")
    assert isinstance(entry, Admitted)
    # A step is at most a second of it: one burst, as after a pause.
    more = [type(await world.enter()) for _ in range(20)].count(Admitted)
    assert more <= 10


async def test_a_rate_that_has_grown_back_is_not_waited_for_at_the_pace_of_429(make_world):
    world = await make_world(recovery=timedelta(seconds=10))
    for _ in range(6):
        assert await world.call(Outcome.THROTTLED) is None
        world.pass_(SECOND)
    for _ in range(40):
        world.pass_(50)
        await world.enter()
    world.pass_(10 * SECOND)
    waits = [await world.enter("first") for _ in range(2)]
    assert all(isinstance(entry, Admitted) or entry.milliseconds <= 100 for entry in waits)


async def test_who_died_waiting_before_the_step_is_waited_for_no_longer_than_otherwise(make_world):
    world = await make_world(max_in_flight=1, calls_per_second=None)
    assert isinstance(await world.enter("runs"), Admitted)
    assert await world.enter("dies") == Wait(0)
    world.server -= HOUR
    assert await world.machine.record("runs", 1, START, Outcome.OK) is None
    assert await world.enter("next") == Wait(0)
    world.pass_(WAITER_TTL)
    assert isinstance(await world.enter("next"), Admitted)


async def test_what_a_killed_process_held_comes_free_when_it_would_have(make_world):
    world = await make_world(max_in_flight=1, calls_per_second=None)
    await world.enter("killed")
    world.server -= HOUR
    world.pass_(LEASE - 1)
    assert await world.enter("next") == Wait(0)
    world.pass_(10)
    assert isinstance(await world.enter("next"), Admitted)


async def test_the_calls_of_the_living_are_not_forgotten_when_the_clock_is_set_ahead(make_world):
    world = await make_world(max_in_flight=2, calls_per_second=None)
    assert [type(await world.enter()) for _ in range(2)] == [Admitted] * 2
    world.server += HOUR
    assert await world.enter() == Wait(0)
    assert (await world.machine.status())["in_flight"] == "2"


async def test_a_429_halves_once_also_when_the_clock_was_set_meanwhile(make_world):
    world = await make_world(max_in_flight=16, calls_per_second=None)
    entered = [await world.enter(f"call{n}") for n in range(4)]
    world.pass_(1)
    for n, entry in enumerate(entered):
        await world.machine.record(f"call{n}", entry.generation, entry.at, Outcome.THROTTLED, reason="rate_limited")
        world.server -= HOUR
    assert (await world.machine.status())["limit"] == "8"
    world.pass_(120 * SECOND)
    assert (await world.machine.status())["limit"] == "16"


async def test_repeats_are_counted_for_ten_seconds_and_no_longer(make_world):
    world = await make_world(calls_per_second=None)
    assert [type(await world.enter(is_retry=True)) for _ in range(3)] == [Admitted] * 3
    world.server -= HOUR
    assert await world.enter(is_retry=True) == NoBudget()
    world.pass_(11 * SECOND)
    assert isinstance(await world.enter(is_retry=True), Admitted)


async def test_what_operators_are_told_is_by_the_clock_as_it_is_set(make_world):
    world = await opened(await make_world())
    world.pass_(SECOND)
    world.server -= HOUR
    seen = await world.machine.status()
    assert int(seen["now"]) == world.server
    assert abs(int(seen["open_until"]) - world.server - 4 * SECOND) <= 1


async def test_a_process_that_has_just_begun_opens_and_closes_nothing_for_good(make_world):
    """It cannot know: to it the step has passed, which is what an outage of the server comes to."""
    world = await opened(await make_world())
    world.server += DAYS
    entry = await world.enter(machine=world.process())
    assert entry.changed is State.HALF_OPEN
    world.server -= DAYS
    assert isinstance(await world.enter(), Admitted)


@pytest.mark.parametrize("step", [-DAYS, -HOUR, HOUR, DAYS])
def test_the_machine_of_one_process_keeps_the_same_promise(step):
    now = START
    machine = LocalState(Rules.of("udb", Limits(**LIMITS)), lambda: now)
    for n in range(5):
        entry = machine.enter(f"{n}", LEASE, is_retry=False, waiter_ttl=WAITER_TTL)
        machine.record(f"{n}", entry.generation, entry.at, Outcome.FAILURE)
    assert machine.state is State.OPEN
    now += step
    entry = machine.enter("probe", LEASE, is_retry=False, waiter_ttl=WAITER_TTL)
    assert entry == Refused(State.OPEN, 5000) if step < 0 else entry.changed is State.HALF_OPEN
    now += 5000
    assert isinstance(machine.enter("probe", LEASE, is_retry=False, waiter_ttl=WAITER_TTL), Admitted)
