"""Citizen ids: one per person, telling nothing of them, with a sealed way back that ends."""

from datetime import timedelta

import pytest

from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro.storage.cache.citizens import Citizens, Known, is_citizen_id
from registerbro.storage.keys import standing_key
from registerbro.storage.sealing.sealer import Sealer

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


# The standing: what the target group is judged by between two visits.

STANDING = Citizen(CPR, frozenset({12, 7}), education_order=True)


async def test_a_standing_is_recalled_with_the_citizen(citizens):
    citizen_id = await citizens.remember(CPR)
    await citizens.remember_standing(citizen_id, STANDING)
    assert await citizens.recall_with_standing(citizen_id) == Known(CPR, STANDING)


async def test_a_citizen_without_a_standing_is_known_all_the_same_and_a_standing_alone_is_nobody(citizens):
    assert await citizens.recall_with_standing(await citizens.remember(CPR)) == Known(CPR, None)
    await citizens.remember_standing(citizens.id_of(OTHER), Citizen(OTHER, frozenset({12}), education_order=False))
    assert await citizens.recall_with_standing(citizens.id_of(OTHER)) is None


async def test_a_standing_is_sealed_for_its_citizen_and_ends_with_them(citizens, cache, logged):
    mine, theirs = await citizens.remember(CPR), await citizens.remember(OTHER)
    await citizens.remember_standing(mine, STANDING)
    assert b"contact_groups" not in await cache.get(standing_key(mine))
    assert timedelta(days=29) < timedelta(seconds=await cache.ttl(standing_key(mine))) <= timedelta(days=30)
    await cache.copy(standing_key(mine), standing_key(theirs))
    assert await citizens.recall_with_standing(theirs) == Known(OTHER, None)
    assert [line["event"] for line in logged] == ["standing_unreadable"]


async def test_who_is_forgotten_has_no_standing_left(citizens, cache):
    citizen_id = await citizens.remember(CPR)
    await citizens.remember_standing(citizen_id, STANDING)
    assert await citizens.forget(citizen_id)
    assert await cache.keys() == []
    assert not await citizens.forget(citizen_id)


async def test_all_who_are_known_are_found_each_with_their_own_standing(citizens):
    people = [Cpr.parse(f"610299{number:04}") for number in range(1000, 1700)]
    for number, cpr in enumerate(people):
        citizen_id = await citizens.remember(cpr)
        if number % 2:
            await citizens.remember_standing(citizen_id, Citizen(cpr, frozenset({number}), education_order=False))
    found = {known.cpr: known.citizen async for known in citizens.all_known()}
    assert found.keys() == set(people)
    groups = [found[cpr].contact_groups if found[cpr] else None for cpr in people]
    assert groups == [frozenset({number}) if number % 2 else None for number in range(len(people))]
