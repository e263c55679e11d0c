"""Service windows: Danish wall-clock time, over midnight, over a change of the clock, and every mistake named."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.service_windows import DENMARK, closed_until, parse


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=DENMARK).astimezone(UTC)


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        ("Mon-Fri 20:30-05:00", "2023-03-13 20:29", None),
        ("Mon-Fri 20:30-05:00", "2023-03-13 20:30", "2023-03-14 05:00"),
        ("Mon-Fri 20:30-05:00", "2023-03-14 04:59", "2023-03-14 05:00"),
        ("Mon-Fri 20:30-05:00", "2023-03-14 05:00", None),
        ("Mon-Fri 20:30-05:00", "2023-03-18 03:00", "2023-03-18 05:00"),
        ("Mon-Fri 20:30-05:00", "2023-03-18 21:00", None),
        ("Fri-Mon 01:00-02:00", "2023-03-12 01:30", "2023-03-12 02:00"),
        ("Sun 00:00-24:00", "2023-03-12 12:00", "2023-03-13 00:00"),
        ("Mon,Wed 10:00-11:00", "2023-03-15 10:00", "2023-03-15 11:00"),
        ("Mon,Wed 10:00-11:00", "2023-03-14 10:00", None),
        ("2023-03-10 09:00/2023-03-10 13:00", "2023-03-10 12:59", "2023-03-10 13:00"),
        ("2023-03-10 09:00/2023-03-10 13:00", "2023-03-10 13:00", None),
        ("Mon 10:00-11:00; Mon 11:00-12:00", "2023-03-13 10:30", "2023-03-13 12:00"),
        ("", "2023-03-13 10:30", None),
    ],
)
def test_a_window_is_closed_from_its_first_minute_to_its_last(windows, now, until):
    assert closed_until(parse(windows), at(now)) == (at(until) if until else None)


@pytest.mark.parametrize(("night", "hours"), [("2023-03-25", 7), ("2023-03-18", 8), ("2023-10-28", 9)])
def test_the_night_the_clock_is_changed_is_as_long_as_it_is(night, hours):
    begins = at(f"{night} 21:00")
    assert closed_until(parse("Sat 21:00-05:00"), begins) - begins == timedelta(hours=hours)


def test_a_register_that_never_opens_gives_an_end_all_the_same():
    now = at("2023-03-13 10:00")
    assert closed_until(parse("Mon-Sun 00:00-24:00"), now) - now < timedelta(days=10)


@pytest.mark.parametrize(
    "windows",
    [
        "Mon", "Mon 10:00", "Man 10:00-11:00", "Mon-Tue-Wed 10:00-11:00", "Mon 25:00-26:00", "Mon 10:60-11:00",
        "2023-02-30 10:00/2023-03-01 10:00", "2023-03-10 13:00/2023-03-10 09:00", "always",
    ],
)  # fmt: skip
def test_what_is_no_window_is_named(windows):
    with pytest.raises(ValueError, match="'"):
        parse(f"Sun 01:00-02:00; {windows}")
