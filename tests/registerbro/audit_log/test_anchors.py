"""What the ledger knows of chains: each service's apart, and what releases before wrote for all of them together."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from registerbro import audit_log
from registerbro.audit_log import Anchors, AuditWriter
from registerbro.audit_log.anchors import NOBODY
from registerbro.audit_log.record import Position
from registerbro.storage.keys import floors_key, heads_key
from registerbro.storage.ledger.connection import Ledger
from tests.registerbro.audit_log.conftest import look_up

SERVICES = ("portal", "worker-udb", "worker-su")


@pytest.fixture
async def heads_of(empty_redis):
    """The heads as a service sees them that signs in to the ledger as itself."""
    ledgers = []
    with empty_redis["ledger"].client() as admin:
        for user in SERVICES:
            everything = ("keys", "audit:*") if user == "portal" else ("keys", f"audit:*:{user}")
            admin.acl_setuser(user, enabled=True, nopass=True, keys=[everything[1]], categories=["+@all"], reset=True)

        def make(user):
            url = empty_redis["ledger"].url.replace("//", f"//{user}:x@")
            ledgers.append(Ledger(url))
            return Anchors(ledgers[-1])

        yield make
        for ledger in ledgers:
            await ledger.close()
        admin.acl_deluser(*SERVICES)


def at(seq):
    return Position(seq, f"{seq:064x}")


def told(seq, closed=False):
    return json.dumps({"seq": seq, "hash": f"{seq:064x}", "closed": closed})


async def test_each_service_tells_of_its_own_chains_and_the_portal_reads_all(heads_of):
    for user in SERVICES:
        await heads_of(user).put(f"chain of {user}", at(3), closed=False)
    assert set(await heads_of("portal").read()) == {f"chain of {user}" for user in SERVICES}
    assert set(await heads_of("worker-udb").read()) == {"chain of worker-udb"}
    assert set(await heads_of("worker-udb").own()) == {"chain of worker-udb"}


async def test_of_a_chain_that_two_claim_more_is_looked_for(heads_of):
    for user, seq, floor in (("worker-su", 9, 4), ("worker-udb", 7, 8)):
        await heads_of(user).put("chain", at(seq), closed=False)
        await heads_of(user).raise_floor("chain", at(floor))
    head = (await heads_of("portal").read())["chain"]
    assert (head.position, head.floor) == (at(9), at(4))


async def test_whoever_has_a_chain_takes_over_what_is_known_of_it_and_the_portal_takes_it_out(heads_of, empty_redis):
    with empty_redis["ledger"].client() as admin:
        admin.hset(heads_key(), mapping={"its": told(5, closed=True), "another's": told(2)})
        admin.hset(floors_key(), mapping={"its": told(3)})
        admin.execute_command("ACL", "SETUSER", "worker-udb", f"~{heads_key()}", f"~{floors_key()}")
        udb, portal = heads_of("worker-udb"), heads_of("portal")
        assert set(await portal.read()) == {"its", "another's"}
        await udb.adopt(["its", "of today"])
        assert {name: (head.position, head.closed, head.floor) for name, head in (await udb.own()).items()} == {
            "its": (at(5), True, at(3))
        }
        assert set(await portal.read()) == {"its", "another's"}
        await portal.adopt([])
        assert (admin.hkeys(heads_key()), admin.hkeys(floors_key())) == ([b"another's"], [])
        await udb.forget("its")
        assert set(await portal.read()) == {"another's"}


async def test_an_audit_log_of_a_release_before_stays_whole_and_goes_on(log, services):
    await log.fill()
    redis = services.ledger.redis
    for name in (heads_key(), floors_key()):
        if await redis.exists(f"{name}:{NOBODY}"):
            await redis.rename(f"{name}:{NOBODY}", name)
    assert (await log.verify()).problems == ()
    await log.fill()
    verdict = await log.verify()
    assert (verdict.problems, verdict.chains) == ((), 1)
    assert not await redis.exists(heads_key())


async def test_files_of_another_services_chain_are_left_to_that_service(
    heads_of, make_settings, audit_dir, monkeypatch
):
    settings = make_settings(AUDIT_KEPT_FOR="P1D")
    theirs = AuditWriter(settings, heads_of("worker-su"))
    await look_up(theirs)
    await theirs.close()
    later = datetime.now(UTC).date() + timedelta(days=10)

    async def today(_):
        return later

    monkeypatch.setattr(Anchors, "today", today)
    portal = AuditWriter(settings, heads_of("portal"), today=lambda: later)
    await portal.tidy()
    await portal.close()
    assert audit_log.verify(audit_dir, await heads_of("portal").read()).problems == ()
    again = AuditWriter(settings, heads_of("worker-su"), today=lambda: later)
    await again.tidy()
    await again.close()
    assert audit_log.verify(audit_dir, await heads_of("portal").read()).problems == ()
    assert len(list(audit_dir.glob("*.jsonl"))) == 2
