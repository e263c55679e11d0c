"""Dates and times as the pages write them: Danish words, Danish time."""

from datetime import date, datetime

from demo.reference_portal.texts import MONTHS, UNKNOWN, WEEKDAYS
from domain.service_windows import DENMARK


def long_date(day: date | None) -> str:
    """»13. marts 2023«; »Ukendt« for a date that is not known (R5)."""
    return UNKNOWN if day is None else f"{day.day}. {MONTHS[day.month - 1]} {day.year}"


def period(start: date | None, end: date | None) -> str:
    """»1. januar 2019 – 31. maj 2020«; an end that is not known is »Ukendt« (R5)."""
    return f"{long_date(start)} – {long_date(end)}"


def year(value: int | None) -> str:
    """A year, or »Ukendt« (R5)."""
    return UNKNOWN if value is None else str(value)


def clock(moment: datetime, now: datetime) -> str:
    """»kl. 14.05«, and with the date before it when that is not today's. `moment` and `now` know their time zones."""
    here = moment.astimezone(DENMARK)
    time = f"kl. {here:%H.%M}"
    return time if here.date() == now.astimezone(DENMARK).date() else f"{long_date(here.date())} {time}"


def month(day: date) -> str:
    """»marts 2023«."""
    return f"{MONTHS[day.month - 1]} {day.year}"


def day_of_week(day: date) -> str:
    """»onsdag den 8. marts 2023«."""
    return f"{WEEKDAYS[day.weekday()]} den {long_date(day)}"


def clock_span(start: datetime, end: datetime) -> str:
    """»kl. 9.00–9.30«, in Danish time. Both know their time zones."""
    first, last = start.astimezone(DENMARK), end.astimezone(DENMARK)
    return f"kl. {first.hour}.{first:%M}–{last.hour}.{last:%M}"
