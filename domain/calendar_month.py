"""The calendar: which days a month shows, what stands on them, and how long a booking deadline is shown (§3.2)."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Self

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""The years that can be shown: beyond anybody's life nobody looks."""
_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class InvalidMonth(ValueError):
    """A text that names no month that can be shown."""

    def __init__(self) -> None:
        super().__init__(f"is not a month from {FIRST_YEAR}-01 to {LAST_YEAR}-12, written as 2023-03")


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The month of a text such as `2023-03`. Raises InvalidMonth."""
        match = _MONTH.fullmatch(text)
        if match is None or not FIRST_YEAR <= int(match[1]) <= LAST_YEAR:
            raise InvalidMonth
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Self:
        """The month that a day is in."""
        return cls(day.year, day.month)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        """Its last day."""
        return date(self.year, self.month, calendar.monthrange(self.year, self.month)[1])

    def plus(self, months: int) -> "Month":
        """So many months later, or earlier."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Month(year, month + 1)

    def mondays(self) -> Iterator[date]:
        """The Monday of each week that is shown."""
        for days in range(0, (self.last_shown - self.first_shown).days, 7):
            yield self.first_shown + timedelta(days=days)

    @property
    def first_shown(self) -> date:
        """The Monday on or before the first of the month."""
        return self.first - timedelta(days=self.first.weekday())

    @property
    def last_shown(self) -> date:
        """The Sunday on or after the last of the month."""
        return self.last + timedelta(days=6 - self.last.weekday())

    def shows(self, start: date, end: date | None) -> bool:
        """Whether any of the days from `start` to `end` is shown with this month; None is an end that is not known."""
        return start <= self.last_shown and (end is None or end >= self.first_shown)


def is_deadline_shown(deadline: date, *, active: bool, today: date) -> bool:
    """Only while it is active and has not passed: one of today has not (§3.2)."""
    return active and deadline >= today
