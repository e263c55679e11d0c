"""What a calendar shows: weeks of days with pieces of bars, for a template; »Kalender« and booking use it alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import nh3
from markupsafe import Markup

from config.windows import DENMARK
from portal.web import dates, texts
from portal.web.api import CalendarAnswer, Deadline, Entry, State
from portal.web.calendar import Piece, Week, weeks
from workers.domain.months import InvalidMonth, Month

Link = Callable[..., str]
"""The address of the same page with other parameters; one that is None is left out."""

FORMATTING = frozenset({
    "b", "blockquote", "br", "em", "h1", "h2", "h3", "h4", "h5", "h6", "i", "li", "ol", "p", "strong", "sub", "sup",
    "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
})  # fmt: skip
"""What the text of a meeting may be formatted with: nothing that loads, leads anywhere, or runs."""
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
        """What its element is called."""
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
    """What is drawn, in order: what a narrow screen has room to say only below the grid."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was opened: a day with what is on, a held meeting with its text, or a deadline."""

    kind: str
    heading: str = field(repr=False)
    lead: str = field(default="", repr=False)
    text: Markup = field(default=Markup(""), repr=False)
    shown: tuple[Shown, ...] = field(default=(), repr=False)
    book: str | None = None


@dataclass(frozen=True, slots=True)
class CalendarView:
    """The page. Without data there is only its heading with the arrows: an empty month would say that nothing is on."""

    state: State
    mark: str
    grid: Grid
    retry_after: int | None = None
    stale: bool = False
    fetched: str = ""
    source: str = ""
    chosen: Chosen | None = None
    close: str = ""

    @property
    def nothing(self) -> bool:
        """Whether it is known that nothing is on in this month."""
        month = self.grid.month
        on = [one for one in self.grid.agenda if one.start <= month.last and (one.end or date.max) >= month.first]
        return self.state in {"ready", "empty"} and not on


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
    known = answer.state in {"ready", "empty"}
    entries, deadlines = (answer.entries, answer.deadlines) if known else ((), ())
    bars = [
        *(_deadline(one, link(maaned=month, vis=one.id)) for one in deadlines),
        *(_entry(one, link(maaned=month, vis=one.id) if _opens(one) else None) for one in entries),
    ]
    return CalendarView(
        answer.state,
        answer.mark,
        grid(month, bars, today=today, link=link, chosen=day),
        retry_after=answer.retry_after,
        stale=answer.stale,
        fetched=texts.FETCHED.format(when=dates.clock(answer.fetched_at, now))
        if answer.stale and answer.fetched_at
        else "",
        source=texts.SOURCE.format(source=answer.source) if known and answer.source else "",
        chosen=_chosen(entries, deadlines, bars, day, opened) if known else None,
        close=link(maaned=month),
    )


def formatted(text: str) -> Markup:
    """HTML of a meeting's text, safe to show: the one place where the portal marks anything so.

    It was cleaned before it was stored; it is cleaned here too, so that no other way into the store leads to a page.
    """
    return Markup(nh3.clean(text, tags=set(FORMATTING), attributes={}))  # noqa: S704 - cleaned on this very line


def _entry(entry: Entry, href: str | None) -> Shown:
    kind = texts.CALENDAR_KINDS[entry.kind]
    # What kind it is stands in words too: a colour alone says nothing to who cannot tell it apart.
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
    """What a deadline is, in a sentence."""
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
