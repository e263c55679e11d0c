"""Dated table: values by key, each in force from a first day to a last.

A table that exists is whole: no key has two values on a day, and none lacks one between two of its rows. So that a law
that changes a value is a row with a day, and what an earlier day asks for is still there.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_BEFORE_EVERY_DAY = date.min


@dataclass(frozen=True, slots=True)
class Row(Generic[K, V]):
    """A value of a key, in force from `first` to `last`, both days included; None is without a beginning or end."""

    key: K
    value: V
    first: date | None = None
    last: date | None = None

    def holds_on(self, day: date) -> bool:
        """Whether it is in force on that day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class TableError(ValueError):
    """Rows that make no table; `row` is the index of the one at fault, and the message says what is wrong with it."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


class Table(Generic[K, V]):
    """Rows by key and day. Raises TableError when a row ends before it begins, overlaps another, or leaves a gap.

    `endless` tables have a value of each key for ever: the last row of a key that ends is a gap, too.
    """

    def __init__(self, rows: Iterable[Row[K, V]], *, endless: bool = False) -> None:
        self.rows = tuple(rows)
        self._by_key: dict[K, tuple[Row[K, V], ...]] = {}
        places: dict[K, list[int]] = {}
        for place, row in enumerate(self.rows):
            places.setdefault(row.key, []).append(place)
        for key, found in places.items():
            in_order = sorted(found, key=lambda place: self.rows[place].first or _BEFORE_EVERY_DAY)
            self._check(in_order, endless=endless)
            self._by_key[key] = tuple(self.rows[place] for place in in_order)

    def at(self, key: K, day: date) -> V | None:
        """The value of a key on a day; None when the table has none."""
        for row in self._by_key.get(key, ()):
            if row.holds_on(day):
                return row.value
        return None

    def on(self, day: date) -> tuple[Row[K, V], ...]:
        """The rows that are in force on a day, in the order in which they were given."""
        return tuple(row for row in self.rows if row.holds_on(day))

    def unknown(self, keys: Iterable[K], day: date) -> tuple[K, ...]:
        """The keys for which the table has no value on that day."""
        return tuple(key for key in keys if self.at(key, day) is None)

    def begins(self, key: K) -> date | None:
        """The first day on which the table has a value of the key; None when it is without a beginning, or has none."""
        rows = self._by_key.get(key, ())
        return rows[0].first if rows else None

    def __contains__(self, key: K) -> bool:
        """Whether the table has a row of the key, on whatever day."""
        return key in self._by_key

    def turns(self) -> tuple[date, ...]:
        """The days on which a value begins, or is no more; ascending."""
        begin = {row.first for row in self.rows if row.first is not None}
        gone = {row.last + timedelta(days=1) for row in self.rows if row.last is not None and row.last < date.max}
        return tuple(sorted(begin | gone))

    def _check(self, places: list[int], *, endless: bool) -> None:
        before: Row[K, V] | None = None
        for place in places:
            row = self.rows[place]
            if row.first is not None and row.last is not None and row.last < row.first:
                raise TableError(place, f"it ends on {row.last}, before it begins on {row.first}")
            if before is not None:
                _check_order(place, before, row)
            before = row
        if endless and before is not None and before.last is not None:
            raise TableError(places[-1], f"a gap: nothing is in force after {before.last}")


def _check_order(place: int, before: Row[K, V], row: Row[K, V]) -> None:
    begins = f"from {row.first}" if row.first else "without a first day"
    if before.last is None:
        raise TableError(place, f"an overlap: it holds {begins}, and the one before it has no last day")
    if row.first is None or row.first <= before.last:
        raise TableError(place, f"an overlap: it holds {begins}, and the one before it until {before.last}")
    if row.first > before.last + timedelta(days=1):
        raise TableError(place, f"a gap: it holds {begins}, and the one before it only until {before.last}")
