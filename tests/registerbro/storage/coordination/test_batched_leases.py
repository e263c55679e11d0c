"""Leases that many ask for at a time: each has what it would have had alone."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError

from registerbro.storage.coordination.leases import CITIZENS_WISH, Leases, _keys
from registerbro.storage.keys import ACTIVE_KEY, admission_key, due_key, lease_key, running_key, taken_key, wanted_key
from registerbro.storage.redis_client import connect
from tests.registerbro.storage.batches import both
from tests.support import examples

REGISTER = "udb"
LONG = timedelta(minutes=1)
NOW = 1_900_000_000_000
CITIZENS, OWNERS = [letter * 52 for letter in "abcd"], ["one", "two"]
EARLIER_OR_LATER = st.sampled_from([NOW - 1, NOW, NOW + 1, NOW + 60_000])
WISH = {"behalf": "citizen", "purpose": "show_page", "by": ""}


@st.composite
def worlds(draw):
    """What is on the server: by citizen, whether a refresh is wanted, under which lease, and who is active and due."""
    world = {"wanted": {}, "active": {}, "running": {}, "due": {}, "taken": {}, "leases": {}}
    world["admission"] = draw(st.sampled_from([None, "forced_open", "disabled", "another type"]))
    for citizen in CITIZENS:
        for name in ("wanted", "active", "running", "due", "taken"):
            if draw(st.booleans()):
                world[name][citizen] = draw(EARLIER_OR_LATER)
        world["leases"][citizen] = draw(st.sampled_from([None, "", "another type", *OWNERS]))
    return world


def filling(world):
    places = {
        wanted_key(REGISTER): "wanted", ACTIVE_KEY: "active", running_key(REGISTER): "running",
        due_key(REGISTER): "due", taken_key(REGISTER): "taken",
    }  # fmt: skip

    async def fill(redis):
        for key, name in places.items():
            if world[name]:
                await redis.zadd(key, world[name])
        if world["admission"] == "another type":
            await redis.set(admission_key(REGISTER), "no hash")
        elif world["admission"] is not None:
            await redis.hset(admission_key(REGISTER), "override", world["admission"])
        for citizen, owner in world["leases"].items():
            key = lease_key(REGISTER, citizen)
            if owner == "another type":
                await redis.set(key, "no hash")
            elif owner is not None:
                await redis.hset(key, mapping={"sendings": 1, **WISH} | ({"owner": owner} if owner else {}))

    return fill


def keys_of(citizen, *names):
    others = {
        "running": running_key(REGISTER),
        "due": due_key(REGISTER),
        "taken": taken_key(REGISTER),
        "admission": admission_key(REGISTER),
    }
    return {**_keys(REGISTER, citizen), **{name: others[name] for name in names}}


LENGTHS = st.sampled_from([60_000, 0, "no number"])
ITEMS = {
    "begin": st.builds(
        lambda citizen, length, owner: {**keys_of(citizen), "citizen": citizen, "length": length, "owner": owner},
        st.sampled_from(CITIZENS), LENGTHS, st.sampled_from(OWNERS),
    ),
    "take": st.builds(
        lambda citizen, length, owner, at_once: {
            **keys_of(citizen, "running"), "citizen": citizen, "length": length, "owner": owner, "at_once": at_once,
            **WISH,
        },
        st.sampled_from(CITIZENS), LENGTHS, st.sampled_from(OWNERS), st.integers(1, 3),
    ),
    "settle": st.builds(
        lambda citizen, owner, due_in, stored: {
            **keys_of(citizen, "running", "due", "taken", "admission"), "citizen": citizen, "owner": owner,
            "due_in": due_in, "stored": stored,
        },
        st.sampled_from(CITIZENS), st.sampled_from(OWNERS), st.sampled_from(["", 1000, "no number"]),
        st.sampled_from([0, 1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_a_batch_answers_and_leaves_behind_what_its_items_would_one_by_one(redis_servers, name):
    @given(worlds(), st.lists(ITEMS[name], min_size=1, max_size=12))
    @hypothesis_settings(max_examples=examples(300))
    def compare(world, items):
        asyncio.run(compared(world, items))

    async def compared(world, items):
        async with connect(redis_servers["broker"].url) as redis:
            leases = Leases(redis, lambda: NOW)
            alone, together = await both(redis, filling(world), getattr(leases, f"_{name}"), items)
            assert together == alone
            await redis.flushdb()

    compare()


async def test_a_lease_of_another_type_is_that_citizens_error_and_nobody_elses(leases, coordination):
    seconds, _ = await coordination.time()
    for citizen in CITIZENS:
        await coordination.zadd(wanted_key(REGISTER), {citizen: (seconds - 1) * 1000})
    await coordination.set(lease_key(REGISTER, CITIZENS[1]), "no hash")
    await coordination.config_resetstat()
    found = await asyncio.gather(
        *(leases.begin_refresh(citizen, REGISTER, LONG) for citizen in CITIZENS), return_exceptions=True
    )
    assert isinstance(found[1], ResponseError)
    assert [lease.citizen_id for lease in (*found[:1], *found[2:])] == [CITIZENS[0], *CITIZENS[2:]]
    assert all(await asyncio.gather(*(leases.settle(lease, None) for lease in (*found[:1], *found[2:]))))
    assert (await coordination.info("commandstats"))["cmdstat_evalsha"]["calls"] <= 4


async def test_a_register_whose_keys_are_of_another_type_stops_no_other(leases, coordination):
    await coordination.set(wanted_key("su"), "no sorted set")
    await leases.acquire(CITIZENS[0], REGISTER, LONG, CITIZENS_WISH)
    wrong, right = await asyncio.gather(
        *(leases.begin_refresh(CITIZENS[0], register, LONG) for register in ("su", REGISTER)), return_exceptions=True
    )
    assert isinstance(wrong, ResponseError)
    assert right.register == REGISTER
