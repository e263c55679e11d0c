"""»Book møder med frist«: the times that are free, and the booking of one of them, while the citizen waits."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.citizen import Citizen
from domain.overview import KONTAKTFORLOEB
from domain.service_windows import DENMARK, danish_today
from portal.api import calendar_and_profile as citizens
from portal.api.calendar_and_profile import AUTH
from portal.api.dependencies import CitizenWith, InPortal, Portal, TokenFirst
from portal.api.problems import Problem, Type, documented
from registerbro.meetings import booking, errors, model
from registerbro.upstreams.wire_types import IDENTIFIER_PATTERN

Booking_ = Annotated[Citizen, Depends(CitizenWith("booking:write"))]
Id = Annotated[str, Field(pattern=IDENTIFIER_PATTERN)]

AGAIN_AFTER_SECONDS = 10
UNREACHABLE, CONTRACT_BROKEN = "4769/9018", "9303/9329"
"""Jobnet's error codes for no contact with the booking system, and for an answer that cannot be used."""
PROBLEMS = (
    *AUTH,
    Type.INVALID_REQUEST,
    Type.NOT_FOUND,
    Type.RATE_LIMITED,
    Type.TEMPORARILY_UNAVAILABLE,
    Type.BOOKING_SYSTEM_CONTRACT,
    Type.BOOKING_SYSTEM_UNREACHABLE,
)

router = APIRouter(prefix="/v1/booking", tags=["booking"], route_class=TokenFirst)


class Meeting(BaseModel):
    """When and where, in Danish time."""

    id: str
    start: datetime
    end: datetime
    place: str


class Times(BaseModel):
    """The times that are free, the first first."""

    times: list[Meeting]


class NewBooking(BaseModel):
    """The booking that is wanted: a time, for a deadline of the citizen's."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    deadline: Id = Field(examples=["7-2023-03-17"])
    time: Id = Field(examples=["4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f.20230315T080000Z.20230315T084500Z"])


@router.get("/times", responses=documented(*PROBLEMS))
async def read_times(
    here: InPortal,
    citizen: Booking_,
    deadline: Annotated[Id, Query(description="The id of a deadline in the citizen's calendar")],
) -> Times:
    """The times that the booking system offers for a deadline. The call takes at most BOOKING_TIMEOUT.

    One question of a citizen's is under way at a time: a concurrent call for the same shares its answer.
    """

    async def ask() -> Times:
        await _check_is_theirs(here, citizen, deadline)
        await here.booking_calls.check(citizen)
        try:
            found = await booking.times(here.services, citizen.cpr, deadline)
        except errors.BookingError as error:
            raise _problem(error) from None
        return Times(times=[_meeting(one) for one in found])

    return await here.one_at_a_time.ask(("times", citizen.cpr), deadline, ask)


@router.post(
    "/bookings",
    status_code=201,
    responses=documented(
        *PROBLEMS,
        Type.REQUEST_TIMEOUT,
        Type.BODY_TOO_LARGE,
        Type.TIME_TAKEN,
        Type.WRONG_STATE,
        Type.IDEMPOTENCY_KEY_REUSED,
    ),
)
async def book(
    here: InPortal,
    citizen: Booking_,
    wanted: NewBooking,
    idempotency_key: Annotated[
        str, Header(min_length=1, max_length=200, description="The same for every try at the same booking")
    ],
) -> Meeting:
    """Books a time. The same key gives the same answer, and one meeting, however often and at whatever moment it comes.

    After `booking-system-unreachable` or `booking-system-contract` it is not known whether the meeting was booked: try
    again with the same key. One booking of a citizen's is under way at a time.
    """

    async def ask() -> Meeting:
        await _check_is_theirs(here, citizen, wanted.deadline)
        await here.booking_calls.check(citizen)
        try:
            booked = await booking.book(here.services, citizen.cpr, wanted.deadline, wanted.time, idempotency_key)
        except errors.BookingError as error:
            raise _problem(error) from None
        await here.booked.record(citizen.cpr, wanted.deadline)
        # Requests a refresh of the register, whose data are out of date from now on, and does not wait for it.
        await here.pages.read_sections(citizen, KONTAKTFORLOEB)
        return _meeting(booked)

    what = (wanted.deadline, wanted.time, idempotency_key)
    return await here.one_at_a_time.ask(("booking", citizen.cpr), what, ask)


async def _check_is_theirs(here: Portal, citizen: Citizen, deadline: str) -> None:
    """Raises Problem unless the deadline is this citizen's own, and to be shown or booked a moment ago."""
    view = (await here.pages.read_sections(citizen, KONTAKTFORLOEB))["deadlines"]
    if deadline in {one.id for one in await citizens.shown_deadlines(here, citizen, view, danish_today())}:
        return
    if deadline in await here.booked.of(citizen.cpr):
        return
    if view.state in citizens.KNOWN:
        raise Problem(Type.NOT_FOUND, "the citizen has no such deadline")
    wait = view.retry_after or AGAIN_AFTER_SECONDS
    raise Problem(Type.TEMPORARILY_UNAVAILABLE, "the citizen's deadlines are not known now", retry_after=wait)


def _problem(error: errors.BookingError) -> Problem:
    match error:
        case errors.TimeTaken():
            return Problem(Type.TIME_TAKEN)
        case errors.AlreadyBooked():
            return Problem(Type.WRONG_STATE, "a meeting is booked for this deadline already")
        case errors.UnknownTime():
            return Problem(Type.NOT_FOUND, "the booking system has no such time for this deadline")
        case errors.IdempotencyKeyReused():
            return Problem(Type.IDEMPOTENCY_KEY_REUSED)
        case errors.SystemBrokeContract():
            return Problem(Type.BOOKING_SYSTEM_CONTRACT, error_code=CONTRACT_BROKEN)
    return Problem(Type.BOOKING_SYSTEM_UNREACHABLE, retry_after=AGAIN_AFTER_SECONDS, error_code=UNREACHABLE)


def _meeting(one: model.Meeting) -> Meeting:
    start, end = one.start.astimezone(DENMARK), one.end.astimezone(DENMARK)
    return Meeting(id=one.id, start=start, end=end, place=one.place)
