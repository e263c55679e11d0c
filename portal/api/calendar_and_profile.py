"""Endpoints of DFDG's data, for every citizen: calendar, history of job titles, and whether the CV is searchable."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from domain import searchable_cv
from domain.calendar_month import InvalidMonth, Month, is_deadline_shown
from domain.citizen import Citizen
from domain.overview import (
    CALENDAR,
    JOBSEARCH,
    UNAVAILABLE_TEXT,
    VISITERING,
    BookingDeadline,
    CalendarEntry,
    ContactGroupPeriod,
    Item,
    JobTitle,
)
from domain.service_windows import DENMARK, danish_today
from portal.api import openapi_examples
from portal.api.dependencies import CitizenWith, InPortal, Portal, TokenFirst
from portal.api.problems import Problem, Type, documented
from registerbro.pages.reader import SectionState, SectionView

InCalendar = Annotated[Citizen, Depends(CitizenWith("calendar:read"))]
InProfile = Annotated[Citizen, Depends(CitizenWith("profile:read"))]

PartId = Literal["deadlines", "meetings", "activities", "absences", "joblog"]
PARTS: tuple[PartId, ...] = ("deadlines", "meetings", "activities", "absences", "joblog")
"""The parts of the calendar, each a section that is kept, in the order of the answer."""
CALENDAR_REGISTERS = tuple(dict.fromkeys(section.register for section in CALENDAR))
KNOWN = frozenset({SectionState.READY, SectionState.EMPTY})
"""The states of a part whose data are there."""

AUTH = (Type.UNAUTHORISED, Type.FORBIDDEN, Type.KEYS_UNAVAILABLE)

router = APIRouter(prefix="/v1", tags=["citizen"], route_class=TokenFirst)


class Kept(BaseModel):
    """State of a part, as of a section of the page. Times are UTC; `retry_after` is in seconds."""

    state: SectionState
    source: str
    fetched_at: datetime | None
    stale: bool
    retry_after: int | None
    message: str | None


class DeadlineView(BaseModel):
    """A booking deadline that is to be shown."""

    id: str
    deadline: date
    meeting_type: str


class CalendarPart(Kept):
    """One part of the calendar: `ready` when this answer holds something of it, `empty` when there is nothing."""

    id: PartId


class CalendarView(Kept):
    """One month: what touches it or the weeks that are shown with it, and every deadline that is to be shown.

    The parts come from several registers, and are read and fail apart. `entries` and `deadlines` hold what the parts
    that are known have (`ready` or `empty`); an entry whose `end` is null goes on, and no end is known. The fields at
    the top say how it stands with all parts together:
    - `state`: `ready` when there is anything to show. Otherwise `pending` while any part is; otherwise `unavailable`
      when any part is. It is `empty` only when every part is known and holds nothing.
    - `source`: that of the parts, which they share.
    - `fetched_at`: the oldest of the known parts. `stale`: whether any of them is.
    - `retry_after`: the shortest of the unavailable parts; null without one.
    - `message`: that of R8 when `state` is `unavailable`, and null otherwise: each part has its own.
    """

    month: str
    entries: list[CalendarEntry]
    deadlines: list[DeadlineView]
    parts: list[CalendarPart]


class JobTitles(Kept):
    """The history of »Jeg søger job som«, newest first; a date that is null was lost, and is shown as »Ukendt«."""

    items: list[JobTitle]


class CvStatus(Kept):
    """Whether contact groups leave the CV searchable (§2.2). It is never `empty`.

    When `ready`, null is shown as »Ukendt«: no contact group is open, and whether one that closes the CV has ended is
    not known, since the register tells the current ones alone. In the other states it is null, too.
    """

    searchable: bool | None


@router.get(
    "/calendar",
    responses={
        200: {
            "description": "The month, also when nothing can be read",
            "content": {"application/json": {"example": openapi_examples.CALENDAR}},
        },
        **documented(*AUTH, Type.INVALID_REQUEST),
    },
)
async def read_calendar(
    here: InPortal,
    citizen: InCalendar,
    month: Annotated[
        str | None, Query(description="From 1900-01 to 2100-12; the current one in Denmark by default")
    ] = None,
) -> CalendarView:
    """A month of the citizen's calendar. What is due is asked for; ask again while a part is `pending`."""
    now = danish_today()
    try:
        shown = Month.of(now) if month is None else Month.parse(month)
    except InvalidMonth as error:
        raise Problem(Type.INVALID_REQUEST, f"query.month: {error}") from None
    sections = await here.pages.read_sections(citizen, *CALENDAR_REGISTERS)
    deadlines = await shown_deadlines(here, citizen, sections["deadlines"], now)
    entries: dict[PartId, list[CalendarEntry]] = {
        part: _entries(sections[part], shown) for part in PARTS if part != "deadlines"
    }
    held: dict[PartId, Sequence[Item]] = {**entries, "deadlines": deadlines}
    parts = [CalendarPart(id=part, **_state(sections[part], there=bool(held[part]))) for part in PARTS]
    return CalendarView(
        **together(parts),
        month=str(shown),
        entries=sorted((entry for found in entries.values() for entry in found), key=lambda entry: entry.start),
        deadlines=[DeadlineView(**one.model_dump(include={"id", "deadline", "meeting_type"})) for one in deadlines],
        parts=parts,
    )


@router.get(
    "/job-titles",
    responses={
        200: {
            "description": "The history, also when it cannot be read",
            "content": {"application/json": {"example": openapi_examples.JOB_TITLES}},
        },
        **documented(*AUTH),
    },
)
async def read_job_titles(here: InPortal, citizen: InProfile) -> JobTitles:
    """The citizen's job titles. What is due is asked for; ask again while it is `pending`."""
    view = (await here.pages.read_sections(citizen, JOBSEARCH))["job_titles"]
    items = [JobTitle.model_validate(item) for item in view.items]
    return JobTitles(**_state(view, there=bool(items)), items=items)


@router.get(
    "/cv-status",
    responses={
        200: {
            "description": "The status, also when it cannot be known",
            "content": {"application/json": {"example": openapi_examples.CV_STATUS}},
        },
        **documented(*AUTH),
    },
)
async def read_cv_status(here: InPortal, citizen: InProfile) -> CvStatus:
    """Whether the citizen's CV is searchable (§2.2). What is due is asked for; ask again while it is `pending`."""
    view = (await here.pages.read_sections(citizen, VISITERING))["contact_groups"]
    groups = [ContactGroupPeriod.model_validate(item) for item in view.items]
    searchable = None
    if view.state in KNOWN:
        # What is kept may be from a day before, and tells nothing of the days since.
        known_on = view.fetched_at.astimezone(DENMARK).date() if view.fetched_at else None
        rules = here.services.rules.now()
        searchable = searchable_cv.is_searchable(groups, danish_today(), rules, known_on=known_on)
    return CvStatus(**_state(view, there=True), searchable=searchable)


async def shown_deadlines(here: Portal, citizen: Citizen, view: SectionView, now: date) -> list[BookingDeadline]:
    """The deadlines that are to be shown: not one for which a meeting was booked a moment ago, either."""
    shown = [
        one
        for one in map(BookingDeadline.model_validate, view.items)
        if is_deadline_shown(one.deadline, active=one.active, today=now)
    ]
    booked = await here.booked.of(citizen.cpr) if shown else {}
    return [one for one in shown if not here.booked.hides(booked.get(one.id), view.fetched_at)]


def together(parts: Sequence[CalendarPart]) -> Mapping[str, Any]:
    """The fields of a calendar's own state, from its parts: CalendarView has the rule."""
    states = {part.state for part in parts}
    order = (SectionState.READY, SectionState.PENDING, SectionState.UNAVAILABLE, SectionState.EMPTY)
    state = next(one for one in order if one in states)
    known = [part for part in parts if part.state in KNOWN]
    waits = [part.retry_after for part in parts if part.state is SectionState.UNAVAILABLE and part.retry_after]
    return {
        "state": state,
        "source": parts[0].source,
        "fetched_at": min((part.fetched_at for part in known if part.fetched_at), default=None),
        "stale": any(part.stale for part in known),
        "retry_after": min(waits, default=None),
        "message": UNAVAILABLE_TEXT if state is SectionState.UNAVAILABLE else None,
    }


def _entries(view: SectionView, month: Month) -> list[CalendarEntry]:
    """A part's entries that are shown with a month."""
    entries = map(CalendarEntry.model_validate, view.items)
    return [entry for entry in entries if month.shows(entry.start, entry.end)]


def _state(view: SectionView, *, there: bool) -> dict[str, Any]:
    """A section's state, for an answer that shows a part of it: `empty` when there is nothing in that part."""
    state = view.state
    if state in KNOWN:
        state = SectionState.READY if there else SectionState.EMPTY
    return {
        "state": state,
        "source": view.source,
        "fetched_at": view.fetched_at,
        "stale": view.stale,
        "retry_after": view.retry_after,
        "message": view.message,
    }
