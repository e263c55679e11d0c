"""Periods of whole days: the arithmetic of a month, merging what belongs together, and newest first (R2–R5)."""

import operator
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol, TypeVar

from dateutil.relativedelta import relativedelta

T = TypeVar("T")

_AFTER_EVERY_DAY = date.max.toordinal() + 1
_BEFORE_EVERY_DAY = date.min.toordinal() - 1


class Spanning(Protocol):
    """Anything that lasts from `start` to `end`, both days included; no end is ongoing or unknown (R5)."""

    @property
    def start(self) -> date: ...

    @property
    def end(self) -> date | None: ...


P = TypeVar("P", bound=Spanning)


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `start` to `end`, both included; no end is ongoing or unknown. Raises ValueError on end < start."""

    start: date
    end: date | None

    def __post_init__(self) -> None:
        if self.end is not None and self.end < self.start:
            raise ValueError("a period cannot end before it starts")


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day when it has no such day (R3).

    Raises ValueError when the month is outside the calendar, which is the years 1 to 9999.
    """
    return day + relativedelta(months=months)


Joins = Callable[[date, date], bool]
"""Of the next period's start and the limit: whether the two periods are one.

The limit is one calendar month after the first day that the earlier period does not cover.
"""

EMPLOYMENT_GAP: Joins = operator.le
"""A new period starts only when more than a month lies between (R3)."""

BENEFIT_GAP: Joins = operator.lt
"""Two periods are one only when less than a month lies between (R4)."""


def hull(earlier: Spanning, later: Spanning) -> Period:
    """From the first start to the last end; unending when either is."""
    end = None if earlier.end is None or later.end is None else max(earlier.end, later.end)
    return Period(min(earlier.start, later.start), end)


def _all_alike(_: object) -> Hashable:
    return None


def merge(
    periods: Iterable[P], joins: Joins, combine: Callable[[P, P], P], *, per: Callable[[P], Hashable] = _all_alike
) -> list[P]:
    """Makes one of the periods that `joins` says are one; an unending period takes in everything later (R3, R4, R5).

    `combine` gets the period with the earlier start first, and must return one that spans their `hull`. Only periods
    with the same `per` merge: the same employer, the same type of benefit. Each group comes out with its starts
    ascending, in O(n log n).
    """
    groups: dict[Hashable, list[P]] = {}
    for period in sorted(periods, key=lambda each: each.start):
        merged = groups.setdefault(per(period), [])
        if merged and _reaches(merged[-1].end, period.start, joins):
            merged[-1] = combine(merged[-1], period)
        else:
            merged.append(period)
    return [period for merged in groups.values() for period in merged]


def _reaches(end: date | None, next_start: date, joins: Joins) -> bool:
    if end is None:
        return True
    try:
        limit = add_months(end + timedelta(days=1), 1)
    except (OverflowError, ValueError):
        # The calendar ends before the limit, so no start can be beyond it.
        return True
    return joins(next_start, limit)


def newest_first(
    items: Iterable[T],
    *,
    start: Callable[[T], date | None],
    end: Callable[[T], date | None],
    name: Callable[[T], str],
) -> list[T]:
    """Ongoing first, then latest end, then latest start, then name (R2).

    No end is ongoing. An unknown start comes after the known ones. Names ascend, first without regard to case.
    """

    def key(item: T) -> tuple[int, int, str, str]:
        ended, started, named = end(item), start(item), name(item)
        return (
            -(ended.toordinal() if ended else _AFTER_EVERY_DAY),
            -(started.toordinal() if started else _BEFORE_EVERY_DAY),
            named.casefold(),
            named,
        )

    return sorted(items, key=key)
