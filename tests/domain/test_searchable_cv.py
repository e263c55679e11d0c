"""When a CV stops being searchable: contact group 7 ended, and no contact group is open (§2.2, R10)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.domain.overview import ContactGroupPeriod
from workers.domain.searchable_cv import FLEKSJOB, is_searchable, not_searchable_since

TODAY = date(2023, 3, 13)


def group(number, start, end=None):
    return ContactGroupPeriod(
        group=number, start=date.fromisoformat(start), end=date.fromisoformat(end) if end else None
    )


CASES = {
    "7 is open": ([group(7, "2020-01-01")], None),
    "7 ends today, which is its last day": ([group(7, "2020-01-01", "2023-03-13")], None),
    "7 ended yesterday": ([group(7, "2020-01-01", "2023-03-12")], "2023-03-13"),
    "7 ended long ago": ([group(7, "2020-01-01", "2022-01-31")], "2022-02-01"),
    "7 ends in the future": ([group(7, "2020-01-01", "2023-03-14")], None),
    "7 is to begin": ([group(7, "2023-03-14")], None),
    "changed on the same day": ([group(7, "2020-01-01", "2023-03-01"), group(12, "2023-03-01")], None),
    "changed from one day to the next": ([group(7, "2020-01-01", "2023-03-01"), group(12, "2023-03-02")], None),
    "changed today": ([group(7, "2020-01-01", "2023-03-12"), group(12, "2023-03-13")], None),
    "another begins after a gap": ([group(7, "2020-01-01", "2023-02-28"), group(12, "2023-03-14")], "2023-03-01"),
    "the gap is over": ([group(7, "2020-01-01", "2023-01-31"), group(12, "2023-03-01")], None),
    "a second group is open": ([group(7, "2020-01-01", "2023-03-01"), group(2, "2021-01-01")], None),
    "the second group ended later": (
        [group(7, "2020-01-01", "2022-12-31"), group(2, "2021-01-01", "2023-02-28")], "2023-03-01",
    ),
    "the second group ended before": (
        [group(7, "2020-01-01", "2022-12-31"), group(2, "2021-01-01", "2021-12-31")], "2023-01-01",
    ),
    "another 7 is open": ([group(7, "2019-01-01", "2020-12-31"), group(7, "2021-06-01")], None),
    "both 7s ended": ([group(7, "2019-01-01", "2020-12-31"), group(7, "2021-06-01", "2022-06-30")], "2022-07-01"),
    "another group ended, and 7 never was": ([group(12, "2020-01-01", "2022-12-31")], None),
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


@pytest.mark.parametrize(("groups", "since"), CASES.values(), ids=CASES)
def test_the_first_day_without_a_searchable_cv(groups, since):
    assert not_searchable_since(groups, TODAY) == (date.fromisoformat(since) if since else None)
    assert is_searchable(groups, TODAY) is (since is None)


@given(GROUPS, DAYS)
def test_it_is_searchable_while_any_group_is_open(groups, day):
    opened = [one for one in groups if one.start <= day and (one.end is None or day <= one.end)]
    assert not opened or is_searchable(groups, day)


@given(GROUPS, DAYS)
def test_it_is_not_searchable_from_the_day_that_is_named_and_on_each_until_this(groups, day):
    since = not_searchable_since(groups, day)
    if since is not None:
        assert since <= day
        assert not is_searchable(groups, since)
        assert any(one.end == since - timedelta(days=1) for one in groups)
        assert not_searchable_since(groups, since + (day - since) / 2) == since


@given(GROUPS, DAYS, st.randoms())
def test_the_order_of_the_groups_never_matters(groups, day, random):
    shuffled = list(groups)
    random.shuffle(shuffled)
    assert not_searchable_since(shuffled, day) == not_searchable_since(groups, day)


@given(GROUPS, DAYS)
def test_who_was_never_in_group_7_is_left_searchable(groups, day):
    assert is_searchable([one for one in groups if one.group != FLEKSJOB], day)
