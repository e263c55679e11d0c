"""Dates as the pages write them."""

from datetime import UTC, date, datetime

import pytest

from demo.reference_portal import dates


@pytest.mark.parametrize(
    ("day", "text"),
    [
        (date(2023, 3, 13), "13. marts 2023"),
        (date(2020, 2, 1), "1. februar 2020"),
        (date(2021, 12, 31), "31. december 2021"),
        (None, "Ukendt"),
    ],
)
def test_a_date_is_written_out_in_danish(day, text):
    assert dates.long_date(day) == text


def test_an_unknown_end_is_never_invented():
    assert dates.period(date(2021, 3, 1), None) == "1. marts 2021 – Ukendt"


@pytest.mark.parametrize(
    ("moment", "now", "text"),
    [
        # Summer time: two hours ahead of UTC.
        (datetime(2026, 7, 1, 12, 5, tzinfo=UTC), datetime(2026, 7, 1, 15, 0, tzinfo=UTC), "kl. 14.05"),
        (datetime(2026, 1, 1, 12, 5, tzinfo=UTC), datetime(2026, 1, 1, 15, 0, tzinfo=UTC), "kl. 13.05"),
        # The same day in London, and the next one in Denmark.
        (datetime(2026, 1, 1, 22, 0, tzinfo=UTC), datetime(2026, 1, 1, 23, 30, tzinfo=UTC), "1. januar 2026 kl. 23.00"),
    ],
)
def test_a_time_is_danish_and_has_its_date_when_it_is_not_todays(moment, now, text):
    assert dates.clock(moment, now) == text
