"""View of the timeline for templates: words, and where everything is drawn.

It says what the sections say, since it is made of their rows. It knows no page: its links are given to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from demo.reference_portal import dates, overview_view, texts
from demo.reference_portal.api import SectionAnswer
from demo.reference_portal.overview_view import SectionView
from demo.reference_portal.timeline_drawing import (
    APART_PX,
    NARROW_PX,
    WIDE_PX,
    Shape,
    Slot,
    Stretch,
    Year,
    rounded,
    shape,
    shortened,
    slot_of,
    years_of,
)
from demo.reference_portal.timeline_layout import WHOLE, Axis, Extent, Lane, Mark, Place, rows, timeline
from domain.overview import Item, Status
from domain.periods import Period
from domain.service_windows import DENMARK

Link = Callable[[str, int], str]
"""Section and number of an item → the address at which its details are."""

HEAD_PX, ROW_PX, FOOT_PX = 38, 40, 14
"""Heights: the years with the word for today, one row, and the strip of gaps."""


@dataclass(frozen=True, slots=True)
class BarView:
    """An item in the picture. `short` is its label where there is little room; `title` says all of its details."""

    place: Place
    extent: Extent
    href: str
    label: str = field(repr=False)
    short: str = field(repr=False)
    title: str = field(repr=False)
    shape: Shape
    slot: Slot
    row: int
    top: int

    @property
    def id(self) -> str:
        """Of its link."""
        return f"tidslinje-{self.place.section}-{self.place.index + 1}"

    @property
    def goal(self) -> str:
        """Id of its row in its section."""
        return row_id(self.place)


@dataclass(frozen=True, slots=True)
class BesideView:
    """An item beside the picture."""

    place: Place
    href: str
    text: str = field(repr=False)

    @property
    def goal(self) -> str:
        """Id of its row in its section."""
        return row_id(self.place)


@dataclass(frozen=True, slots=True)
class GapView:
    """Days between the marks of a lane that none of them covers."""

    days: Stretch
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane with all that is to be said of it."""

    id: str
    heading: str
    bars: tuple[BarView, ...]
    beside: tuple[BesideView, ...]
    gaps: tuple[GapView, ...]
    pending: tuple[str, ...]
    unavailable: tuple[str, ...]
    sources: tuple[str, ...]
    height: int

    @property
    def shown(self) -> bool:
        """Whether there is anything to show or to say; an overview without data is not shown (R8)."""
        return bool(self.bars or self.beside or self.pending or self.unavailable)


@dataclass(frozen=True, slots=True)
class TimelineView:
    """The whole picture."""

    lanes: tuple[LaneView, ...]
    years: tuple[Year, ...]
    today: float
    today_ends: bool
    """Whether the word stands to the left of today's line."""
    signs: tuple[str, ...]
    """What the legend explains: the signs that are used."""
    mark: str
    """The same for as long as there is nothing new to show."""

    @property
    def empty(self) -> bool:
        """Whether no lane has anything to show."""
        return not any(lane.shown for lane in self.lanes)


def timeline_view(answers: Mapping[str, SectionAnswer], now: datetime, link: Link) -> TimelineView:
    """The timeline of the page's sections. `link` is the page's own, so that any page can show it."""
    today = now.astimezone(DENMARK).date()
    known = {name for name, answer in answers.items() if answer.state in {"ready", "empty"}}
    laid = timeline({name: answer.items for name, answer in answers.items()}, known, today)
    sections = {name: overview_view.section(answer, now, whole=True) for name, answer in answers.items()}
    lanes = tuple(_lane(lane, laid.axis, answers, sections, link) for lane in laid.lanes)
    axis = laid.axis
    at = axis.start_of(today) if axis else 0.0
    return TimelineView(
        lanes,
        years_of(axis) if axis else (),
        rounded(at),
        today_ends=at > WHOLE / 2,
        signs=tuple(_signs(lanes)),
        mark=" ".join(section.mark for section in sections.values()),
    )


def row_id(place: Place) -> str:
    """Id of an item's row in its section; of what has no rows, the section's own."""
    if place.section not in texts.COLUMNS:
        return f"afsnit-{place.section}"
    return f"post-{place.section}-{place.index + 1}"


def _lane(
    lane: Lane,
    axis: Axis | None,
    answers: Mapping[str, SectionAnswer],
    sections: Mapping[str, SectionView],
    link: Link,
) -> LaneView:
    shown = [sections[name] for name in lane.sections]

    def of(state: str) -> tuple[str, ...]:
        return tuple(section.heading for section in shown if section.state == state)

    bars = _bars(lane.marks, axis, answers, sections, link) if axis else ()
    said = (f"{section.source}. {section.fetched}".rstrip(". ") for section in shown if section.state == "ready")
    height = HEAD_PX + ROW_PX * (1 + max((bar.row for bar in bars), default=-1)) + FOOT_PX * bool(lane.gaps)
    return LaneView(
        lane.id,
        texts.TIMELINE_LANES[lane.id],
        bars,
        tuple(BesideView(place, link(place.section, place.index), _title(place, sections)) for place in lane.beside),
        tuple(_gap(gap, axis) for gap in lane.gaps) if axis else (),
        pending=of("pending"),
        unavailable=of("unavailable"),
        sources=tuple(dict.fromkeys(said)),
        height=height,
    )


def _bars(
    marks: Sequence[Mark],
    axis: Axis,
    answers: Mapping[str, SectionAnswer],
    sections: Mapping[str, SectionView],
    link: Link,
) -> tuple[BarView, ...]:
    drawn: list[tuple[Mark, Shape, str, str, Slot]] = []
    for mark in marks:
        one = shape(mark.span, axis)
        name, status = _row(mark.place, sections)[0], _status(mark.place, answers)
        label = shortened(f"{name} ({status.lower()})" if status else name, WIDE_PX)
        short = shortened(name, NARROW_PX)
        drawn.append((mark, one, label, short, slot_of(one, label, short)))
    placed = rows([(slot.left, slot.right + WHOLE * APART_PX / NARROW_PX) for *_, slot in drawn])
    return tuple(
        BarView(
            mark.place,
            mark.span.extent,
            link(mark.place.section, mark.place.index),
            label,
            short,
            _title(mark.place, sections),
            one,
            slot,
            row=row,
            top=HEAD_PX + ROW_PX * row,
        )
        for (mark, one, label, short, slot), row in zip(drawn, placed, strict=True)
    )


def _row(place: Place, sections: Mapping[str, SectionView]) -> tuple[str, ...]:
    return sections[place.section].rows[place.index]


def _status(place: Place, answers: Mapping[str, SectionAnswer]) -> str:
    """How far an education came, where its section says it."""
    item: Item = answers[place.section].items[place.index]
    status: Status | None = getattr(item, "status", None)
    return "" if status is None else texts.STATUS[status]


def _title(place: Place, sections: Mapping[str, SectionView]) -> str:
    """The item's row in one line, with the names of its columns; of what has no rows, its sentence."""
    section = sections[place.section]
    if not section.rows:
        return section.sentence
    name, *values = _row(place, sections)
    named = (
        texts.TIMELINE_VALUE.format(column=column, value=value)
        for column, value in zip(section.columns[1:], values, strict=True)
    )
    return ", ".join([name, *named])


def _gap(gap: Period, axis: Axis) -> GapView:
    last = gap.end or gap.start
    days = Stretch(rounded(axis.start_of(gap.start)), rounded(axis.end_of(last)))
    return GapView(days, texts.TIMELINE_GAP.format(days=dates.period(gap.start, last)))


def _signs(lanes: Sequence[LaneView]) -> Sequence[str]:
    shapes = [bar.shape for lane in lanes for bar in lane.bars]
    used = {
        "days": any(one.solid for one in shapes),
        "open": any(one.faded for one in shapes),
        "year": any(one.hatched for one in shapes),
        "gap": any(lane.gaps for lane in lanes),
        "today": bool(shapes),
    }
    return [sign for sign in texts.TIMELINE_SIGNS if used[sign]]
