"""Overrides on the ledger: one key each, and what releases before kept in one hash for all."""

import json

import pytest

from redis_admission import Override, OverrideOrder
from registerbro.storage.keys import FORMER_OVERRIDES_KEY, override_key
from registerbro.storage.ledger.overrides import Overrides
from registerbro.storage.redis_client import connect

CUT = OverrideOrder(Override.FORCED_OPEN, "registerbro", 2_000, "wrong_person")
LATER = OverrideOrder(Override.DISABLED, "operator", 3_000, "it is well")


def kept(ordered):
    return json.dumps({"override": ordered.override, "by": ordered.by, "at": ordered.at, "reason": ordered.reason})


@pytest.fixture
async def ledger(empty_redis):
    client = connect(empty_redis["ledger"].url)
    yield client
    await client.aclose()


@pytest.mark.parametrize(("before", "now", "in_force"), [(CUT, None, CUT), (CUT, LATER, LATER), (LATER, CUT, LATER)])
async def test_what_was_ordered_last_is_in_force_after_an_upgrade(ledger, before, now, in_force):
    overrides = Overrides(ledger)
    await ledger.hset(FORMER_OVERRIDES_KEY, mapping={"udb": kept(before), "su": kept(CUT)})
    if now is not None:
        await overrides.put("udb", now)
    await overrides.keep_moving()
    assert await overrides.get("udb") == in_force
    assert await overrides.get("su") == CUT
    assert not await ledger.exists(FORMER_OVERRIDES_KEY)


async def test_what_is_lifted_does_not_come_back_from_where_releases_before_had_it(ledger):
    overrides = Overrides(ledger)
    await ledger.hset(FORMER_OVERRIDES_KEY, mapping={"udb": kept(CUT), "su": kept(CUT)})
    await overrides.put("udb", None)
    await overrides.keep_moving()
    assert (await overrides.get("udb"), await overrides.get("su")) == (None, CUT)


async def test_who_may_not_move_them_leaves_that_to_others(ledger, empty_redis):
    await ledger.hset(FORMER_OVERRIDES_KEY, "udb", kept(CUT))
    with empty_redis["ledger"].client() as admin:
        admin.acl_setuser(
            "udb", enabled=True, nopass=True, keys=[override_key("udb")], categories=["+@all"], reset=True
        )
        mine = connect(empty_redis["ledger"].url.replace("//", "//udb:x@"))
        await Overrides(mine).keep_moving()
        assert await Overrides(mine).get("udb") is None
        await mine.aclose()
        admin.acl_deluser("udb")
    assert await ledger.exists(FORMER_OVERRIDES_KEY)
