"""What older keys sealed is sealed anew by the newest, in its place, while it is read and changed."""

from datetime import timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import SuAttempts
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries
from registerbro.storage.keys import contact_groups_key, subscription_key
from registerbro.storage.sealing.reseal import Kind, Resealing
from registerbro.storage.sealing.sealer import Sealer, key_id, sealed_with

OLD, NEW = b"o" * 32, b"n" * 32
CPR = Cpr.parse("6102991234")
HOUR = timedelta(hours=1)


@pytest.fixture
def resealing(cache, ledger):
    return Resealing(cache, ledger, Sealer([NEW, OLD]))


async def fill(cache, ledger, key):
    """A citizen, an entry, a report, a subscription, contact groups and two employers' names, one of them in the clear.

    Returns the id.
    """
    sealer = Sealer([key])
    citizen_id = await Citizens(cache, sealer, lambda: (b"a pepper for tests alone",), HOUR).remember(CPR)
    content = {"su_attempts": [SuAttempts(count=2)]}
    await Entries(cache, sealer).store(citizen_id, "su", content, age=timedelta(0), fresh_for=HOUR, usable_for=2 * HOUR)
    await cache.set("employer:12345678", sealer.seal(b"Zebra Finke", "employer:12345678"), ex=3600)
    await cache.set("employer:22222222", b"Bageren ApS", ex=3600)
    report = "{reports}:report:1"
    await ledger.hset(
        report,
        mapping={
            "content": sealer.seal(b"text", f"{report}#content"),
            "answer": sealer.seal(b"no", f"{report}#answer"),
        },
    )
    place = subscription_key("udb", citizen_id)
    await ledger.hset(place, mapping={"state": "on", "number": sealer.seal(CPR.digits.encode(), f"{place}#number")})
    place = contact_groups_key(citizen_id)
    await ledger.set(place, sealer.seal(b"groups", place), ex=3600)
    return citizen_id


async def values(resealing):
    return sorted([(value.kind, value.key_id) async for value in resealing.values()])


async def test_everything_is_found_with_the_key_that_sealed_it(resealing, cache, ledger):
    await fill(cache, ledger, OLD)
    old = key_id(OLD)
    assert await values(resealing) == [
        (Kind.CITIZEN, old), (Kind.CONTACT_GROUPS, old), (Kind.EMPLOYER, old), (Kind.ENTRY, old), (Kind.REPORT, old),
        (Kind.REPORT, old), (Kind.SUBSCRIPTION, old),
    ]  # fmt: skip


async def test_everything_opens_with_the_new_key_alone_afterwards_and_ends_as_before(resealing, cache, ledger):
    who = await fill(cache, ledger, OLD)
    kept = (f"citizen:{{{who}}}", f"entry:{{{who}}}:su", "employer:12345678", "employer:22222222")
    before = [await cache.pttl(key) for key in kept]
    assert [opened async for opened in resealing.renew_all()] == [True] * 7
    after = [await cache.pttl(key) for key in kept]
    assert all(0 < now <= then for now, then in zip(after, before, strict=True))
    new = Sealer([NEW])
    assert await Citizens(cache, new, lambda: (b"a pepper for tests alone",), HOUR).recall(who) == CPR
    entry = (await Entries(cache, new).read(who, ["su"]))["su"]
    assert (entry.sections, entry.fresh) == ({"su_attempts": [{"count": 2}]}, True)
    assert new.open(await ledger.hget("{reports}:report:1", "content"), "{reports}:report:1#content") == b"text"
    assert new.open(await cache.get("employer:12345678"), "employer:12345678") == b"Zebra Finke"
    place = subscription_key("udb", who)
    assert new.open(await ledger.hget(place, "number"), f"{place}#number") == CPR.digits.encode()
    place = contact_groups_key(who)
    assert new.open(await ledger.get(place), place) == b"groups"
    assert 0 < await ledger.ttl(place) <= 3600
    assert await cache.get("employer:22222222") == b"Bageren ApS"
    assert [opened async for opened in resealing.renew_all()] == []


async def test_what_changed_in_the_meantime_is_left_as_it_is(resealing, cache, ledger):
    who = await fill(cache, ledger, OLD)
    found = [value async for value in resealing.values()]
    await fill(cache, ledger, NEW)
    changed = await cache.get(f"citizen:{{{who}}}")
    assert [await resealing.renew(value) for value in found] == [False] * 7
    assert await cache.get(f"citizen:{{{who}}}") == changed
    assert sealed_with(changed) == key_id(NEW)


async def test_what_was_removed_in_the_meantime_does_not_come_back(resealing, cache, ledger):
    await fill(cache, ledger, OLD)
    found = [value async for value in resealing.values()]
    await cache.flushdb()
    await ledger.flushdb()
    assert [await resealing.renew(value) for value in found] == [False] * 7
    assert await cache.dbsize() == await ledger.dbsize() == 0


async def test_what_no_key_opens_is_counted_and_left(resealing, cache, ledger):
    who = await fill(cache, ledger, b"x" * 32)
    before = await cache.get(f"citizen:{{{who}}}")
    assert [opened async for opened in resealing.renew_all()] == [False] * 7
    assert await cache.get(f"citizen:{{{who}}}") == before
