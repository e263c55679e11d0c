"""What DFDG holds of every citizen who logs in: calendar, history of job titles, and whether the CV is searchable."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from portal.api import examples
from portal.api.pages import today
from portal.api.problems import Problem, Type, documented
from portal.api.state import CitizenWith, InPortal, Portal, TokenFirst
from portal.reader import SectionState, SectionView
from workers.domain import searchable_cv
from workers.domain.months import InvalidMonth, Month, is_deadline_shown
from workers.domain.overview import DFDG, BookingDeadline, CalendarEntry, ContactGroupPeriod, JobTitle
from workers.refresh import Citizen

InCalendar = Annotated[Citizen, Depends(CitizenWith("calendar:read"))]
InProfile = Annotated[Citizen, Depends(CitizenWith("profile:read"))]

AUTH = (Type.UNAUTHORISED, Type.FORBIDDEN, Type.KEYS_UNAVAILABLE)

router = APIRouter(prefix="/v1", tags=["citizen"], route_class=TokenFirst)


class Kept(BaseModel):
    """How what is shown stands, as a section of the page does. Times are UTC; `retry_after` is in seconds."""

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


class CalendarView(Kept):
    """One month: what touches it or the weeks that are shown with it, and every deadline that is to be shown."""

    month: str
    entries: list[CalendarEntry]
    deadlines: list[DeadlineView]


class JobTitles(Kept):
    """The history of »Jeg søger job som«, newest first; a date that is null was lost, and is shown as »Ukendt«."""

    items: list[JobTitle]


class CvStatus(Kept):
    """Whether contact groups leave the CV searchable; null while nothing is known of them."""

    searchable: bool | None


@router.get(
    "/calendar",
    responses={
        200: {
            "description": "The month, also when nothing can be read",
            "content": {"application/json": {"example": examples.CALENDAR}},
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
    """A month of the citizen's calendar. What is due is asked for; ask again while it is `pending`."""
    now = today()
    try:
        shown = Month.of(now) if month is None else Month.parse(month)
    except InvalidMonth as error:
        raise Problem(Type.INVALID_REQUEST, f"query.month: {error}") from None
    sections = (await here.pages.register(citizen, DFDG)).sections
    entries = [CalendarEntry.model_validate(item) for item in sections["calendar"].items]
    entries = [entry for entry in entries if shown.shows(entry.start, entry.end)]
    deadlines = await shown_deadlines(here, citizen, sections["deadlines"], now)
    return CalendarView(
        **_state(sections["calendar"], there=bool(entries or deadlines)),
        month=str(shown),
        entries=entries,
        deadlines=[DeadlineView(**one.model_dump(include={"id", "deadline", "meeting_type"})) for one in deadlines],
    )


@router.get(
    "/job-titles",
    responses={
        200: {
            "description": "The history, also when it cannot be read",
            "content": {"application/json": {"example": examples.JOB_TITLES}},
        },
        **documented(*AUTH),
    },
)
async def read_job_titles(here: InPortal, citizen: InProfile) -> JobTitles:
    """The citizen's job titles. What is due is asked for; ask again while it is `pending`."""
    view = (await here.pages.register(citizen, DFDG)).sections["job_titles"]
    items = [JobTitle.model_validate(item) for item in view.items]
    return JobTitles(**_state(view, there=bool(items)), items=items)


@router.get(
    "/cv-status",
    responses={
        200: {
            "description": "The status, also when it cannot be known",
            "content": {"application/json": {"example": examples.CV_STATUS}},
        },
        **documented(*AUTH),
    },
)
async def read_cv_status(here: InPortal, citizen: InProfile) -> CvStatus:
    """Whether the citizen's CV is searchable (§2.2). What is due is asked for; ask again while it is `pending`."""
    view = (await here.pages.register(citizen, DFDG)).sections["contact_groups"]
    groups = [ContactGroupPeriod.model_validate(item) for item in view.items]
    searchable = searchable_cv.is_searchable(groups, today()) if groups else None
    return CvStatus(**_state(view, there=bool(groups)), searchable=searchable)


async def shown_deadlines(here: Portal, citizen: Citizen, view: SectionView, now: date) -> list[BookingDeadline]:
    """The deadlines that are to be shown: not one for which a meeting was booked a moment ago, either."""
    shown = [
        one
        for one in map(BookingDeadline.model_validate, view.items)
        if is_deadline_shown(one.deadline, active=one.active, booked=one.booked, today=now)
    ]
    booked = await here.booked.of(citizen) if shown else {}
    return [one for one in shown if not here.booked.hides(booked.get(one.id), view.fetched_at)]


def _state(view: SectionView, *, there: bool) -> dict[str, Any]:
    """A section's state, for an answer that shows a part of it: `empty` when there is nothing in that part."""
    state = view.state
    if state in {SectionState.READY, SectionState.EMPTY}:
        state = SectionState.READY if there else SectionState.EMPTY
    return {
        "state": state,
        "source": view.source,
        "fetched_at": view.fetched_at,
        "stale": view.stale,
        "retry_after": view.retry_after,
        "message": view.message,
    }
