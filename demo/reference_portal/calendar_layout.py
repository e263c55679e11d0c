"""Calendar layout: turns a month and its entries into weeks with pieces of bars (§3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count
from typing import Generic, Protocol, TypeVar

from domain.calendar_month import Month

DAYS = 7


class Bar(Protocol):
    """Something with a first and a last day, both included; one without a known last day goes on."""

    @property
    def start(self) -> date: ...
    @property
    def end(self) -> date | None: ...


B = TypeVar("B", bound=Bar)


@dataclass(frozen=True, slots=True)
class Piece(Generic[B]):
    """Piece of a bar in one week: from `column` (0 is Monday) over `span` days, in `lane` from the top.

    `before` and `after` say whether the bar goes on in the week before or after, so that the edge there is open.
    """

    bar: B
    column: int
    span: int
    lane: int
    before: bool
    after: bool


@dataclass(frozen=True, slots=True)
class Week(Generic[B]):
    """One row: `number` is the ISO week's, `lanes` is how many lanes its pieces take."""

    number: int
    days: tuple[date, ...]
    pieces: tuple[Piece[B], ...]
    lanes: int


def weeks(month: Month, bars: Sequence[B]) -> tuple[Week[B], ...]:
    """The month's weeks, with every piece of `bars` that falls in them.

    No two pieces of a week overlap. A bar keeps its lane from week to week: those that come over from the week before
    were side by side on its Sunday, so that they still fit; the others take the first free lane, the longest first.
    """
    lanes: dict[int, int] = {}
    laid: list[Week[B]] = []
    for monday in month.mondays():
        sunday = monday + timedelta(days=DAYS - 1)
        here = [
            index for index, bar in enumerate(bars) if bar.start <= sunday and (bar.end is None or bar.end >= monday)
        ]
        taken: dict[int, int] = {}
        # A bar that is not known from the week before has no lane yet.
        known = {index: lanes[index] for index in here if index in lanes}
        lanes = {}
        pieces: list[Piece[B]] = []
        for index in sorted(here, key=lambda index: (index not in known, _order(bars[index], sunday))):
            bar = bars[index]
            column = max(0, (bar.start - monday).days)
            last = DAYS - 1 if bar.end is None else min(DAYS - 1, (bar.end - monday).days)
            days = sum(1 << day for day in range(column, last + 1))
            lane = known[index] if index in known else next(n for n in count() if not taken.get(n, 0) & days)
            taken[lane] = taken.get(lane, 0) | days
            after = bar.end is None or bar.end > sunday
            if after:
                lanes[index] = lane
            pieces.append(Piece(bar, column, last - column + 1, lane, bar.start < monday, after))
        laid.append(
            Week(
                monday.isocalendar().week,
                tuple(monday + timedelta(days=day) for day in range(DAYS)),
                tuple(sorted(pieces, key=lambda piece: (piece.column, piece.lane))),
                max(taken, default=-1) + 1,
            )
        )
    return tuple(laid)


def _order(bar: Bar, sunday: date) -> tuple[bool, date, date]:
    """What goes on after the week first, since it keeps its lane; then by start; then the longest."""
    end = bar.end or date.max
    return end <= sunday, bar.start, date.fromordinal(date.max.toordinal() - end.toordinal() + 1)
