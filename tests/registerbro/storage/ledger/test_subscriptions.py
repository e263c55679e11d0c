"""Subscriptions on the ledger: asked for once, kept until they are cancelled, and never both at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.cpr import Cpr
from registerbro.storage import acl
from registerbro.storage.keys import (
    subscription_key,
    subscriptions_clock_key,
    subscriptions_due_key,
    subscriptions_ending_key,
)
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.ledger.subscriptions import (
    Busy,
    Record,
    State,
    Subscribed,
    Subscriptions,
    SubscriptionsStatus,
    ToSubscribe,
)
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from tests.support import SteppedClock

UDB = "udb"
CPR = Cpr.parse("6102991234")
ME, MY_OLDER_ID, OTHER = "a" * 52, "c" * 52, "b" * 52
WITHIN, KEEP = timedelta(seconds=15), timedelta(days=31)


@pytest.fixture
def clock():
    return SteppedClock()


@pytest.fixture
async def connection(empty_redis):
    it = Ledger(empty_redis["ledger"].url)
    yield it
    await it.close()


@pytest.fixture
def kept(connection, clock):
    return Subscriptions(connection, Sealer([b"k" * 32]), clock)


async def begin(kept, citizen=ME, *older, keep_for=KEEP):
    return await kept.begin(UDB, CPR, (citizen, *older), within=WITHIN, keep_for=keep_for)


async def subscribe(kept, citizen=ME, **more):
    asked = await begin(kept, citizen, **more)
    return await kept.confirm(UDB, citizen, CPR, asked.owner)


async def claim(kept, citizen=ME):
    return await kept.claim(UDB, citizen, WITHIN)


# --- Asking for it ----------------------------------------------------------------------------------------------------


async def test_the_first_fetch_asks_and_the_others_find_it_on_with_its_age(kept, clock):
    asked = await begin(kept)
    assert isinstance(asked, ToSubscribe)
    held = await kept.confirm(UDB, ME, CPR, asked.owner)
    assert held.age < timedelta(minutes=1)
    clock.pass_(hours=25)
    again = await begin(kept)
    assert isinstance(again, Subscribed)
    assert again.since == held.since
    assert timedelta(0) <= again.age - timedelta(hours=25) < timedelta(minutes=1)


async def test_it_is_on_record_before_the_register_is_asked(kept, connection):
    await begin(kept)
    assert (await kept.record(UDB, ME)).state is State.ASKED
    assert await kept.since(UDB, ME) is None
    sealed = await connection.redis.hget(subscription_key(UDB, ME), "number")
    assert CPR.digits.encode() not in sealed


async def test_while_one_process_asks_another_waits(kept, clock):
    first = await begin(kept)
    clock.pass_(seconds=5)
    assert await begin(kept) == Busy(timedelta(seconds=10))
    await kept.release(UDB, ME, first.owner)
    assert isinstance(await begin(kept), ToSubscribe)


async def test_of_many_fetches_at_once_one_asks(kept):
    begun = await asyncio.gather(*(begin(kept) for _ in range(10)))
    assert sorted(type(one).__name__ for one in begun) == ["Busy"] * 9 + ["ToSubscribe"]


async def test_what_a_killed_process_asked_for_is_asked_for_again_when_its_time_is_over(kept, clock):
    killed = await begin(kept)
    clock.pass_(seconds=16)
    heir = await begin(kept)
    assert isinstance(heir, ToSubscribe)
    assert await kept.confirm(UDB, ME, CPR, killed.owner) is None
    await kept.release(UDB, ME, killed.owner)
    assert isinstance(await begin(kept), Busy)
    assert isinstance(await kept.confirm(UDB, ME, CPR, heir.owner), Subscribed)


async def test_a_refusal_leaves_nothing(kept, connection):
    asked = await begin(kept)
    assert await kept.remove(UDB, ME, asked.owner)
    assert await kept.record(UDB, ME) is None
    assert not await connection.redis.exists(
        subscription_key(UDB, ME), subscriptions_due_key(UDB), subscriptions_ending_key(UDB)
    )
    assert not await kept.remove(UDB, ME, asked.owner)


async def test_a_subscription_whose_record_is_gone_when_it_is_confirmed_is_cancelled_at_once(kept, clock):
    asked = await begin(kept)
    await kept.remove(UDB, ME, asked.owner)
    assert await kept.confirm(UDB, ME, CPR, asked.owner) is None
    claimed = await claim(kept)
    assert kept.number_of(UDB, claimed) == CPR


async def test_registers_and_citizens_are_told_apart(kept):
    await subscribe(kept)
    assert isinstance(await begin(kept, OTHER), ToSubscribe)
    assert isinstance(
        await kept.begin("su", CPR, (ME,), within=WITHIN, keep_for=KEEP), ToSubscribe
    )  # fmt: skip


@pytest.mark.parametrize("set_to", [timedelta(days=30), timedelta(days=-30)])
async def test_setting_the_ledgers_clock_makes_no_subscription_older_or_younger(connection, clock, set_to):
    passed = [0.0]
    kept = Subscriptions(connection, Sealer([b"k" * 32]), clock, monotonic=lambda: passed[0])
    held = await subscribe(kept)
    clock.pass_(days=set_to.days)
    passed[0] += 60_000
    again = await begin(kept)
    assert again.since == held.since
    assert timedelta(seconds=59) < again.read_as < timedelta(seconds=62)


# --- Its end ----------------------------------------------------------------------------------------------------------


async def test_who_is_fetched_no_more_is_cancelled_after_the_time_that_was_set(kept, clock):
    await subscribe(kept)
    clock.pass_(days=30)
    assert await kept.due(UDB, 10) == ()
    assert await claim(kept) is None
    clock.pass_(days=2)
    assert await kept.due(UDB, 10) == (ME,)
    assert kept.number_of(UDB, await claim(kept)) == CPR


async def test_each_fetch_puts_the_end_off(kept, clock):
    await subscribe(kept)
    for _ in range(3):
        clock.pass_(days=20)
        assert isinstance(await begin(kept), Subscribed)
    assert await kept.due(UDB, 10) == ()
    # And a citizen whose activity ends sooner is cancelled sooner.
    assert isinstance(await begin(kept, keep_for=timedelta(days=2)), Subscribed)
    clock.pass_(days=3)
    assert await kept.due(UDB, 10) == (ME,)


async def test_an_ended_one_is_due_at_once_and_is_kept_until_it_is_cancelled(kept, connection):
    await subscribe(kept)
    assert await kept.end(UDB, (ME, OTHER)) == 1
    assert await kept.since(UDB, ME) is None
    assert await kept.due(UDB, 10) == (ME,)
    claimed = await claim(kept)
    assert await claim(kept) is None
    assert await kept.remove(UDB, ME, claimed.owner)
    assert (await kept.due(UDB, 10), await kept.record(UDB, ME)) == ((), None)
    assert await connection.redis.keys("*") == [subscriptions_clock_key(UDB).encode()]


async def test_of_a_forgotten_citizen_only_what_the_cancellation_needs_is_kept(kept, connection):
    await subscribe(kept)
    assert await kept.end(UDB, (ME,), forgotten=True) == 1
    assert set(await connection.redis.hgetall(subscription_key(UDB, ME))) == {b"state", b"number"}
    assert await kept.record(UDB, ME) == Record(State.ENDING, None, to_be_cancelled=True)


async def test_what_the_register_does_not_take_is_tried_again_and_counted(kept, clock):
    await subscribe(kept)
    await kept.end(UDB, (ME,))
    claimed = await claim(kept)
    await kept.put_back(UDB, claimed, timedelta(minutes=1))
    assert (claimed.tries, await kept.due(UDB, 10)) == (0, ())
    clock.pass_(seconds=30)
    # Whoever ends it again does not have it tried sooner.
    await kept.end(UDB, (ME,), forgotten=True)
    assert await claim(kept) is None
    clock.pass_(seconds=31)
    assert (await claim(kept)).tries == 1
    assert await kept.status(UDB) == SubscriptionsStatus(1, 1, timedelta(seconds=61))


async def test_what_a_killed_process_was_to_cancel_is_cancelled_by_another(kept, clock):
    await subscribe(kept)
    await kept.end(UDB, (ME,))
    killed = await claim(kept)
    clock.pass_(seconds=16)
    heir = await claim(kept)
    assert not await kept.remove(UDB, ME, killed.owner)
    await kept.put_back(UDB, killed, timedelta(hours=1))
    assert await kept.remove(UDB, ME, heir.owner)


async def test_who_comes_back_before_it_is_cancelled_is_still_subscribed(kept):
    held = await subscribe(kept)
    await kept.end(UDB, (ME,))
    again = await begin(kept)
    assert (again.since, await kept.since(UDB, ME)) == (held.since, held.since)
    assert await kept.due(UDB, 10) == ()


async def test_who_comes_back_while_it_is_cancelled_waits_and_is_then_asked_for_anew(kept, clock):
    await subscribe(kept)
    await kept.end(UDB, (ME,))
    claimed = await claim(kept)
    assert isinstance(await begin(kept), Busy)
    await kept.put_back(UDB, claimed, timedelta(minutes=1))
    # Whether the register has cancelled it is not known.
    asked = await begin(kept)
    assert isinstance(asked, ToSubscribe)
    assert await claim(kept) is None
    assert (await kept.confirm(UDB, ME, CPR, asked.owner)).since == clock.now


async def test_none_is_cancelled_while_a_process_asks_for_it(kept, clock):
    await begin(kept)
    await kept.end(UDB, (ME,))
    assert await kept.due(UDB, 10) == (ME,)
    assert await claim(kept) is None
    clock.pass_(seconds=16)
    assert await claim(kept) is not None


async def test_one_without_a_record_is_no_longer_due(kept, connection):
    await subscribe(kept)
    await kept.end(UDB, (ME,))
    await connection.redis.delete(subscription_key(UDB, ME))
    assert await claim(kept) is None
    assert await kept.status(UDB) == SubscriptionsStatus(0, 0, timedelta(0))


async def test_ending_what_there_is_not_writes_nothing(kept, connection):
    assert await kept.end(UDB, (ME, OTHER)) == 0
    assert await connection.redis.keys("*") == []


# --- Ids and keys -----------------------------------------------------------------------------------------------------


async def test_a_record_moves_to_the_newest_id_with_all_that_it_has(kept, clock):
    held = await subscribe(kept, MY_OLDER_ID)
    clock.pass_(days=1)
    again = await begin(kept, ME, MY_OLDER_ID)
    assert again.since == held.since
    assert await kept.record(UDB, MY_OLDER_ID) is None
    await kept.end(UDB, (ME, MY_OLDER_ID))
    assert await kept.due(UDB, 10) == (ME,)
    assert kept.number_of(UDB, await claim(kept)) == CPR


async def test_of_two_records_of_one_citizen_that_of_the_newest_id_stays(kept):
    await subscribe(kept, MY_OLDER_ID)
    await subscribe(kept, ME)
    assert isinstance(await begin(kept, ME, MY_OLDER_ID), Subscribed)
    assert await kept.status(UDB) == SubscriptionsStatus(1, 0, timedelta(0))


async def test_a_number_under_another_key_does_not_open(kept, connection):
    await subscribe(kept)
    await subscribe(kept, OTHER)
    mine = await connection.redis.hget(subscription_key(UDB, ME), "number")
    await connection.redis.hset(subscription_key(UDB, OTHER), "number", mine)
    await kept.end(UDB, (OTHER,))
    claimed = await claim(kept, OTHER)
    with pytest.raises(Unreadable):
        kept.number_of(UDB, claimed)
    assert CPR.digits not in repr(claimed)


async def test_a_record_says_its_state_and_when_that_began(kept, clock):
    assert await kept.record(UDB, ME) is None
    await subscribe(kept)
    at = datetime.fromtimestamp(clock.now / 1000, UTC)
    assert await kept.record(UDB, ME) == Record(State.ON, at, to_be_cancelled=False)


async def test_the_status_counts_all_and_those_to_be_cancelled(kept, clock):
    for citizen in (ME, OTHER, MY_OLDER_ID):
        await subscribe(kept, citizen)
    await kept.end(UDB, (ME,))
    clock.pass_(minutes=2)
    await kept.end(UDB, (OTHER,))
    assert await kept.status(UDB) == SubscriptionsStatus(3, 2, timedelta(minutes=2))


@pytest.mark.parametrize("user", ["worker-udb", "portal"])
async def test_all_of_it_is_within_the_rights_of_the_services_that_do_it(empty_redis, clock, user):
    with empty_redis["ledger"].client() as admin:
        major, minor = map(int, admin.info("server")["redis_version"].split(".")[:2])
        rules = acl._rules(acl.GRANTS[user]["ledger"], (major, minor))
        admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">x", *rules)
        mine = Ledger(empty_redis["ledger"].url.replace("//", f"//{user}:x@"))
        kept = Subscriptions(mine, Sealer([b"k" * 32]), clock)
        try:
            await subscribe(kept, MY_OLDER_ID)
            assert isinstance(await begin(kept, ME, MY_OLDER_ID), Subscribed)
            assert await kept.since(UDB, ME)
            await kept.release(UDB, ME, "none")
            assert await kept.end(UDB, (ME,), forgotten=True) == 1
            assert await kept.due(UDB, 10) == (ME,)
            await kept.put_back(UDB, await claim(kept), timedelta(seconds=1))
            assert (await kept.record(UDB, ME)).to_be_cancelled
            clock.pass_(seconds=2)
            assert await kept.remove(UDB, ME, (await claim(kept)).owner)
            assert (await kept.status(UDB)).held == 0
        finally:
            await mine.close()
            admin.acl_deluser(user)
