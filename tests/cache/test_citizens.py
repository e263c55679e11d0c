"""Citizen ids: one per person, telling nothing of them, with a sealed way back that ends."""

from datetime import timedelta

import pytest

from workers.cache.citizens import Citizens, is_citizen_id
from workers.cache.sealing import Sealer
from workers.domain.cpr import Cpr

CPR = Cpr.parse("6102991234")
OTHER = Cpr.parse("6202995678")


def test_two_spellings_are_one_citizen(citizens):
    assert citizens.id_of(Cpr.parse("610299-1234")) == citizens.id_of(CPR)


def test_two_people_are_two_citizens(citizens):
    assert citizens.id_of(OTHER) != citizens.id_of(CPR)


def test_another_pepper_makes_other_ids(citizens, cache, sealer):
    others = Citizens(cache, sealer, lambda: (b"another pepper altogether",), timedelta(days=1))
    assert others.id_of(CPR) != citizens.id_of(CPR)


def test_an_id_has_its_form_and_holds_no_number(citizens):
    assert is_citizen_id(citizens.id_of(CPR))
    assert CPR.digits not in citizens.id_of(CPR)


@pytest.mark.parametrize("text", ["", "6102991234", "A" * 52, "a" * 51, "a" * 53, "1" * 52, None, 7, ["a" * 52]])
def test_what_is_no_id_is_told_apart(text):
    assert not is_citizen_id(text)


async def test_a_remembered_citizen_is_recalled(citizens):
    assert await citizens.recall(await citizens.remember(CPR)) == CPR


async def test_a_citizen_who_was_never_seen_is_not_known(citizens):
    assert await citizens.recall(citizens.id_of(CPR)) is None


async def test_a_citizen_is_forgotten_in_the_end(citizens, cache):
    citizen_id = await citizens.remember(CPR)
    assert timedelta(days=29) < timedelta(seconds=await cache.ttl(f"citizen:{{{citizen_id}}}")) <= timedelta(days=30)


async def test_the_number_is_in_no_key_and_no_plain_value(citizens, cache):
    await citizens.remember(CPR)
    (key,) = await cache.keys()
    assert CPR.digits.encode() not in key + await cache.get(key)


async def test_a_number_copied_under_another_citizens_id_does_not_open(citizens, cache):
    mine, theirs = await citizens.remember(CPR), await citizens.remember(OTHER)
    await cache.copy(f"citizen:{{{mine}}}", f"citizen:{{{theirs}}}", replace=True)
    assert await citizens.recall(theirs) is None


async def test_with_another_sealing_key_a_citizen_is_unknown_and_not_wrong(citizens, cache):
    citizen_id = await citizens.remember(CPR)
    others = Citizens(cache, Sealer([b"x" * 32]), lambda: (b"a pepper for tests alone",), timedelta(days=1))
    assert await others.recall(citizen_id) is None


def test_the_ids_by_all_peppers_are_known_and_the_first_names(cache, sealer):
    before = Citizens(cache, sealer, lambda: (b"old",), timedelta(days=1))
    after = Citizens(cache, sealer, lambda: (b"new", b"old"), timedelta(days=1))
    assert after.ids_of(CPR) == (after.id_of(CPR), before.id_of(CPR))
    assert after.id_of(CPR) != before.id_of(CPR)


def test_another_pepper_names_from_the_next_call_on(cache, sealer):
    peppers = [b"old"]
    citizens = Citizens(cache, sealer, lambda: tuple(peppers), timedelta(days=1))
    before = citizens.id_of(CPR)
    peppers.insert(0, b"new")
    assert citizens.ids_of(CPR)[1] == before != citizens.id_of(CPR)


async def test_who_is_forgotten_is_not_recalled(citizens):
    citizen_id = await citizens.remember(CPR)
    assert await citizens.forget(citizen_id)
    assert await citizens.recall(citizen_id) is None
    assert not await citizens.forget(citizen_id)
