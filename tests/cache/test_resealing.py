"""What older keys sealed is sealed anew by the newest, in its place, while it is read and changed."""

from datetime import timedelta

import pytest

from workers.cache.citizens import Citizens
from workers.cache.entries import Entries
from workers.cache.resealing import Kind, Resealing
from workers.cache.sealing import Sealer, key_id, sealed_with
from workers.connections import connect
from workers.domain.cpr import Cpr
from workers.domain.overview import SuAttempts

OLD, NEW = b"o" * 32, b"n" * 32
CPR = Cpr.parse("6102991234")
HOUR = timedelta(hours=1)


@pytest.fixture
async def ledger(empty_redis):
    redis = connect(empty_redis["ledger"].url)
    yield redis
    await redis.aclose()


@pytest.fixture
def resealing(cache, ledger):
    return Resealing(cache, ledger, Sealer([NEW, OLD]))


async def fill(cache, ledger, key):
    """A citizen, an entry, a report and an employer's name, beside one in the clear; returns the citizen's id."""
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
    return citizen_id


async def values(resealing):
    return sorted([(value.kind, value.key_id) async for value in resealing.values()])


async def test_everything_is_found_with_the_key_that_sealed_it(resealing, cache, ledger):
    await fill(cache, ledger, OLD)
    old = key_id(OLD)
    assert await values(resealing) == [
        (Kind.CITIZEN, old), (Kind.EMPLOYER, old), (Kind.ENTRY, old), (Kind.REPORT, old), (Kind.REPORT, old),
    ]  # fmt: skip


async def test_everything_opens_with_the_new_key_alone_afterwards_and_ends_as_before(resealing, cache, ledger):
    who = await fill(cache, ledger, OLD)
    kept = (f"citizen:{{{who}}}", f"entry:{{{who}}}:su", "employer:12345678", "employer:22222222")
    before = [await cache.pttl(key) for key in kept]
    assert [opened async for opened in resealing.renew_all()] == [True] * 5
    after = [await cache.pttl(key) for key in kept]
    assert all(0 < now <= then for now, then in zip(after, before, strict=True))
    new = Sealer([NEW])
    assert await Citizens(cache, new, lambda: (b"a pepper for tests alone",), HOUR).recall(who) == CPR
    entry = (await Entries(cache, new).read(who, ["su"]))["su"]
    assert (entry.sections, entry.fresh) == ({"su_attempts": [{"count": 2}]}, True)
    assert new.open(await ledger.hget("{reports}:report:1", "content"), "{reports}:report:1#content") == b"text"
    assert new.open(await cache.get("employer:12345678"), "employer:12345678") == b"Zebra Finke"
    assert await cache.get("employer:22222222") == b"Bageren ApS"
    assert [opened async for opened in resealing.renew_all()] == []


async def test_what_changed_in_the_meantime_is_left_as_it_is(resealing, cache, ledger):
    who = await fill(cache, ledger, OLD)
    found = [value async for value in resealing.values()]
    await fill(cache, ledger, NEW)
    changed = await cache.get(f"citizen:{{{who}}}")
    assert [await resealing.renew(value) for value in found] == [False] * 5
    assert await cache.get(f"citizen:{{{who}}}") == changed
    assert sealed_with(changed) == key_id(NEW)


async def test_what_was_removed_in_the_meantime_does_not_come_back(resealing, cache, ledger):
    await fill(cache, ledger, OLD)
    found = [value async for value in resealing.values()]
    await cache.flushdb()
    await ledger.flushdb()
    assert [await resealing.renew(value) for value in found] == [False] * 5
    assert await cache.dbsize() == await ledger.dbsize() == 0


async def test_what_no_key_opens_is_counted_and_left(resealing, cache, ledger):
    who = await fill(cache, ledger, b"x" * 32)
    before = await cache.get(f"citizen:{{{who}}}")
    assert [opened async for opened in resealing.renew_all()] == [False] * 5
    assert await cache.get(f"citizen:{{{who}}}") == before
