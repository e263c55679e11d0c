"""Leases and timetables when the clock of their server is set: nobody waits for it, and nothing is done twice."""

from datetime import timedelta

import pytest

from redis_admission.clock import LATE
from registerbro.storage.coordination.leases import CITIZENS_WISH, Lease, Leases, NotTaken
from registerbro.storage.coordination.timetable import Timetable
from registerbro.storage.keys import ACTIVE_KEY

ME, OTHER = "a" * 52, "b" * 52
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MS = timedelta(milliseconds=1)
STEPS = [-8 * 24 * HOUR, -HOUR, HOUR, 8 * 24 * HOUR]


class World:
    """The server's clock, which may be set, the time that passes, and one process that saw both before."""

    def __init__(self, redis):
        self.redis = redis
        self.server, self.passed = 1_700_000_000_000, 0
        clocks = (lambda: self.server, lambda: self.passed)
        self.leases, self.timetable = Leases(redis, *clocks), Timetable(redis, *clocks)

    def pass_(self, duration):
        self.server += round(duration / MS)
        self.passed += round(duration / MS)

    def set(self, step):
        self.server += round(step / MS)

    async def acquire(self):
        return await self.leases.acquire(ME, "udb", MINUTE, CITIZENS_WISH)

    async def due(self):
        return await self.timetable.take(
            "udb", 100, per_second=1.0, burst=MINUTE, outstanding=100, taken_for=10 * MINUTE
        )


@pytest.fixture
async def world(coordination):
    it = World(coordination)
    # For longer than any step, by the server's clock as it is and as the tests have it.
    await coordination.zadd(ACTIVE_KEY, dict.fromkeys((ME, OTHER), 4_000_000_000_000))
    await it.due()
    return it


@pytest.mark.parametrize("step", STEPS)
async def test_a_wish_whose_message_was_lost_is_sent_again_after_its_lease(world, step):
    assert await world.acquire()
    world.set(step)
    assert not await world.acquire()
    assert (await world.leases.overdue("udb", MINUTE)).again == ()
    world.pass_(MINUTE + MINUTE / 500)
    assert (await world.leases.overdue("udb", MINUTE)).again == (ME,)


@pytest.mark.parametrize("step", STEPS)
async def test_a_refresh_that_is_under_way_is_not_begun_beside_itself(world, step):
    await world.acquire()
    lease = await world.leases.begin_refresh(ME, "udb", MINUTE)
    world.set(step)
    assert await world.leases.begin_refresh(ME, "udb", MINUTE) is None
    assert await world.leases.take(ME, "udb", MINUTE, 10) is NotTaken.WANTED
    assert (await world.leases.overdue("udb", MINUTE)).again == ()
    assert await world.leases.settle(lease, HOUR)


@pytest.mark.parametrize("step", STEPS)
async def test_a_killed_run_of_the_schedule_leaves_its_room_when_it_would_have(world, step):
    assert isinstance(await world.leases.take(ME, "udb", MINUTE, 1), Lease)
    world.set(step)
    assert await world.leases.take(OTHER, "udb", MINUTE, 1) is NotTaken.FULL
    world.pass_(MINUTE + MINUTE / 500)
    assert isinstance(await world.leases.take(OTHER, "udb", MINUTE, 1), Lease)


@pytest.mark.parametrize("step", STEPS)
async def test_the_schedule_goes_on_at_its_own_times(world, step):
    await world.redis.delete(ACTIVE_KEY)
    await world.timetable.record_activity(ME, 30 * 24 * HOUR, None, {"udb": 2 * MINUTE})
    await world.redis.zadd(ACTIVE_KEY, {ME: 4_000_000_000_000})
    world.set(step)
    assert await world.due() == ()
    world.pass_(2 * MINUTE + MINUTE / 250)
    assert await world.due() == (ME,)
    world.set(step)
    # A message that was lost is found missing after as long as any other.
    assert await world.due() == ()
    world.pass_(10 * MINUTE + MINUTE / 50)
    assert await world.due() == (ME,)


@pytest.mark.parametrize("step", STEPS)
async def test_the_schedules_rate_neither_stops_nor_floods(world, step):
    people = [f"{n:052}" for n in range(400)]
    await world.redis.zadd(ACTIVE_KEY, dict.fromkeys(people, 4_000_000_000_000))
    for who in people:
        await world.timetable.record_activity(who, 30 * 24 * HOUR, None, {"udb": timedelta(0)})
    await world.redis.zadd(ACTIVE_KEY, dict.fromkeys(people, 4_000_000_000_000))
    await world.due()
    world.set(step)
    assert len(await world.due()) <= 1 + LATE * MS / timedelta(seconds=1)
    world.pass_(timedelta(seconds=10))
    assert 9 <= len(await world.due()) <= 12
