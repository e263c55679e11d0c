"""View of the overview page for templates: the API's sections, one at a time, in words."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from demo.reference_portal import dates, texts
from demo.reference_portal.api import SectionAnswer, State
from domain import overview
from domain.overview import OVERVIEWS, SECTIONS, Item

SHOWN_ITEMS = 3
"""How many items are shown until »Vis alle« is followed (R2)."""
SHORTENED = frozenset({"employments", "benefits"})
"""The sections that show so many at first; the others show all (R2)."""

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SectionView:
    """One element of the page. `retry_after` is in seconds; a section without data has nothing but its heading."""

    id: str
    heading: str
    state: State
    mark: str
    """The same for as long as there is nothing new to show."""
    source: str = ""
    fetched: str = ""
    columns: Row = ()
    rows: tuple[Row, ...] = field(default=(), repr=False)
    hidden_rows: tuple[Row, ...] = field(default=(), repr=False)
    sentence: str = field(default="", repr=False)
    stale: bool = False
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class OverviewView:
    """One of the three overviews; it is not shown when all its sections are empty (R8)."""

    id: str
    heading: str
    sections: tuple[SectionView, ...]

    @property
    def shown(self) -> bool:
        """Whether there is anything to show or to say."""
        return any(section.state != "empty" for section in self.sections)


@dataclass(frozen=True, slots=True)
class PageView:
    """The whole page."""

    overviews: tuple[OverviewView, ...]

    @property
    def sections(self) -> tuple[SectionView, ...]:
        """The sections of all overviews."""
        return tuple(section for one in self.overviews for section in one.sections)

    @property
    def empty(self) -> bool:
        """Whether no overview has anything to show."""
        return not any(one.shown for one in self.overviews)

    @property
    def pending(self) -> bool:
        """Whether something is being fetched."""
        return any(section.state == "pending" for section in self.sections)

    @property
    def lacking(self) -> bool:
        """Whether something could not be fetched, so that trying again may be of use."""
        return any(section.state == "unavailable" for section in self.sections)


def page_view(answers: Mapping[str, SectionAnswer], now: datetime, show_all: Iterable[str] = ()) -> PageView:
    """The page, with all items of the sections in `show_all`."""
    whole = frozenset(show_all)
    return PageView(
        tuple(
            OverviewView(
                name,
                texts.OVERVIEWS[name],
                tuple(section(answers[one.id], now, whole=one.id in whole) for one in SECTIONS if one.overview == name),
            )
            for name in OVERVIEWS
        )
    )


def section(answer: SectionAnswer, now: datetime, *, whole: bool = False) -> SectionView:
    """One section; with `whole` no item waits for »Vis alle«."""
    name = answer.section.id
    heading = texts.SECTIONS[name]
    if answer.state != "ready":
        return SectionView(name, heading, answer.state, mark(answer), retry_after=answer.retry_after)
    rows = tuple(_ROW[name](item) for item in answer.items) if name in _ROW else ()
    at_first = len(rows) if whole or name not in SHORTENED else SHOWN_ITEMS
    when = dates.clock(answer.fetched_at, now) if answer.stale and answer.fetched_at else None
    return SectionView(
        name,
        heading,
        answer.state,
        mark(answer),
        source=texts.SOURCE.format(source=answer.section.source),
        fetched=texts.FETCHED.format(when=when) if when else "",
        columns=texts.COLUMNS.get(name, ()),
        rows=rows[:at_first],
        hidden_rows=rows[at_first:],
        sentence=_su_attempts(answer.items[0]) if name == "su_attempts" else "",
        stale=answer.stale,
        retry_after=answer.retry_after,
    )


def mark(answer: SectionAnswer) -> str:
    """Tells one state of a section from another, and says nothing of its data."""
    fetched_at = answer.fetched_at.isoformat() if answer.fetched_at else ""
    return f"{answer.state} {fetched_at} {answer.stale:d}"


def _completed_education(item: Item) -> Row:
    it = cast("overview.CompletedEducation", item)
    return it.name, dates.year(it.year)


def _started_education(item: Item) -> Row:
    it = cast("overview.StartedEducation", item)
    return it.name, texts.STARTED[it.status], dates.year(it.year)


def _su_attempts(item: Item) -> str:
    return texts.SU_ATTEMPTS.format(count=cast("overview.SuAttempts", item).count)


def _fgu(item: Item) -> Row:
    it = cast("overview.FguCourse", item)
    status, start, end = texts.STATUS[it.status], dates.long_date(it.start), dates.long_date(it.end)
    return it.place, it.speciality or texts.UNKNOWN, status, start, end


def _stu(item: Item) -> Row:
    it = cast("overview.StuCourse", item)
    return it.place, texts.STATUS[it.status], dates.long_date(it.start), dates.long_date(it.end)


def _employment(item: Item) -> Row:
    it = cast("overview.Employment", item)
    return it.employer, dates.period(it.start, it.end)


def _benefit(item: Item) -> Row:
    it = cast("overview.Benefit", item)
    return it.type, dates.period(it.start, it.end), texts.CONCURRENT_JOB[it.concurrent_job]


_ROW: Mapping[str, Callable[[Item], Row]] = {
    "completed_educations": _completed_education,
    "started_educations": _started_education,
    "fgu": _fgu,
    "stu": _stu,
    "employments": _employment,
    "benefits": _benefit,
}
"""Section → function that puts one of its items into words, in the order of its columns."""
