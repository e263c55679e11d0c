"""Timeline layout: puts the items of the page's sections into lanes, on one axis of days, in rows without overlap.

Every item is in its lane once: as a mark on its days, or beside the picture where it has no day that can be drawn.
It knows no page and no words, since more than one page shows a timeline.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from enum import StrEnum
from heapq import heappop, heappush

from domain.overview import (
    OVERVIEWS,
    SECTIONS,
    Benefit,
    CompletedEducation,
    Employment,
    FguCourse,
    Item,
    StartedEducation,
    Status,
    StuCourse,
)
from domain.periods import Period

YEARS_BACK, YEARS_AHEAD = 60, 10
"""What an axis can show. A day that a register has for want of one (1 January 1753) is not to set the scale."""
BEYOND_SHARE, BEYOND_AT_LEAST_DAYS = 0.06, 31
"""How far the axis goes on after its last day, so that an open end is seen to go on."""

WHOLE = 100.0
DAY = timedelta(days=1)

Window = tuple[date, date]
"""The first and the last day that an axis can show."""


class Extent(StrEnum):
    """What is known of an item's days; a day that is not known is never invented (R5)."""

    DAYS = "days"
    """The first and the last day."""
    OPEN_END = "open-end"
    """The first day; without a last day it counts as ongoing."""
    LOST_END = "lost-end"
    """The first day; it is over since a day that is not known."""
    LOST_START = "lost-start"
    """The last day alone."""
    YEAR = "year"
    """The year in which it ended."""
    SINCE_YEAR = "since-year"
    """The year in which it began; it is ongoing."""


@dataclass(frozen=True, slots=True)
class Span:
    """Known days of an item, both included; `last` is None where it goes on. Of a lost day, the other one is both."""

    extent: Extent
    first: date
    last: date | None

    @property
    def last_known(self) -> date:
        """The last day that the data name, or that of the year that they name."""
        if self.last is not None:
            return self.last
        return self.first.replace(month=12, day=31) if self.extent is Extent.SINCE_YEAR else self.first


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item stands on the page: its section, and its number there from 0."""

    section: str
    index: int


@dataclass(frozen=True, slots=True)
class Mark:
    """An item that is drawn."""

    place: Place
    span: Span


@dataclass(frozen=True, slots=True)
class Lane:
    """One overview. `beside` is what cannot be drawn; `gaps` are the days between its marks that none covers."""

    id: str
    sections: tuple[str, ...]
    marks: tuple[Mark, ...]
    beside: tuple[Place, ...]
    gaps: tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Scale of days, from `first` to `last`, as shares of the whole in percent."""

    first: date
    last: date
    today: date

    def start_of(self, day: date) -> float:
        """Where a day begins; a day outside is at the edge."""
        return self._share((max(day, self.first) - self.first).days)

    def end_of(self, day: date) -> float:
        """Where a day ends, since a period's last day is included; a day outside is at the edge."""
        return self._share((max(day, self.first - DAY) - self.first).days + 1)

    def years(self) -> range:
        """The years that begin in it, or with it."""
        return range(self.first.year, self.last.year + 1)

    def _share(self, days: int) -> float:
        return min(WHOLE, WHOLE * days / ((self.last - self.first).days + 1))


@dataclass(frozen=True, slots=True)
class Timeline:
    """The lanes in the page's order, with one axis; there is none where nothing can be drawn."""

    axis: Axis | None
    lanes: tuple[Lane, ...]


def timeline(items: Mapping[str, Sequence[Item]], known: Collection[str], today: date) -> Timeline:
    """The timeline of all `items`, section by section. `known` are the sections whose items are all there are (R8)."""
    window = date(today.year - YEARS_BACK, 1, 1), date(today.year + YEARS_AHEAD, 12, 31)
    lanes = tuple(_lane(overview, items, known, window) for overview in OVERVIEWS)
    spans = [mark.span for lane in lanes for mark in lane.marks]
    return Timeline(_axis(spans, window, today) if spans else None, lanes)


def span_of(item: Item) -> Span | None:
    """The days of an item; None where it has none, or none that can be: a last day before the first, the year 20212."""
    match item:
        case CompletedEducation(year=year):
            return _year(year, Extent.YEAR)
        case StartedEducation(status=status, year=year):
            return _year(year, Extent.SINCE_YEAR if status is Status.ONGOING else Extent.YEAR)
        case FguCourse(start=start, end=end, status=status) | StuCourse(start=start, end=end, status=status):
            return _period(start, end, over=status is not Status.ONGOING)
        case Employment(start=start, end=end) | Benefit(start=start, end=end):
            return _period(start, end, over=False)
        case _:
            return None


def rows(slots: Sequence[tuple[float, float]]) -> list[int]:
    """The row of each slot, from 0: those of one row do not overlap, and no fewer rows would do.

    A slot takes in its beginning and not its end. The first free row in the order of beginnings is optimal for
    intervals. In O(n log n), so that thousands of items at the same time keep no other page waiting.
    """
    taken: list[tuple[float, int]] = []
    free: list[int] = []
    found = [0] * len(slots)
    for index in sorted(range(len(slots)), key=lambda index: slots[index]):
        left, right = slots[index]
        while taken and taken[0][0] <= left:
            heappush(free, heappop(taken)[1])
        row = heappop(free) if free else len(taken)
        heappush(taken, (right, row))
        found[index] = row
    return found


def _lane(overview: str, items: Mapping[str, Sequence[Item]], known: Collection[str], window: Window) -> Lane:
    sections = tuple(section.id for section in SECTIONS if section.overview == overview)
    marks: list[Mark] = []
    beside: list[Place] = []
    for place, span in _spans(sections, items):
        if span is not None and _is_in(window, span):
            marks.append(Mark(place, span))
        else:
            beside.append(place)
    # Of an item without both its days, nothing tells which days it leaves free; nor of a section that is not there.
    told = not beside and all(mark.span.extent in {Extent.DAYS, Extent.OPEN_END} for mark in marks)
    complete = told and all(section in known for section in sections)
    gaps = tuple(_gaps(mark.span for mark in marks)) if complete else ()
    return Lane(overview, sections, tuple(marks), tuple(beside), gaps)


def _spans(sections: Iterable[str], items: Mapping[str, Sequence[Item]]) -> Iterator[tuple[Place, Span | None]]:
    for section in sections:
        for index, item in enumerate(items.get(section, ())):
            yield Place(section, index), span_of(item)


def _is_in(window: Window, span: Span) -> bool:
    earliest, latest = window
    return span.first <= latest and (span.last is None or span.last >= earliest)


def _axis(spans: Sequence[Span], window: Window, today: date) -> Axis:
    earliest, latest = window
    first = max(earliest, min(today, *(span.first for span in spans))).replace(month=1, day=1)
    last = min(latest, max(today, *(span.last_known for span in spans)))
    beyond = max(BEYOND_AT_LEAST_DAYS, int(BEYOND_SHARE * (last - first).days))
    return Axis(first, last + timedelta(days=beyond), today)


def _gaps(spans: Iterable[Span]) -> Iterator[Period]:
    covered: date | None = None
    for span in sorted(spans, key=lambda span: span.first):
        if covered is not None and (span.first - covered).days > 1:
            yield Period(covered + DAY, span.first - DAY)
        covered = max(covered or date.min, span.last or date.max)


def _year(year: int | None, extent: Extent) -> Span | None:
    if year is None or year > MAXYEAR:
        return None
    return Span(extent, date(year, 1, 1), None if extent is Extent.SINCE_YEAR else date(year, 12, 31))


def _period(start: date | None, end: date | None, *, over: bool) -> Span | None:
    if start is None:
        return None if end is None else Span(Extent.LOST_START, end, end)
    if end is None:
        return Span(Extent.LOST_END, start, start) if over else Span(Extent.OPEN_END, start, None)
    return Span(Extent.DAYS, start, end) if start <= end else None
