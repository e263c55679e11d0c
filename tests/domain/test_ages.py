"""Birthdays, also of who was born on 29 February (R1, R6)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ages import birthday, is_under


@pytest.mark.parametrize(
    ("born", "years", "day"),
    [
        (date(2000, 6, 15), 18, date(2018, 6, 15)),
        (date(2000, 2, 28), 18, date(2018, 2, 28)),
        (date(2000, 2, 29), 18, date(2018, 2, 28)),
        (date(2000, 2, 29), 20, date(2020, 2, 29)),
        (date(1880, 2, 29), 20, date(1900, 2, 28)),
        (date(2000, 3, 1), 18, date(2018, 3, 1)),
        (date(2000, 2, 29), 0, date(2000, 2, 29)),
    ],
)
def test_a_birthday_is_the_same_day_or_28_february_in_a_year_without_a_29th(born, years, day):
    assert birthday(born, years) == day


@pytest.mark.parametrize(
    ("born", "today", "under"),
    [
        pytest.param(date(1998, 3, 14), date(2023, 3, 13), True, id="the day before"),
        pytest.param(date(1998, 3, 13), date(2023, 3, 13), False, id="on the birthday"),
        pytest.param(date(1998, 3, 12), date(2023, 3, 13), False, id="the day after"),
        pytest.param(date(2000, 2, 29), date(2025, 2, 27), True, id="27 February, born on the 29th"),
        pytest.param(date(2000, 2, 29), date(2025, 2, 28), False, id="28 February, born on the 29th"),
    ],
)
def test_who_has_the_birthday_today_is_not_under_it(born, today, under):
    assert is_under(born, 25, today) is under


@given(st.dates(date(1858, 1, 1), date(2057, 12, 31)), st.integers(0, 120))
def test_a_birthday_is_in_its_year_and_month_and_never_later_than_its_day(born, years):
    day = birthday(born, years)
    assert (day.year, day.month) == (born.year + years, born.month)
    assert born.day - 1 <= day.day <= born.day
