"""The timetable: who is due is handed out once, within the rate, and only while the schedule goes on for them."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from registerbro.storage.coordination.leases import Leases
from registerbro.storage.coordination.timetable import Timetable, after_failure, ahead_of_expiry
from registerbro.storage.keys import ACTIVE_KEY, due_key

NOW, LONG, HOUR = timedelta(0), timedelta(days=30), timedelta(hours=1)
PEOPLE = tuple(letter * 52 for letter in "abcdefghij")
ME, *OTHERS = PEOPLE


@pytest.fixture
def timetable(coordination):
    return Timetable(coordination)


async def note(timetable, *people, due_in=NOW, until=None):
    for citizen in people or PEOPLE:
        await timetable.record_activity(citizen, LONG, until, {"udb": due_in})


async def take(timetable, most=100, **own):
    how = {"per_second": 1000.0, "burst": HOUR, "outstanding": 1000, "taken_for": HOUR, **own}
    return await timetable.take("udb", most, **how)


async def test_who_is_due_is_taken_the_longest_due_first(timetable):
    await note(timetable, OTHERS[0], due_in=timedelta(seconds=-1))
    await note(timetable, ME, due_in=timedelta(seconds=-2))
    await note(timetable, OTHERS[1], due_in=HOUR)
    assert await take(timetable) == (ME, OTHERS[0])


async def test_of_many_runs_at_once_each_citizen_is_given_to_one(timetable):
    await note(timetable)
    taken = await asyncio.gather(*(take(timetable, 3) for _ in range(10)))
    assert sorted(citizen for run in taken for citizen in run) == list(PEOPLE)


async def test_what_was_taken_and_never_came_is_due_again(timetable):
    await note(timetable, ME)
    assert await take(timetable, taken_for=NOW) == (ME,)
    assert await take(timetable) == (ME,)
    assert await take(timetable) == ()


async def test_what_is_put_back_is_due_after_its_wait(timetable):
    await note(timetable, ME, OTHERS[0])
    await take(timetable)
    await timetable.put_back("udb", [ME], NOW)
    await timetable.put_back("udb", [OTHERS[0]], HOUR)
    assert await take(timetable) == (ME,)


async def test_until_when_the_schedule_goes_on_for_a_citizen_is_known(timetable):
    assert await timetable.active_until(ME) is None
    soon = datetime.now(UTC).replace(microsecond=0) + HOUR
    await note(timetable, ME, until=soon)
    await note(timetable, OTHERS[0])
    assert await timetable.active_until(ME) == soon
    assert abs(await timetable.active_until(OTHERS[0]) - datetime.now(UTC) - LONG) < HOUR
    await timetable.forget(ME)
    assert await timetable.active_until(ME) is None


async def test_no_more_is_taken_than_the_rate_allows(timetable):
    await note(timetable)
    assert len(await take(timetable, per_second=0.001, burst=timedelta(seconds=4000))) == 4
    assert await take(timetable, per_second=0.001, burst=timedelta(seconds=4000)) == ()


async def test_a_rate_below_one_in_a_burst_still_gets_its_turn(timetable):
    await note(timetable)
    assert len(await take(timetable, per_second=0.001, burst=timedelta(seconds=1))) == 1
    assert await take(timetable, per_second=0.001, burst=timedelta(seconds=1)) == ()


async def test_no_more_is_taken_than_may_be_on_its_way(timetable):
    await note(timetable)
    assert len(await take(timetable, outstanding=3)) == 3
    assert await take(timetable, outstanding=3) == ()
    await timetable.put_back("udb", PEOPLE[:2], HOUR)
    assert len(await take(timetable, outstanding=3)) == 2


async def test_a_settled_refresh_makes_room_and_is_due_again_later(timetable, coordination):
    await note(timetable, ME)
    await take(timetable)
    leases = Leases(coordination)
    await leases.settle(await leases.take(ME, "udb", HOUR, 10), HOUR)
    assert (await timetable.status("udb")).taken == 0
    assert await take(timetable) == ()
    assert await take(timetable, early=True) == (ME,)


async def test_who_is_taken_is_not_taken_early_by_another(timetable):
    await note(timetable, ME, due_in=HOUR)
    assert await take(timetable, early=True) == (ME,)
    assert await take(timetable, early=True) == ()


async def test_activity_keeps_the_place_of_who_is_in_the_timetable_already(timetable, coordination):
    await note(timetable, ME, due_in=HOUR)
    before = await coordination.zscore(due_key("udb"), ME)
    await note(timetable, ME, due_in=NOW)
    assert await coordination.zscore(due_key("udb"), ME) == before


async def test_the_schedule_goes_on_for_thirty_days_after_the_last_activity(timetable, coordination):
    await note(timetable, ME)
    until = await coordination.zscore(ACTIVE_KEY, ME)
    seconds, _ = await coordination.time()
    assert until / 1000 - seconds == pytest.approx(LONG.total_seconds(), abs=60)


async def test_who_was_not_active_for_long_enough_leaves_the_timetable(timetable, coordination):
    await note(timetable, ME)
    await coordination.zadd(ACTIVE_KEY, {ME: 1})
    assert await take(timetable) == ()
    assert not await coordination.exists(due_key("udb"))
    await note(timetable, OTHERS[0])
    assert await coordination.zrange(ACTIVE_KEY, 0, -1) == [OTHERS[0].encode()]


async def test_no_activity_goes_beyond_the_day_on_which_a_citizen_is_too_old(timetable):
    await note(timetable, ME, until=datetime.now(UTC) - timedelta(seconds=1))
    await note(timetable, OTHERS[0], until=datetime.now(UTC) + HOUR)
    assert await take(timetable) == (OTHERS[0],)


async def test_who_is_forgotten_is_not_taken_and_not_scheduled_anew_by_a_late_result(timetable, coordination):
    await note(timetable, ME, OTHERS[0])
    leases = Leases(coordination)
    running = await leases.take(ME, "udb", HOUR, 10)
    await timetable.forget(ME)
    await coordination.zrem(due_key("udb"), ME)
    await leases.settle(running, NOW)
    assert await take(timetable) == (OTHERS[0],)


async def test_the_standing_tells_who_is_due_and_for_how_long(timetable):
    await note(timetable, ME, due_in=timedelta(seconds=-90))
    await note(timetable, *OTHERS, due_in=HOUR)
    standing = await timetable.status("udb")
    assert (standing.active, standing.due, standing.taken) == (len(PEOPLE), 1, 0)
    assert timedelta(seconds=90) <= standing.lag < timedelta(seconds=150)


async def test_nobody_is_late_in_an_empty_timetable(timetable):
    standing = await timetable.status("udb")
    assert (standing.active, standing.due, standing.taken, standing.lag) == (0, 0, 0, NOW)


def test_refreshes_are_spread_over_the_last_part_of_the_freshness_and_leave_time_for_themselves():
    drawn = [ahead_of_expiry(12 * HOUR, 12 * HOUR, 0.25) for _ in range(2000)]
    assert min(drawn) >= 9 * HOUR
    assert max(drawn) <= 12 * HOUR - timedelta(minutes=45)
    tenths = [
        sum(9 * HOUR + n * HOUR * 0.225 <= one < 9 * HOUR + (n + 1) * HOUR * 0.225 for one in drawn) for n in range(10)
    ]
    assert min(tenths) > 100


def test_a_life_that_was_cut_short_is_not_refreshed_all_the_time():
    quarter = timedelta(minutes=15)
    assert min(ahead_of_expiry(quarter, quarter, 0.25) for _ in range(1000)) >= timedelta(minutes=11)


def test_what_is_over_is_due_now():
    assert ahead_of_expiry(NOW, HOUR, 0.25) == NOW


def test_a_failure_is_tried_again_before_the_data_expire_and_not_before_the_register_said():
    assert max(after_failure(NOW, 12 * HOUR, 0.25) for _ in range(1000)) <= 1.5 * HOUR
    assert min(after_failure(5 * HOUR, 12 * HOUR, 0.25) for _ in range(1000)) == 5 * HOUR
