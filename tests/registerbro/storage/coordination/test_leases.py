"""Leases: one refresh at a time, and none that was wanted is ever forgotten."""

import asyncio
from datetime import timedelta

import pytest

from redis_admission import AdmissionController, Override, OverrideOrder
from registerbro.storage.coordination.leases import CITIZENS_WISH, MAX_SENDINGS, Lease, NotTaken, RegisterCutOff
from registerbro.storage.keys import ACTIVE_KEY, timetable_clock_key

ME, OTHER = "a" * 52, "b" * 52
LONG, ENDED = timedelta(minutes=1), timedelta(0)


async def acquire(leases, length=LONG, citizen=ME, register="udb"):
    return await leases.acquire(citizen, register, length, CITIZENS_WISH)


async def test_of_a_hundred_at_the_same_moment_one_takes_the_lease(leases):
    taken = await asyncio.gather(*(acquire(leases) for _ in range(100)))
    assert sum(taken) == 1


async def test_other_citizens_and_other_registers_have_leases_of_their_own(leases):
    assert await acquire(leases)
    assert await acquire(leases, citizen=OTHER)
    assert await acquire(leases, register="su")


async def test_a_lease_that_ended_can_be_taken_again(leases):
    await acquire(leases, ENDED)
    assert await acquire(leases)


async def test_a_message_without_a_wish_has_nothing_to_do(leases):
    assert await leases.begin_refresh(ME, "udb", LONG) is None


async def test_of_two_deliveries_of_a_message_one_begins(leases):
    await acquire(leases)
    begun = [await leases.begin_refresh(ME, "udb", LONG) for _ in range(2)]
    assert [lease is not None for lease in begun] == [True, False]


async def test_when_a_run_died_the_next_delivery_takes_over_after_its_lease(leases):
    await acquire(leases)
    dead = await leases.begin_refresh(ME, "udb", ENDED)
    heir = await leases.begin_refresh(ME, "udb", LONG)
    assert heir
    assert not await leases.settle(dead, None)
    assert await leases.settle(heir, None)


async def test_what_is_settled_is_no_longer_wanted(leases, coordination):
    await acquire(leases)
    assert await leases.settle(await leases.begin_refresh(ME, "udb", LONG), None)
    assert await leases.begin_refresh(ME, "udb", LONG) is None
    assert await coordination.keys() == [timetable_clock_key("udb").encode()]


@pytest.mark.parametrize("override", list(Override))
async def test_an_answer_that_was_stored_as_its_register_was_cut_off_is_not_settled(leases, coordination, override):
    """The field is the library's own: the two are held together here."""
    await acquire(leases)
    lease = await leases.begin_refresh(ME, "udb", LONG)
    admission = AdmissionController(coordination, "udb", redis_timeout=20.0)
    await admission.set_override(OverrideOrder(override, "me", 0, "why"))
    if override is Override.FORCED_OPEN:
        with pytest.raises(RegisterCutOff):
            await leases.settle(lease, None, stored=True)
        await admission.set_override(None)
    assert await leases.settle(lease, None, stored=True)
    assert not await leases.settle(lease, None, stored=True)


async def test_what_is_not_an_answer_is_settled_also_while_the_register_is_cut_off(leases, coordination):
    await acquire(leases)
    lease = await leases.begin_refresh(ME, "udb", LONG)
    order = OverrideOrder(Override.FORCED_OPEN, "me", 0, "why")
    await AdmissionController(coordination, "udb").set_override(order)
    assert await leases.settle(lease, None)


async def test_another_registers_cut_is_not_this_ones(leases, coordination):
    await acquire(leases)
    lease = await leases.begin_refresh(ME, "udb", LONG)
    order = OverrideOrder(Override.FORCED_OPEN, "me", 0, "why")
    await AdmissionController(coordination, "su").set_override(order)
    assert await leases.settle(lease, None, stored=True)


async def take(leases, coordination, length=LONG, citizen=ME, at_once=10, active_for=1000):
    seconds, _ = await coordination.time()
    await coordination.zadd(ACTIVE_KEY, {citizen: (seconds + active_for) * 1000})
    return await leases.take(citizen, "udb", length, at_once)


async def test_the_schedule_takes_a_lease_and_begins_it_at_once(leases, coordination):
    lease = await take(leases, coordination)
    assert not await acquire(leases)
    assert await leases.begin_refresh(ME, "udb", LONG) is None
    assert await leases.settle(lease, None)
    assert await acquire(leases)


@pytest.mark.parametrize("begun", [True, False])
async def test_the_schedule_leaves_alone_what_a_citizen_waits_for(leases, coordination, begun):
    await acquire(leases)
    if begun:
        await leases.begin_refresh(ME, "udb", LONG)
    assert await take(leases, coordination) is NotTaken.WANTED


async def test_the_schedule_takes_nothing_for_who_is_no_longer_active(leases, coordination):
    assert await take(leases, coordination, active_for=-1) is NotTaken.ENDED
    assert await leases.take(OTHER, "udb", LONG, 10) is NotTaken.ENDED


async def test_only_so_many_of_the_schedule_run_at_once(leases, coordination):
    first = await take(leases, coordination, at_once=1)
    assert await take(leases, coordination, citizen=OTHER, at_once=1) is NotTaken.FULL
    await leases.settle(first, None)
    assert isinstance(await take(leases, coordination, citizen=OTHER, at_once=1), Lease)


async def test_a_killed_run_of_the_schedule_leaves_room_when_its_lease_has_ended(leases, coordination):
    await take(leases, coordination, ENDED, at_once=1)
    assert isinstance(await take(leases, coordination, citizen=OTHER, at_once=1), Lease)


async def test_what_the_schedule_took_and_never_settled_is_swept_like_any_other(leases, coordination):
    await take(leases, coordination, ENDED)
    assert (await leases.overdue("udb", LONG)).again == (ME,)


@pytest.mark.parametrize("begun", [True, False], ids=["by its run", "by who could not send it"])
async def test_what_is_handed_back_is_asked_for_at_the_next_sweep(leases, begun):
    await acquire(leases)
    lease = await leases.begin_refresh(ME, "udb", LONG) if begun else Lease(ME, "udb", owner="")
    await leases.hand_back(lease)
    assert (await leases.overdue("udb", LONG)).again == (ME,)


async def test_a_late_hand_back_does_not_disturb_the_heir(leases):
    await acquire(leases)
    dead = await leases.begin_refresh(ME, "udb", ENDED)
    heir = await leases.begin_refresh(ME, "udb", LONG)
    await leases.hand_back(dead)
    assert (await leases.overdue("udb", LONG)).again == ()
    assert await leases.settle(heir, None)


async def test_what_is_under_way_is_not_overdue(leases):
    await acquire(leases)
    assert (await leases.overdue("udb", LONG)).again == ()


async def test_an_overdue_refresh_is_given_to_one_sweep_only(leases):
    await acquire(leases, ENDED)
    swept = await asyncio.gather(*(leases.overdue("udb", LONG) for _ in range(10)))
    assert [found.again for found in swept if found.again] == [(ME,)]


async def test_a_refresh_that_never_comes_is_given_up_after_a_few_sendings(leases, coordination):
    await acquire(leases, ENDED)
    swept = [await leases.overdue("udb", ENDED) for _ in range(MAX_SENDINGS)]
    assert [found.given_up for found in swept] == [()] * (MAX_SENDINGS - 1) + [(ME,)]
    assert await coordination.keys() == [timetable_clock_key("udb").encode()]


async def test_a_new_wish_counts_its_sendings_from_the_start(leases):
    await acquire(leases, ENDED)
    await leases.overdue("udb", ENDED)
    await acquire(leases, ENDED)
    swept = [await leases.overdue("udb", ENDED) for _ in range(MAX_SENDINGS - 1)]
    assert all(found.again == (ME,) for found in swept)


async def test_a_wish_that_is_withdrawn_is_nobodys_any_more(leases):
    await acquire(leases)
    assert await leases.withdraw(ME, "udb")
    assert await leases.begin_refresh(ME, "udb", LONG) is None
    assert await leases.withdraw(ME, "udb")


async def test_a_run_that_is_at_it_is_not_withdrawn_until_it_ends(leases):
    await acquire(leases)
    lease = await leases.begin_refresh(ME, "udb", LONG)
    assert not await leases.withdraw(ME, "udb")
    await leases.settle(lease, None)
    assert await leases.withdraw(ME, "udb")


async def test_a_run_that_was_killed_holds_nothing_up(leases):
    await acquire(leases)
    await leases.begin_refresh(ME, "udb", ENDED)
    assert await leases.withdraw(ME, "udb")
