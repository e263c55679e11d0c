"""Who belongs to the target group (R1)."""

from datetime import date

import pytest

from domain import target_group
from domain.dated_tables import Table
from domain.rules import DEFAULT_RULES
from domain.target_group import Qualifying, rule_of

TODAY = date(2023, 3, 13)
AGED_24 = date(1998, 3, 14)
TURNS_25_TODAY = date(1998, 3, 13)
AGED_60 = date(1962, 6, 1)
NOTE = DEFAULT_RULES.target_group


def in_target_group(rules=NOTE, **citizen):
    return target_group.in_target_group(rules, **citizen)


def leaves_target_group(rules=NOTE, **citizen):
    return target_group.leaves_target_group(rules, **{"education_order": True, "today": TODAY} | citizen)


@pytest.mark.parametrize(
    ("born", "education_order", "belongs"),
    [
        pytest.param(AGED_24, True, True, id="under 25 with an uddannelsespålæg"),
        pytest.param(AGED_24, False, False, id="under 25 without an uddannelsespålæg"),
        pytest.param(TURNS_25_TODAY, True, False, id="25 today with an uddannelsespålæg"),
        pytest.param(AGED_60, True, False, id="60 with an uddannelsespålæg"),
        pytest.param(AGED_60, False, False, id="60 without an uddannelsespålæg"),
    ],
)
def test_dagpenge_needs_both_an_age_under_25_and_an_uddannelsespaalaeg(born, education_order, belongs):
    assert in_target_group(born=born, contact_groups=[1], education_order=education_order, today=TODAY) is belongs


@pytest.mark.parametrize("contact_group", [12, 28])
@pytest.mark.parametrize("born", [AGED_24, TURNS_25_TODAY, AGED_60])
@pytest.mark.parametrize("education_order", [True, False])
def test_uddannelseshjaelp_and_overgangsydelse_with_paalaeg_always_belong(contact_group, born, education_order):
    assert in_target_group(born=born, contact_groups=[contact_group], education_order=education_order, today=TODAY)


@pytest.mark.parametrize("contact_groups", [[], [2], [7], [0, 3, 11, 13, 27, 29, 112, 128], [-1]])
def test_no_other_contact_group_belongs(contact_groups):
    assert not in_target_group(born=AGED_24, contact_groups=contact_groups, education_order=True, today=TODAY)


@pytest.mark.parametrize("contact_groups", [[1, 12], [12, 1], [2, 28], [28, 7, 2], {1, 28}, (2, 12)])
def test_one_contact_group_that_qualifies_is_enough(contact_groups):
    assert in_target_group(born=AGED_60, contact_groups=contact_groups, education_order=False, today=TODAY)


def test_other_contact_groups_do_not_take_dagpenge_out():
    assert in_target_group(born=AGED_24, contact_groups=[7, 1, 2], education_order=True, today=TODAY)


def test_the_age_is_that_of_the_day():
    def belongs_on(today):
        return in_target_group(born=AGED_24, contact_groups=[1], education_order=True, today=today)

    assert [belongs_on(date(2023, 3, day)) for day in (13, 14, 15)] == [True, False, False]


@pytest.mark.parametrize(
    ("contact_groups", "leaves"),
    [([1], date(2023, 3, 14)), ([1, 7], date(2023, 3, 14)), ([1, 12], None), ([28], None), ([12, 28], None)],
)
def test_only_who_belongs_by_age_leaves_by_it(contact_groups, leaves):
    assert leaves_target_group(born=AGED_24, contact_groups=contact_groups) == leaves


def test_the_codes_are_those_of_the_release_note_and_nobody_belongs_before_it():
    (rule,) = NOTE.rows
    assert [one.group for one in rule.value] == [1, 12, 28]
    assert (rule.first, rule.last) == (date(2023, 3, 13), None)
    assert not in_target_group(born=AGED_24, contact_groups=[12], education_order=True, today=date(2023, 3, 12))


# A law that ends group 12 on a day and begins another, and ends the uddannelsespålæg of group 1.

EVENING, MORNING = date(2026, 12, 31), date(2027, 1, 1)
LAW = Table(
    [
        rule_of(Qualifying(40), Qualifying(28), first=MORNING),
        rule_of(
            Qualifying(1, under_age=25, education_order=True), Qualifying(12), Qualifying(28),
            first=date(2023, 3, 13), last=EVENING,
        ),
    ],
    endless=True,
)  # fmt: skip
AGED_20 = date(2006, 7, 1)


@pytest.mark.parametrize(
    ("group", "evening", "morning"), [(12, True, False), (40, False, True), (28, True, True), (1, True, False)]
)
def test_each_day_has_its_rule(group, evening, morning):
    def belongs_on(today):
        return in_target_group(LAW, born=AGED_20, contact_groups=[group], education_order=True, today=today)

    assert [belongs_on(EVENING), belongs_on(MORNING)] == [evening, morning]


@pytest.mark.parametrize(
    ("group", "today", "leaves"),
    [
        (12, EVENING, MORNING),
        (12, date(2024, 1, 1), MORNING),
        (1, EVENING, MORNING),
        (28, EVENING, None),
        (40, MORNING, None),
    ],
)
def test_a_citizen_leaves_by_the_rule_on_its_day(group, today, leaves):
    assert leaves_target_group(LAW, born=AGED_20, contact_groups=[group], today=today) == leaves


def test_of_age_and_rule_the_first_decides():
    turns_25 = date(2001, 12, 15)
    assert leaves_target_group(LAW, born=turns_25, contact_groups=[1], today=date(2026, 12, 1)) == date(2026, 12, 15)


def test_a_citizen_whose_group_is_replaced_and_who_is_in_both_does_not_leave():
    assert leaves_target_group(LAW, born=AGED_20, contact_groups=[12, 40], today=EVENING) is None
