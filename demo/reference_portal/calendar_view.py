"""View of a calendar for templates: weeks of days with pieces of bars; »Kalender« and booking share it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import nh3
from markupsafe import Markup

from demo.reference_portal import dates, texts
from demo.reference_portal.api import CalendarAnswer, CalendarPart, Deadline, Entry, State
from demo.reference_portal.calendar_layout import Piece, Week, weeks
from domain.calendar_month import InvalidMonth, Month
from domain.service_windows import DENMARK

Link = Callable[..., str]
"""The address of the same page with other parameters; one that is None is left out."""

FORMATTING = frozenset({
    "b", "blockquote", "br", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "strong", "sub", "sup",
    "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
})  # fmt: skip
"""Tags in a meeting's text: none that loads, links or runs anything."""
CHOSEN = "valgt"
"""The id of what is opened below a calendar."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A bar in words. `href` is where it opens, if it does."""

    id: str
    kind: str
    label: str = field(repr=False)
    start: date
    end: date | None
    href: str | None = field(default=None, repr=False)

    @property
    def days(self) -> str:
        """»6. marts 2023 – 24. marts 2023«, or the one day."""
        return dates.long_date(self.start) if self.end == self.start else dates.period(self.start, self.end)

    def on(self, day: date) -> bool:
        """Whether it goes on on a day."""
        return self.start <= day and (self.end is None or day <= self.end)


@dataclass(frozen=True, slots=True)
class Cell:
    """A day. `slots` are the lanes from the top: the piece that starts here, or nothing; `holds` is how much is on."""

    day: date
    name: str
    today: bool
    in_month: bool
    chosen: bool
    holds: str
    href: str | None
    slots: tuple[Piece[Shown] | None, ...]

    @property
    def id(self) -> str:
        """The id of its element."""
        return f"dag-{self.day}"


@dataclass(frozen=True, slots=True)
class Row:
    """A week."""

    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A month, with where its arrows lead."""

    month: Month
    heading: str
    earlier: str
    earlier_text: str
    later: str
    later_text: str
    today: str
    rows: tuple[Row, ...]
    agenda: tuple[Shown, ...] = field(repr=False)
    """The bars' texts, in order: a narrow screen shows them below the grid."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The opened part: a day with its entries, a held meeting with its text, or a deadline."""

    kind: str
    heading: str = field(repr=False)
    lead: str = field(default="", repr=False)
    text: Markup = field(default=Markup(""), repr=False)
    shown: tuple[Shown, ...] = field(default=(), repr=False)
    book: str | None = None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A part of the calendar that is not known, with what is said in its place."""

    part: str
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class CalendarView:
    """The page: the month with what is known, and a line for each part that is not."""

    state: State
    """The state that a script looks at: `pending` while any part is, and then `unavailable` while any part is."""
    mark: str
    grid: Grid
    lacking: tuple[Lacking, ...] = ()
    retry_after: int | None = None
    stale: bool = False
    fetched: str = ""
    source: str = ""
    chosen: Chosen | None = None
    close: str = ""

    @property
    def shows_month(self) -> bool:
        """Whether the month's days are shown. With nothing on them, they would say so of a part that is not known."""
        return not self.lacking or bool(self.grid.agenda)

    @property
    def nothing(self) -> bool:
        """Whether it is known that nothing is on in this month."""
        month = self.grid.month
        on = [one for one in self.grid.agenda if one.start <= month.last and (one.end or date.max) >= month.first]
        return not self.lacking and not on

    @property
    def told(self) -> str:
        """What a screen reader is told once the page has filled: the month, and what is missing of it."""
        return ". ".join([self.grid.heading, *(one.text for one in self.lacking)])


def grid(
    month: Month,
    bars: Sequence[Shown],
    *,
    today: date,
    link: Link,
    chosen: date | None = None,
    opens: Callable[[date], bool] = lambda _: True,
    holds: Callable[[int], str] = lambda count: texts.CALENDAR_HOLDS_ONE if count == 1 else texts.CALENDAR_HOLDS,
) -> Grid:
    """A month with `bars`. A day leads on where `opens` says so; `holds` is what is said of so many bars on a day."""

    def row(week: Week[Shown]) -> Row:
        return Row(week.number, tuple(cell(week, column, day) for column, day in enumerate(week.days)))

    def cell(week: Week[Shown], column: int, day: date) -> Cell:
        starts = {piece.lane: piece for piece in week.pieces if piece.column == column}
        on = sum(bar.on(day) for bar in bars)
        return Cell(
            day,
            dates.day_of_week(day),
            day == today,
            Month.of(day) == month,
            day == chosen,
            holds(on).format(count=on) if on else "",
            link(maaned=month, dag=day) if opens(day) else None,
            tuple(starts.get(lane) for lane in range(max(starts, default=-1) + 1)),
        )

    return Grid(
        month,
        dates.month(month.first).capitalize(),
        link(maaned=month.plus(-1)),
        texts.CALENDAR_EARLIER.format(month=dates.month(month.plus(-1).first)),
        link(maaned=month.plus(1)),
        texts.CALENDAR_LATER.format(month=dates.month(month.plus(1).first)),
        link(maaned=Month.of(today)),
        tuple(row(week) for week in weeks(month, bars)),
        tuple(
            sorted(
                (bar for bar in bars if bar.start <= month.last_shown and (bar.end or date.max) >= month.first_shown),
                key=lambda bar: (bar.start, bar.end or date.max),
            )
        ),
    )


def calendar(
    answer: CalendarAnswer, month: Month, *, now: datetime, link: Link, day: date | None, opened: str | None
) -> CalendarView:
    """»Kalender«; `day` and `opened` are what was chosen in it."""
    today = now.astimezone(DENMARK).date()
    bars = [
        *(_deadline(one, link(maaned=month, vis=one.id)) for one in answer.deadlines),
        *(_entry(one, link(maaned=month, vis=one.id) if _opens(one) else None) for one in answer.entries),
    ]
    known = [part for part in answer.parts if part.known]
    fetched_at = min((part.fetched_at for part in known if part.stale and part.fetched_at), default=None)
    waits = [part.retry_after for part in answer.parts if part.state == "unavailable" and part.retry_after]
    sources = dict.fromkeys(part.source for part in known if part.source)
    return CalendarView(
        _state(answer.parts),
        " ".join(part.mark for part in answer.parts),
        grid(month, bars, today=today, link=link, chosen=day),
        lacking=tuple(_lacking(part) for part in answer.parts if not part.known),
        retry_after=min(waits, default=None),
        stale=any(part.stale for part in known),
        fetched=texts.FETCHED.format(when=dates.clock(fetched_at, now)) if fetched_at else "",
        source=texts.SOURCE.format(source=", ".join(sources)) if sources else "",
        chosen=_chosen(answer.entries, answer.deadlines, bars, day, opened),
        close=link(maaned=month),
    )


def _state(parts: Sequence[CalendarPart]) -> State:
    states = {part.state for part in parts}
    order: tuple[State, ...] = ("pending", "unavailable", "ready", "empty")
    return next(state for state in order if state in states)


def _lacking(part: CalendarPart) -> Lacking:
    pending = part.state == "pending"
    text = texts.CALENDAR_PART_PENDING if pending else texts.CALENDAR_PART_UNAVAILABLE
    return Lacking(part.id, part.state, text.format(part=texts.CALENDAR_PARTS[part.id]))


def formatted(text: str) -> Markup:
    """HTML of a meeting's text, safe to show: the one place where the portal marks anything so.

    It was cleaned before it was stored; it is cleaned here too, so that no other way into the store leads to a page.
    """
    return Markup(nh3.clean(text, tags=set(FORMATTING), attributes={}))  # noqa: S704 - cleaned on this very line


def _entry(entry: Entry, href: str | None) -> Shown:
    kind = texts.CALENDAR_KINDS[entry.kind]
    # The kind is in words too, for readers who cannot tell the colours apart.
    label = entry.title if entry.title.casefold().startswith(kind.casefold()) else f"{kind}: {entry.title}"
    return Shown(entry.id, entry.kind, label, entry.start, entry.end, href)


def _opens(entry: Entry) -> bool:
    """An activity cannot be opened (§3.2), nor can a meeting that is still to come."""
    return entry.kind == "meeting" and entry.held and bool(entry.text)


def _deadline(deadline: Deadline, href: str) -> Shown:
    return Shown(deadline.id, "deadline", texts.DEADLINE, deadline.deadline, deadline.deadline, href)


def _chosen(
    entries: Sequence[Entry], deadlines: Sequence[Deadline], bars: Sequence[Shown], day: date | None, opened: str | None
) -> Chosen | None:
    for deadline in deadlines:
        if deadline.id == opened:
            return Chosen("deadline", texts.DEADLINE, deadline_text(deadline), book=deadline.id)
    for entry in entries:
        if entry.id == opened and _opens(entry):
            shown, text = _entry(entry, None), formatted(entry.text or "")
            return Chosen("meeting", shown.label, texts.MEETING_HELD.format(days=shown.days), text)
    if day is not None:
        return Chosen("day", dates.day_of_week(day).capitalize(), shown=tuple(bar for bar in bars if bar.on(day)))
    return None


def deadline_text(deadline: Deadline) -> str:
    """A deadline as a sentence."""
    return texts.DEADLINE_TEXT.format(meeting=deadline.meeting_type, day=dates.day_of_week(deadline.deadline))


def chosen_month(written: str | None) -> Month | None:
    """From »2023-03«; None when it is no month that there is a calendar for."""
    try:
        return Month.parse(written or "")
    except InvalidMonth:
        return None


def chosen_day(written: str | None) -> date | None:
    """From »2023-03-08«; None when it is no day."""
    try:
        return date.fromisoformat(written or "")
    except ValueError:
        return None
