"""The months of the calendar: which days each shows, and when a deadline is shown (§3.2, R10)."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar_month import InvalidMonth, Month, is_deadline_shown

TODAY = date(2023, 3, 13)
MONTHS = st.builds(Month, st.integers(1900, 2100), st.integers(1, 12))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2023-03", "2023-02-27", "2023-04-02"),
        ("2021-02", "2021-02-01", "2021-02-28"),
        ("2024-02", "2024-01-29", "2024-03-03"),
        ("2023-01", "2022-12-26", "2023-02-05"),
        ("1900-01", "1900-01-01", "1900-02-04"),
        ("2100-12", "2100-11-29", "2101-01-02"),
    ],
)
def test_a_month_shows_whole_weeks(text, first, last):
    month = Month.parse(text)
    assert (month.first_shown, month.last_shown) == (date.fromisoformat(first), date.fromisoformat(last))
    assert str(month) == text


@pytest.mark.parametrize(
    "text", ["1899-12", "2101-01", "2023-00", "2023-13", "2023-3", "23-03", "2023-03-01", "2023-03\n", " 2023-03", ""]
)
def test_what_is_no_month_is_refused(text):
    with pytest.raises(InvalidMonth) as caught:
        Month.parse(text)
    assert str(caught.value) == "is not a month from 1900-01 to 2100-12, written as 2023-03"


@given(st.dates())
def test_a_day_is_in_its_own_month(day):
    month = Month.of(day)
    assert (month.year, month.month) == (day.year, day.month)
    assert month.first <= day <= month.last


@pytest.mark.parametrize(
    ("text", "months", "later"),
    [
        ("2023-03", 0, "2023-03"),
        ("2023-03", 1, "2023-04"),
        ("2023-03", -1, "2023-02"),
        ("2023-12", 1, "2024-01"),
        ("2023-01", -1, "2022-12"),
        ("2023-03", 25, "2025-04"),
        ("2023-03", -27, "2020-12"),
    ],
)
def test_so_many_months_later_or_earlier_is_a_month(text, months, later):
    assert str(Month.parse(text).plus(months)) == later


@pytest.mark.parametrize(
    ("text", "mondays"),
    [
        ("2023-03", ["2023-02-27", "2023-03-06", "2023-03-13", "2023-03-20", "2023-03-27"]),
        ("2021-02", ["2021-02-01", "2021-02-08", "2021-02-15", "2021-02-22"]),
        ("2023-10", ["2023-09-25", "2023-10-02", "2023-10-09", "2023-10-16", "2023-10-23", "2023-10-30"]),
    ],
)
def test_each_week_that_is_shown_has_its_monday(text, mondays):
    assert [day.isoformat() for day in Month.parse(text).mondays()] == mondays


@given(MONTHS)
def test_weeks_begin_on_monday_and_hold_the_whole_month(month):
    assert (month.first_shown.weekday(), month.last_shown.weekday()) == (0, 6)
    assert date(month.year, month.month, 1) - month.first_shown < timedelta(days=7)
    assert month.shows(date(month.year, month.month, 1), date(month.year, month.month, 28))
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("2023-02-01", "2023-02-26", False),
        ("2023-02-01", "2023-02-27", True),
        ("2023-04-02", "2023-04-02", True),
        ("2023-04-03", "2023-04-10", False),
        ("2022-01-01", "2024-01-01", True),
    ],
)
def test_what_touches_a_shown_day_is_shown(start, end, shown):
    assert Month(2023, 3).shows(date.fromisoformat(start), date.fromisoformat(end)) is shown


def test_what_has_no_end_is_shown_from_its_first_day_on():
    months = ("2023-02", "2023-03", "2024-01")
    shown = [Month.parse(month).shows(date(2023, 3, 10), None) for month in months]
    assert shown == [False, True, True]


@pytest.mark.parametrize(
    ("days", "active", "shown"),
    [(-1, True, False), (0, True, True), (1, True, True), (1, False, False), (0, False, False), (-1, False, False)],
)
def test_a_deadline_is_shown_while_active_and_not_passed(days, active, shown):
    assert is_deadline_shown(TODAY + timedelta(days=days), active=active, today=TODAY) is shown
