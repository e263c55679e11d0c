"""Contact groups on the ledger: each look is joined to the record, sealed, and no other look is lost by it."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from domain.overview import ContactGroupPeriod
from registerbro.storage import acl
from registerbro.storage.keys import CONTACT_GROUPS_CLOCK_KEY, contact_groups_key
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.ledger.contact_groups import ContactGroups, Look
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.storage.sealing.sealer import Sealer
from tests.support import SteppedClock

ME, MY_OLDER_ID, MY_OLDEST_ID, OTHER = "a" * 52, "c" * 52, "d" * 52, "b" * 52
KEEP = timedelta(days=730)
KEY = b"k" * 32
TODAY, YESTERDAY = date(2023, 3, 13), date(2023, 3, 12)


def period(group, start, end=None):
    return ContactGroupPeriod(
        group=group, start=date.fromisoformat(start), end=date.fromisoformat(end) if end else None
    )


SEVEN, TWELVE = period(7, "2020-01-01"), period(12, "2023-03-13")
SEVEN_ENDED = period(7, "2020-01-01", "2023-03-12")


def look(*groups, day=TODAY, age=timedelta(0), is_whole=True):
    return Look(groups, day, age, is_whole)


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
    return ContactGroups(connection, Sealer([KEY]), clock)


async def join(kept, one, *ids, keep_for=KEEP):
    return (await kept.join(ids or (ME,), one, keep_for)).shown()


async def shown(kept, citizen=ME):
    record = await kept.record(citizen)
    return record.history.shown() if record else None


# --- Looks ------------------------------------------------------------------------------------------------------------


async def test_a_group_that_is_open_no_more_is_known_by_the_looks_before(kept, clock):
    assert await join(kept, look(SEVEN, day=YESTERDAY)) == [SEVEN]
    clock.pass_(days=1)
    assert await join(kept, look()) == [SEVEN_ENDED]
    clock.pass_(days=1)
    assert await join(kept, look(TWELVE, day=date(2023, 3, 14))) == [SEVEN_ENDED, TWELVE]
    assert await shown(kept) == [SEVEN_ENDED, TWELVE]


async def test_each_citizen_has_a_record_of_their_own(kept):
    await join(kept, look(SEVEN))
    assert await join(kept, look(TWELVE), OTHER) == [TWELVE]
    assert await shown(kept) == [SEVEN]


async def test_a_look_that_began_before_the_newest_one_ends_nothing_that_is_open(kept, clock):
    clock.pass_(hours=1)
    await join(kept, look(TWELVE))
    late = look(SEVEN, day=YESTERDAY, age=timedelta(minutes=5))
    assert await join(kept, late) == [SEVEN_ENDED, TWELVE]
    assert await join(kept, look(day=YESTERDAY, age=timedelta(minutes=4))) == [SEVEN_ENDED, TWELVE]
    clock.pass_(minutes=1)
    assert (await join(kept, look(age=timedelta(seconds=59))))[1].end == TODAY


async def test_a_look_that_is_not_whole_ends_none(kept, clock):
    await join(kept, look(SEVEN, day=YESTERDAY))
    clock.pass_(days=1)
    assert await join(kept, look(TWELVE, is_whole=False)) == [SEVEN, TWELVE]


@pytest.mark.parametrize("set_to", [timedelta(days=30), timedelta(days=-30)])
async def test_setting_the_ledgers_clock_changes_no_order(connection, clock, set_to):
    passed = [0.0]
    kept = ContactGroups(connection, Sealer([KEY]), clock, monotonic=lambda: passed[0])
    await join(kept, look(SEVEN, day=YESTERDAY))
    clock.pass_(days=set_to.days)
    passed[0] += 60_000
    assert await join(kept, look()) == [SEVEN_ENDED]
    passed[0] += 60_000
    assert await join(kept, look(SEVEN, day=YESTERDAY, age=timedelta(seconds=90))) == [SEVEN_ENDED]


# --- Two workers ------------------------------------------------------------------------------------------------------


async def test_of_many_workers_at_once_none_loses_the_look_of_another(empty_redis, clock):
    workers = [Ledger(empty_redis["ledger"].url) for _ in range(8)]
    looks = [look(period(number, "2023-01-01"), is_whole=False) for number in range(1, 9)]
    try:
        await asyncio.gather(
            *(
                join(ContactGroups(ledger, Sealer([KEY]), clock), one)
                for ledger, one in zip(workers, looks, strict=True)
            )
        )
        assert [one.group for one in await shown(ContactGroups(workers[0], Sealer([KEY]), clock))] == [*range(1, 9)]
    finally:
        for one in workers:
            await one.close()


ANOTHERS_LOOK = b"""{"looked_at": -1, "looked_on": "0001-01-01", "periods": [
    {"group": 7, "start": "2020-01-01", "end": null, "seen_on": "2023-03-12", "seen_at": 1}
]}"""


@pytest.mark.parametrize("ids", [(ME,), (ME, MY_OLDER_ID)])
async def test_a_record_that_another_worker_has_written_since_it_was_read_is_read_again(
    empty_redis, connection, clock, ids
):
    theirs = Sealer([KEY])
    written = []

    def write_another_look():
        """Between this worker's reading and its writing: sealing comes after the one, and before the other."""
        if not written:
            written.append(True)
            key = contact_groups_key(ids[-1])
            with empty_redis["ledger"].client() as client:
                client.set(key, theirs.seal(ANOTHERS_LOOK, key))

    mine = ContactGroups(connection, Sealer([KEY], write_another_look), clock)
    assert await join(mine, look(TWELVE, is_whole=False), *ids) == [SEVEN, TWELVE]
    assert written
    assert await shown(mine) == [SEVEN, TWELVE]


# --- Ids under older peppers ------------------------------------------------------------------------------------------


async def test_records_of_older_ids_are_moved_to_the_newest_and_joined(kept, clock, ledger):
    await join(kept, look(SEVEN, day=YESTERDAY), MY_OLDEST_ID)
    clock.pass_(hours=1)
    await join(kept, look(period(1, "2019-01-01"), day=YESTERDAY, is_whole=False), MY_OLDER_ID)
    clock.pass_(days=1)
    ended = period(1, "2019-01-01", "2023-03-12")
    assert await join(kept, look(TWELVE), ME, MY_OLDER_ID, MY_OLDEST_ID) == [ended, SEVEN_ENDED, TWELVE]
    assert {*await ledger.keys()} == {contact_groups_key(ME).encode(), CONTACT_GROUPS_CLOCK_KEY.encode()}
    assert await shown(kept) == [ended, SEVEN_ENDED, TWELVE]


# --- What is kept -----------------------------------------------------------------------------------------------------


async def test_a_record_is_sealed_for_its_citizen(kept, ledger, logged):
    await join(kept, look(SEVEN))
    key = contact_groups_key(ME)
    assert b"2020" not in await ledger.get(key)
    await ledger.copy(key, contact_groups_key(OTHER))
    assert (await kept.record(OTHER)).history is None
    assert [(line["event"], line["citizen"]) for line in logged] == [("contact_groups_unreadable", OTHER)]


def unreadable():
    return REGISTRY.get_sample_value("registerbro_unreadable_total", {"what": "contact_groups"}) or 0


@pytest.mark.parametrize("content", ["of another key", "of another form", "no sealed value"])
async def test_a_record_that_does_not_open_counts_as_none_and_is_told(kept, ledger, logged, content):
    key = contact_groups_key(ME)
    lost = {
        "of another key": Sealer([b"x" * 32]).seal(b"{}", key),
        "of another form": Sealer([KEY]).seal(b'{"periods": [{"group": 7}]}', key),
        "no sealed value": b"[]",
    }[content]
    await ledger.set(key, lost)
    before = unreadable()
    assert await join(kept, look(TWELVE)) == [TWELVE]
    assert [(line["event"], line["citizen"]) for line in logged] == [("contact_groups_unreadable", ME)]
    assert unreadable() == before + 1
    assert await shown(kept) == [TWELVE]
    assert len(logged) == 1


async def test_it_is_kept_for_a_time_from_the_last_look_and_each_look_begins_that_anew(kept, ledger):
    key = contact_groups_key(ME)
    await join(kept, look(SEVEN), keep_for=timedelta(days=1))
    assert timedelta(hours=23) < timedelta(milliseconds=await ledger.pttl(key)) <= timedelta(days=1)
    await join(kept, look())
    assert timedelta(days=729) < timedelta(milliseconds=await ledger.pttl(key)) <= KEEP
    left = (await kept.record(ME)).kept_until - datetime.now(UTC)
    assert timedelta(days=729) < left < timedelta(days=731)


async def test_what_is_erased_is_gone_under_every_id(kept, ledger):
    await join(kept, look(SEVEN), MY_OLDER_ID)
    await join(kept, look(SEVEN))
    await join(kept, look(SEVEN), OTHER)
    assert await kept.erase((ME, MY_OLDER_ID))
    assert await shown(kept) is await shown(kept, MY_OLDER_ID) is None
    assert await shown(kept, OTHER) == [SEVEN]
    assert not await kept.erase((ME, MY_OLDER_ID))


@pytest.mark.parametrize("user", [user for user, grants in acl.GRANTS.items() if "ledger" in grants])
async def test_of_all_services_the_registers_worker_alone_may_join_looks(empty_redis, clock, user):
    with empty_redis["ledger"].client() as admin:
        major, minor = map(int, admin.info("server")["redis_version"].split(".")[:2])
        admin.execute_command(
            "ACL", "SETUSER", user, "reset", "on", ">x", *acl._rules(acl.GRANTS[user]["ledger"], (major, minor))
        )
        theirs = Ledger(empty_redis["ledger"].url.replace("//", f"//{user}:x@"))
        try:
            joined = await join(ContactGroups(theirs, Sealer([KEY]), clock), look(SEVEN), ME, MY_OLDER_ID)
        except REDIS_DOWN:
            joined = None
        finally:
            await theirs.close()
            admin.acl_deluser(user)
    assert (joined == [SEVEN]) == (user in {"worker-visitering", acl.OPERATOR})
