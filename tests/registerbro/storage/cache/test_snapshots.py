"""Snapshots: what a refresh reads and stores is the same for one citizen alone and for many at a time."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import SuAttempts
from registerbro.storage.cache.citizens import Known
from registerbro.storage.cache.entries import WITHOUT_CLOCK, Entries
from registerbro.storage.cache.snapshots import Snapshots
from registerbro.storage.keys import citizen_key, entry_channel, entry_key, standing_key
from registerbro.storage.lua import ms
from registerbro.storage.redis_client import connect
from tests.registerbro.storage.batches import alike, both
from tests.support import examples

CPRS = [Cpr.parse(f"61029912{number:02}") for number in range(34, 38)]
HOUR = timedelta(hours=1)
IDS = [letter * 52 for letter in "abcd"]


@pytest.fixture
def snapshots(cache, entries, citizens):
    return Snapshots(cache, entries, citizens)


async def store(entries, who, count=2):
    content = {"su_attempts": [SuAttempts(count=count)]}
    return await entries.store(who, "su", content, age=timedelta(0), fresh_for=HOUR, usable_for=3 * HOUR)


async def test_a_snapshot_holds_the_entry_and_the_citizen_with_the_standing(snapshots, entries, citizens):
    person = Citizen(CPRS[0], frozenset({2, 7}), education_order=True)
    who = await citizens.remember(CPRS[0])
    await citizens.remember_standing(who, person)
    await store(entries, who)
    snapshot = await snapshots.read(who, "su")
    assert snapshot.citizen() == Known(CPRS[0], person)
    assert (
        snapshot.entry.sections == (await entries.read(who, ["su"]))["su"].sections == {"su_attempts": [{"count": 2}]}
    )
    assert snapshot.entry.fresh


async def test_a_snapshot_of_a_stranger_is_empty(snapshots):
    snapshot = await snapshots.read(IDS[0], "su")
    assert (snapshot.citizen(), snapshot.entry.sections, snapshot.entry.failure) == (None, None, None)


async def test_a_snapshot_shows_nobody_who_it_is_of(snapshots, citizens):
    snapshot = await snapshots.read(await citizens.remember(CPRS[0]), "su")
    assert snapshot.citizen()
    assert CPRS[0].digits not in repr(snapshot)


async def test_snapshots_that_are_asked_for_together_are_one_command_and_each_its_citizens_own(
    snapshots, entries, citizens, cache
):
    ids = [await citizens.remember(cpr) for cpr in CPRS]
    for count, who in enumerate(ids, 1):
        await store(entries, who, count)
    await snapshots.read(ids[0], "su")
    await cache.config_resetstat()
    found = await asyncio.gather(*(snapshots.read(who, "su") for who in ids))
    assert (await cache.info("commandstats"))["cmdstat_evalsha"]["calls"] == 1
    assert [snapshot.citizen().cpr for snapshot in found] == CPRS
    assert [snapshot.entry.sections["su_attempts"][0]["count"] for snapshot in found] == [1, 2, 3, 4]


async def test_an_entry_of_another_type_is_its_citizens_error_and_nobody_elses(snapshots, entries, citizens, cache):
    ids = [await citizens.remember(cpr) for cpr in CPRS]
    await cache.set(entry_key(ids[1], "su"), "no hash")
    stored = await asyncio.gather(*(store(entries, who) for who in ids), return_exceptions=True)
    found = await asyncio.gather(*(snapshots.read(who, "su") for who in ids), return_exceptions=True)
    for answers in (stored, found):
        assert [isinstance(answer, ResponseError) for answer in answers] == [False, True, False, False]
    assert all(found[place].entry.fresh for place in (0, 2, 3))


async def test_who_cannot_be_unsealed_is_nobody_and_the_others_are_known(snapshots, citizens, cache, logged):
    ids = [await citizens.remember(cpr) for cpr in CPRS[:2]]
    await cache.set(citizen_key(ids[0]), b"not sealed")
    found = await asyncio.gather(*(snapshots.read(who, "su") for who in ids))
    assert [snapshot.citizen() for snapshot in found] == [None, Known(CPRS[1], None)]
    assert [event["event"] for event in logged] == ["citizen_unreadable"]


async def test_a_time_that_lies_ahead_is_put_right_as_a_page_puts_it(snapshots, entries, cache):
    await store(entries, IDS[0])
    seconds, _ = await cache.time()
    ahead = (seconds + 7200) * 1000
    times = {"fetched_at": ahead, "fresh_until": ahead + ms(HOUR), "usable_until": ahead + ms(3 * HOUR)}
    await cache.hset(entry_key(IDS[0], "su"), mapping=times)
    entry = (await snapshots.read(IDS[0], "su")).entry
    assert entry.sections
    assert not entry.fresh
    assert entry.fetched_at <= entry.read_at
    assert (await entries.read(IDS[0], ["su"]))["su"].fetched_at == entry.fetched_at


AGES = st.sampled_from([timedelta(0), WITHOUT_CLOCK * 10, HOUR, 5 * HOUR])
AHEAD = st.sampled_from([-6 * HOUR, -2 * HOUR, -WITHOUT_CLOCK * 5, HOUR, 9 * HOUR])
"""When an entry was fetched, from now: no age of an item, so that some milliseconds decide nothing."""


@st.composite
def worlds(draw):
    """By citizen, what is there: no entry, one fetched at such a time, one without its times, or another type."""
    kinds = st.sampled_from([None, "fetched", "without times", "no number", "another type"])
    return {who: (draw(kinds), ms(draw(AHEAD)), draw(st.booleans())) for who in IDS}


def filling(world):
    async def fill(redis):
        seconds, _ = await redis.time()
        for who, (kind, ahead, is_known) in world.items():
            key, at = entry_key(who, "su"), seconds * 1000 + ahead
            if is_known:
                await redis.mset({citizen_key(who): "sealed", standing_key(who): "sealed too"})
            if kind == "another type":
                await redis.set(key, "no hash")
            elif kind is not None:
                fields = {"v": 1, "data": "d", "failure": "timeout", "failed_at": at, "pending_at": at}
                if kind != "without times":
                    fields |= {"fetched_at": at, "fresh_until": at + ms(HOUR), "usable_until": at + ms(3 * HOUR)}
                if kind == "no number":
                    fields["fresh_until"] = "x"
                await redis.hset(key, mapping=fields)

    return fill


ITEMS = {
    "read": st.builds(
        lambda who: {"entry": entry_key(who, "su"), "citizen": citizen_key(who), "standing": standing_key(who)},
        st.sampled_from(IDS),
    ),
    "store": st.builds(
        lambda who, data, age, fresh: {
            "entry": entry_key(who, "su"), "format": 1, "data": data, "age": ms(age), "fresh": fresh,
            "usable": ms(6 * HOUR), "channel": entry_channel(who), "event": "su",
        },
        st.sampled_from(IDS), st.sampled_from(["a", "b", b"\x00\r\n"]), AGES,
        st.sampled_from([ms(HOUR), "no number"]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_a_batch_answers_and_leaves_behind_what_its_items_would_one_by_one(redis_servers, sealer, name):
    @given(worlds(), st.lists(ITEMS[name], min_size=1, max_size=12))
    @hypothesis_settings(max_examples=examples(300))
    def compare(world, items):
        asyncio.run(compared(world, items))

    async def compared(world, items):
        async with connect(redis_servers["cache"].url) as redis:
            entries = Entries(redis, sealer)
            script = entries._store if name == "store" else Snapshots(redis, entries, None)._read
            alone, together = await both(redis, filling(world), script, items)
            assert alike(alone, together), (alone, together)
            await redis.flushdb()

    compare()
