"""Entries: data are only ever replaced by newer data, and failures are told of for a while."""

from datetime import timedelta

import pytest

from domain.overview import SuAttempts
from registerbro.storage.cache.entries import Entries
from registerbro.storage.keys import entry_channel, entry_key
from registerbro.storage.sealing.sealer import Sealer

ME, OTHER = "a" * 52, "b" * 52
NOW, SECOND, HOUR = timedelta(0), timedelta(seconds=1), timedelta(hours=1)


def attempts(count):
    return {"su_attempts": [SuAttempts(count=count)]}


async def store(entries, count, age=NOW, *, citizen=ME, fresh_for=12 * HOUR, usable_for=72 * HOUR):
    return await entries.store(citizen, "su", attempts(count), age=age, fresh_for=fresh_for, usable_for=usable_for)


async def fail(entries, reason="timeout", age=NOW, retry_after=30 * SECOND):
    return await entries.fail(ME, "su", reason, age=age, retry_after=retry_after)


async def read(entries, citizen=ME):
    return (await entries.read(citizen, ["su"]))["su"]


async def test_nothing_is_known_of_a_stranger(entries):
    entry = await read(entries)
    assert (entry.sections, entry.failure, entry.pending, entry.fresh) == (None, None, False, False)


async def test_what_is_stored_is_read_back_fresh(entries):
    assert await store(entries, 2)
    entry = await read(entries)
    assert entry.sections == {"su_attempts": [{"count": 2}]}
    assert entry.fresh
    assert entry.read_at - entry.fetched_at < timedelta(minutes=1)


async def test_data_older_than_fresh_are_still_usable(entries):
    await store(entries, 2, age=13 * HOUR)
    entry = await read(entries)
    assert entry.sections
    assert not entry.fresh


async def test_data_past_their_use_are_gone(entries, cache):
    await store(entries, 2, age=73 * HOUR)
    assert (await read(entries)).sections is None
    assert await cache.exists(entry_key(ME, "su")) == 0


async def test_older_data_never_overwrite_newer(entries):
    await store(entries, 2, age=SECOND)
    assert not await store(entries, 1, age=10 * SECOND)
    assert (await read(entries)).sections == {"su_attempts": [{"count": 2}]}


async def test_newer_data_overwrite_older(entries):
    await store(entries, 1, age=10 * SECOND)
    assert await store(entries, 2)
    assert (await read(entries)).sections == {"su_attempts": [{"count": 2}]}


async def test_a_failed_refresh_keeps_the_last_good_data(entries):
    await store(entries, 2, age=13 * HOUR)
    await fail(entries)
    entry = await read(entries)
    assert entry.sections == {"su_attempts": [{"count": 2}]}
    assert entry.failure == "timeout"


async def test_a_failure_of_an_older_fetch_says_nothing_of_newer_data(entries):
    await store(entries, 2)
    assert not await fail(entries, age=10 * SECOND)
    assert (await read(entries)).failure is None


async def test_data_wipe_out_an_earlier_failure(entries):
    await fail(entries)
    await store(entries, 2)
    assert (await read(entries)).failure is None


async def test_a_failure_is_remembered_with_its_reason_and_wait(entries):
    await fail(entries, "unavailable", retry_after=30 * SECOND)
    entry = await read(entries)
    assert entry.failure == "unavailable"
    assert 29 * SECOND < entry.retry_after <= 30 * SECOND
    assert entry.sections is None


async def test_a_failure_alone_is_forgotten_by_redis_itself(entries, cache):
    await fail(entries, retry_after=30 * SECOND)
    assert 0 < await cache.pttl(entry_key(ME, "su")) <= 30_000


async def test_a_short_failure_never_shortens_the_life_of_the_data(entries, cache):
    await store(entries, 2)
    await fail(entries, retry_after=SECOND)
    await entries.mark_pending(ME, {"su": SECOND})
    assert await cache.ttl(entry_key(ME, "su")) > 71 * 3600


@pytest.mark.parametrize("settle", [store, fail], ids=["stored", "failed"])
async def test_a_fetch_that_ended_is_no_longer_pending(entries, settle):
    await entries.mark_pending(ME, {"su": 15 * SECOND})
    assert (await read(entries)).pending
    await settle(entries, **({"count": 1} if settle is store else {}))
    assert not (await read(entries)).pending


async def test_pending_ends_by_itself(entries, cache):
    await entries.mark_pending(ME, {"su": 15 * SECOND, "udb": 20 * SECOND})
    assert 0 < await cache.pttl(entry_key(ME, "su")) <= 15_000


async def test_pending_can_be_taken_back(entries):
    await entries.mark_pending(ME, {"su": 15 * SECOND})
    await entries.unmark_pending(ME, "su")
    assert not (await read(entries)).pending


async def test_an_entry_copied_under_another_citizens_key_does_not_open(entries, cache):
    await store(entries, 2)
    await cache.copy(entry_key(ME, "su"), entry_key(OTHER, "su"))
    entry = await read(entries, OTHER)
    assert entry.sections is None
    assert not entry.fresh


async def test_an_entry_sealed_with_a_lost_key_is_not_fresh_so_it_is_fetched_again(entries, cache):
    await store(entries, 2)
    entry = await read(Entries(cache, Sealer([b"x" * 32])))
    assert (entry.sections, entry.fresh) == (None, False)


async def test_an_entry_of_another_format_is_as_good_as_none(entries, cache):
    await store(entries, 2)
    await cache.hset(entry_key(ME, "su"), "v", "2")
    assert (await read(entries)).sections is None


async def test_no_data_are_told_apart_from_no_entry(entries):
    await entries.store(ME, "su", {"su_attempts": []}, age=NOW, fresh_for=HOUR, usable_for=HOUR)
    assert (await read(entries)).sections == {"su_attempts": []}


async def test_each_change_is_published_on_the_citizens_channel(entries, cache):
    async with cache.pubsub() as listener:
        await listener.subscribe(entry_channel(ME))
        await store(entries, 1)
        await fail(entries)
        heard = [await listener.get_message(timeout=5) for _ in range(3)]
    assert [message["data"] for message in heard if message["type"] == "message"] == [b"su", b"su"]


async def test_scripts_survive_being_flushed(entries, cache):
    await store(entries, 1)
    await cache.script_flush()
    assert await store(entries, 2)


async def read_as(entries, citizen, *older):
    return (await entries.read(citizen, ["su"], older))["su"]


async def test_data_under_an_older_id_of_the_citizen_are_shown_until_newer_ones_come(entries):
    await store(entries, 1, citizen=OTHER, age=HOUR)
    entry = await read_as(entries, ME, OTHER)
    assert (entry.sections, entry.fresh) == ({"su_attempts": [{"count": 1}]}, True)
    await store(entries, 2, age=SECOND)
    assert (await read_as(entries, ME, OTHER)).sections == {"su_attempts": [{"count": 2}]}
    await store(entries, 3, citizen=OTHER)
    assert (await read_as(entries, ME, OTHER)).sections == {"su_attempts": [{"count": 3}]}


async def test_a_failure_under_the_id_of_now_stands_beside_the_data_under_the_older(entries):
    await store(entries, 1, citizen=OTHER, age=13 * HOUR)
    await fail(entries)
    entry = await read_as(entries, ME, OTHER)
    assert (entry.sections, entry.failure) == ({"su_attempts": [{"count": 1}]}, "timeout")


async def test_what_is_asked_for_under_an_older_id_is_not_waited_for(entries):
    await entries.mark_pending(OTHER, {"su": HOUR})
    assert not (await read_as(entries, ME, OTHER)).pending


async def test_nothing_is_left_of_an_entry_that_is_erased(entries):
    await store(entries, 1)
    await store(entries, 2, citizen=OTHER)
    assert await entries.erase(ME, ["su", "udb"]) == 1
    assert (await read(entries)).sections is None
    assert (await read(entries, OTHER)).sections is not None


async def clock_is_set_back(cache, by, citizen=ME):
    """What is kept says the same as after that: each of its times is so much later than the clock."""
    key = entry_key(citizen, "su")
    for name in await cache.hkeys(key):
        if name.endswith((b"_at", b"_until")):
            await cache.hincrby(key, name, by // timedelta(milliseconds=1))


BACK = [HOUR, 8 * 24 * HOUR]


@pytest.mark.parametrize("read_before", [True, False])
@pytest.mark.parametrize("back", BACK)
async def test_after_the_clock_was_set_back_a_new_fetch_takes_the_place_of_what_is_kept(
    entries, cache, back, read_before
):
    await store(entries, 1)
    await clock_is_set_back(cache, back)
    if read_before:
        assert (await read(entries)).sections == {"su_attempts": [{"count": 1}]}
    assert await store(entries, 2)
    entry = await read(entries)
    assert (entry.sections, entry.fresh) == ({"su_attempts": [{"count": 2}]}, True)


async def test_a_worker_that_stood_still_replaces_nothing_because_the_clock_was_set_back(entries, cache):
    await store(entries, 2)
    await clock_is_set_back(cache, HOUR)
    assert not await store(entries, 1, age=2 * HOUR)
    assert not await fail(entries, age=2 * HOUR)


@pytest.mark.parametrize("back", BACK)
async def test_after_the_clock_was_set_back_data_are_shown_no_longer_than_from_now_on_and_asked_for(
    entries, cache, back
):
    await store(entries, 2)
    await clock_is_set_back(cache, back)
    for _ in range(2):
        entry = await read(entries)
        assert (entry.sections, entry.fresh) == ({"su_attempts": [{"count": 2}]}, False)
        assert entry.fetched_at <= entry.read_at
    assert 71 * HOUR < timedelta(milliseconds=await cache.pttl(entry_key(ME, "su"))) <= 72 * HOUR


@pytest.mark.parametrize("back", BACK)
async def test_after_the_clock_was_set_back_no_page_waits_and_no_failure_keeps_others_from_asking(entries, cache, back):
    await entries.mark_pending(ME, {"su": 15 * SECOND})
    await clock_is_set_back(cache, back)
    assert not (await read(entries)).pending
    await fail(entries)
    assert (await read(entries)).failure == "timeout"
    await clock_is_set_back(cache, back)
    entry = await read(entries)
    assert (entry.failure, entry.retry_after) == (None, None)


async def test_an_entry_of_the_edition_before_is_pending_as_it_was(entries, cache):
    await entries.mark_pending(ME, {"su": 15 * SECOND})
    await cache.hdel(entry_key(ME, "su"), "pending_at")
    assert (await read(entries)).pending
