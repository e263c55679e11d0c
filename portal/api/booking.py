"""»Book møder med frist«: the times that are free, and the booking of one of them, while the citizen waits."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from portal.api import citizen as citizens
from portal.api.citizen import AUTH
from portal.api.pages import today
from portal.api.problems import Problem, Type, documented
from portal.api.state import CitizenWith, InPortal, Portal, TokenFirst
from portal.reader import SectionState
from workers.booking_vendor import bookings
from workers.booking_vendor.wire import Booking, Tid
from workers.domain.overview import DFDG
from workers.refresh import Citizen

Booking_ = Annotated[Citizen, Depends(CitizenWith("booking:write"))]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]

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
    """What is to be booked: a time, for a deadline of the citizen's."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    deadline: Id = Field(examples=["frist-1"])
    time: Id = Field(examples=["tid-20230315-0900"])


@router.get("/times", responses=documented(*PROBLEMS))
async def read_times(
    here: InPortal,
    citizen: Booking_,
    deadline: Annotated[Id, Query(description="The id of a deadline in the citizen's calendar")],
) -> Times:
    """The times that the booking system offers before a deadline. Nobody waits longer than BOOKING_TIMEOUT for it.

    One question of a citizen's is under way at a time: whoever asks the same meanwhile has its answer.
    """

    async def ask() -> Times:
        await _check_is_theirs(here, citizen, deadline)
        await here.booking_calls.check(citizen)
        try:
            found = await bookings.times(here.services, citizen.cpr, deadline)
        except bookings.BookingError as error:
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
            booked = await bookings.book(here.services, citizen.cpr, wanted.deadline, wanted.time, idempotency_key)
        except bookings.BookingError as error:
            raise _problem(error) from None
        await here.booked.note(citizen, wanted.deadline)
        # Asks DFDG for what is out of date from now on, and waits for nothing.
        await here.pages.register(citizen, DFDG)
        return _meeting(booked)

    what = (wanted.deadline, wanted.time, idempotency_key)
    return await here.one_at_a_time.ask(("booking", citizen.cpr), what, ask)


async def _check_is_theirs(here: Portal, citizen: Citizen, deadline: str) -> None:
    """Raises Problem unless the deadline is this citizen's own, and to be shown or booked a moment ago."""
    view = (await here.pages.register(citizen, DFDG)).sections["deadlines"]
    if deadline in {one.id for one in await citizens.shown_deadlines(here, citizen, view, today())}:
        return
    if deadline in await here.booked.of(citizen):
        return
    if view.state in {SectionState.READY, SectionState.EMPTY}:
        raise Problem(Type.NOT_FOUND, "the citizen has no such deadline")
    wait = view.retry_after or AGAIN_AFTER_SECONDS
    raise Problem(Type.TEMPORARILY_UNAVAILABLE, "the citizen's deadlines are not known now", retry_after=wait)


def _problem(error: bookings.BookingError) -> Problem:
    match error:
        case bookings.TimeTaken():
            return Problem(Type.TIME_TAKEN)
        case bookings.AlreadyBooked():
            return Problem(Type.WRONG_STATE, "a meeting is booked for this deadline already")
        case bookings.UnknownDeadline():
            return Problem(Type.NOT_FOUND, "the booking system has no such deadline or time")
        case bookings.IdempotencyKeyReused():
            return Problem(Type.IDEMPOTENCY_KEY_REUSED)
        case bookings.SystemBrokeContract():
            return Problem(Type.BOOKING_SYSTEM_CONTRACT, error_code=CONTRACT_BROKEN)
    return Problem(Type.BOOKING_SYSTEM_UNREACHABLE, retry_after=AGAIN_AFTER_SECONDS, error_code=UNREACHABLE)


def _meeting(one: Tid | Booking) -> Meeting:
    return Meeting(id=one.id, start=one.start, end=one.slut, place=one.sted)
