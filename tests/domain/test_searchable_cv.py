"""When a CV is searchable, when it is not, and when contact groups do not say (§2.2, R10)."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import searchable_cv
from domain.dated_tables import Row, Table
from domain.overview import ContactGroupPeriod
from domain.rules import DEFAULT_RULES, ContactGroup

TODAY = date(2023, 3, 13)
FLEKSJOB = 7


def is_searchable(groups, day, rules=DEFAULT_RULES, **more):
    return searchable_cv.is_searchable(groups, day, rules, **more)


def group(number, start, end=None):
    return ContactGroupPeriod(
        group=number, start=date.fromisoformat(start), end=date.fromisoformat(end) if end else None
    )


CASES = {
    "7 is open": ([group(7, "2020-01-01")], True),
    "7 ends today, which is its last day": ([group(7, "2020-01-01", "2023-03-13")], True),
    "7 ended yesterday": ([group(7, "2020-01-01", "2023-03-12")], False),
    "7 ended long ago": ([group(7, "2020-01-01", "2022-01-31")], False),
    "7 ends in the future": ([group(7, "2020-01-01", "2023-03-14")], True),
    "7 is to begin": ([group(7, "2023-03-14")], None),
    "changed on the same day": ([group(7, "2020-01-01", "2023-03-01"), group(12, "2023-03-01")], True),
    "changed from one day to the next": ([group(7, "2020-01-01", "2023-03-01"), group(12, "2023-03-02")], True),
    "changed today": ([group(7, "2020-01-01", "2023-03-12"), group(12, "2023-03-13")], True),
    "another begins after a gap": ([group(7, "2020-01-01", "2023-02-28"), group(12, "2023-03-14")], False),
    "the gap is over": ([group(7, "2020-01-01", "2023-01-31"), group(12, "2023-03-01")], True),
    "a second group is open": ([group(7, "2020-01-01", "2023-03-01"), group(2, "2021-01-01")], True),
    "the second group ended later": (
        [group(7, "2020-01-01", "2022-12-31"), group(2, "2021-01-01", "2023-02-28")], False,
    ),
    "another 7 is open": ([group(7, "2019-01-01", "2020-12-31"), group(7, "2021-06-01")], True),
    "both 7s ended": ([group(7, "2019-01-01", "2020-12-31"), group(7, "2021-06-01", "2022-06-30")], False),
    "another group ended, and no 7 is known": ([group(12, "2020-01-01", "2022-12-31")], None),
    "no group at all": ([], None),
}  # fmt: skip

DAYS = st.dates(date(2019, 1, 1), date(2026, 12, 31))


@st.composite
def periods(draw):
    start = draw(DAYS)
    length = draw(st.none() | st.integers(0, 900))
    end = None if length is None else start + timedelta(days=length)
    return ContactGroupPeriod(group=draw(st.sampled_from([1, 2, FLEKSJOB, 12])), start=start, end=end)


GROUPS = st.lists(periods(), max_size=5)


@pytest.mark.parametrize(("groups", "searchable"), CASES.values(), ids=CASES)
def test_the_rule_has_three_answers(groups, searchable):
    assert is_searchable(groups, TODAY) is searchable


@given(GROUPS, DAYS)
def test_it_is_searchable_exactly_while_a_group_is_open(groups, day):
    opened = [one for one in groups if one.start <= day and (one.end is None or day <= one.end)]
    assert (is_searchable(groups, day) is True) == bool(opened)


@given(GROUPS, DAYS, st.randoms())
def test_the_order_of_the_groups_never_matters(groups, day, random):
    shuffled = list(groups)
    random.shuffle(shuffled)
    assert is_searchable(shuffled, day) is is_searchable(groups, day)


@given(GROUPS, DAYS)
def test_of_who_is_not_known_to_have_been_in_group_7_it_never_says_no(groups, day):
    assert is_searchable([one for one in groups if one.group != FLEKSJOB], day) is not False


@pytest.mark.parametrize(
    ("groups", "searchable"),
    [
        ([group(7, "2020-01-01", "2023-03-12")], None),
        ([group(7, "2020-01-01", "2023-03-11")], None),
        ([group(7, "2020-01-01", "2023-03-10")], False),
        ([group(7, "2020-01-01", "2023-03-10"), group(12, "2023-03-11", "2023-03-12")], None),
        ([group(7, "2020-01-01", "2023-03-12"), group(12, "2023-03-13")], True),
        ([group(7, "2020-01-01")], True),
    ],
)
def test_what_came_after_a_group_that_ended_since_the_look_is_not_known(groups, searchable):
    assert is_searchable(groups, TODAY, known_on=date(2023, 3, 11)) is searchable


def test_the_group_that_closes_the_cv_is_the_one_of_the_table_on_the_periods_last_day():
    rows = [
        Row(7, ContactGroup("Fleksjobvisiteret", closes_cv=True), last=date(2022, 12, 31)),
        Row(41, ContactGroup("Fleksjob", closes_cv=True), first=date(2023, 1, 1)),
    ]
    rules = replace(DEFAULT_RULES, contact_groups=Table(rows))
    assert is_searchable([group(7, "2021-01-01", "2022-12-31")], TODAY, rules) is False
    assert is_searchable([group(7, "2021-01-01", "2023-01-01")], TODAY, rules) is None
    assert is_searchable([group(41, "2021-01-01", "2023-01-01")], TODAY, rules) is False
    assert is_searchable([group(41, "2021-01-01", "2022-12-31")], TODAY, rules) is None
