"""Booking of a meeting at DFDG while a citizen waits: within BOOKING_TIMEOUT, and once, however often it is asked for.

Kontaktforloeb keeps the record. A meeting's id is made from the citizen and their key, so that it is the same in every
try, and the citizen's meetings tell whether it is booked.
"""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

import structlog

from config.settings import BOOKING, SettingsError
from domain.cpr import Cpr
from registerbro import audit_log
from registerbro.meetings import wire
from registerbro.meetings.calls import BookingCalls
from registerbro.meetings.errors import (
    BookingRefused,
    IdempotencyKeyReused,
    NoFreeTimes,
    SystemBrokeContract,
    SystemUnreachable,
    UnknownTime,
)
from registerbro.meetings.model import InvalidTimeId, Meeting, Time
from registerbro.services import Services
from registerbro.storage.coordination.leases import Behalf, Purpose, Wish
from registerbro.upstreams import deadline, quarantine
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.errors import BadRequest, InvalidResponse, NotCalled, TooLong, UpstreamError, WrongPerson

log = structlog.get_logger()

MOST_OFFERS: Final = 10
"""Offers of one deadline's type whose times are asked for: each is a call, and they are made at the same time."""
CHARACTERS_OF_A_TIME: Final = 80
"""About as many as an answer of DFDG has for one."""
_WISH: Final = Wish(Behalf.CITIZEN, Purpose.BOOK_MEETING)


async def times(services: Services, citizen: Cpr, deadline_id: str) -> tuple[Meeting, ...]:
    """The times that are free for a deadline of this citizen's, the first first. Raises BookingError."""
    with _about(services, citizen) as calls:
        try:
            offers = [one for one in await calls.offers() if one.is_for(deadline_id)]
        except NoFreeTimes:
            offers = []
        if len(offers) > MOST_OFFERS:
            log.warning("booking_offers_left_out", count=len(offers) - MOST_OFFERS)
        found = await _together(calls, offers[:MOST_OFFERS])
    return await apart(partial(_in_order, found), CHARACTERS_OF_A_TIME * len(found))


async def book(services: Services, citizen: Cpr, deadline_id: str, time_id: str, idempotency_key: str) -> Meeting:
    """Books a time for a deadline of this citizen's. Raises BookingError.

    However often the same key comes, and at whatever moment, one meeting is booked, and the answer is the same: when
    the outcome of a booking is unknown, the caller repeats it with the same key.
    """
    time = None
    with suppress(InvalidTimeId):
        time = Time.parse(time_id)
    if time is None:
        log.info("booking_refused", reason=InvalidTimeId.__name__)
        raise UnknownTime
    # From here on no frame of an error that is logged holds what a browser sent.
    return await _book_once(services, citizen, deadline_id, time, _meeting_ids(services, citizen, idempotency_key))


async def _book_once(services: Services, citizen: Cpr, deadline_id: str, time: Time, ids: Sequence[str]) -> Meeting:
    """Books a time under the first of these ids, unless a meeting with one of them is booked. Raises BookingError."""
    with _about(services, citizen) as calls:
        try:
            return await _book(calls, ids[0], deadline_id, time)
        except (IdempotencyKeyReused, WrongPerson, NotCalled):
            raise
        except (BookingRefused, UpstreamError):
            # It may be a repeat of what was booked before, or a booking whose answer was lost.
            if (booked := await _booked_before(calls, ids, time)) is None:
                raise
            return booked


async def _book(calls: BookingCalls, meeting_id: str, deadline_id: str, time: Time) -> Meeting:
    """Books a time of an offer that is this citizen's, and of the deadline's type."""
    offer = next((one for one in await calls.offers() if one.id == time.offer and one.is_for(deadline_id)), None)
    if offer is None:
        raise UnknownTime
    await calls.reserve(meeting_id, time)
    await calls.book(meeting_id)
    return Meeting(meeting_id, time.start, time.end, offer.place)


async def _booked_before(calls: BookingCalls, ids: Sequence[str], time: Time) -> Meeting | None:
    """The meeting with one of these ids; None when it is not booked, or cannot be looked for.

    Raises IdempotencyKeyReused when it is another time that was booked, and WrongPerson.
    """
    try:
        booked = wire.meeting_with(ids, await calls.meetings())
    except WrongPerson:
        raise
    except (BookingRefused, UpstreamError):
        return None
    if booked is None:
        return None
    if booked.starttidspunkt != time.start:
        raise IdempotencyKeyReused
    return Meeting(booked.indkaldelse_id.lower(), time.start, time.end, booked.place)


async def _together(calls: BookingCalls, offers: Sequence[wire.Moedetilbud]) -> list[Meeting]:
    """The free times of these offers. Raises the error of the first that fails: some of them would look like all."""

    async def of(offer: wire.Moedetilbud) -> list[Meeting]:
        try:
            return await calls.times(offer.id, offer.place)
        except (NoFreeTimes, UnknownTime):
            return []

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(of(one)) for one in offers]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [one for task in tasks for one in task.result()]


def _in_order(meetings: Iterable[Meeting]) -> tuple[Meeting, ...]:
    """Each meeting once, the first first."""
    by_id = {one.id: one for one in meetings}
    return tuple(sorted(by_id.values(), key=lambda one: (one.start, one.end, one.id)))


@contextmanager
def _about(services: Services, citizen: Cpr) -> Iterator[BookingCalls]:
    """The calls about a citizen, on record as theirs, within the time that they wait. Raises BookingError."""
    ids = services.citizens.ids_of(citizen)
    settings = services.settings.kontaktforloeb
    try:
        with deadline.within(settings.booking_timeout), audit_log.about(ids[0], _WISH), quarantine.about(ids):
            yield BookingCalls(services.upstream(BOOKING), settings.booking_path, citizen)
    except BookingRefused as refusal:
        log.info("booking_refused", reason=type(refusal).__name__)
        raise
    except (InvalidResponse, TooLong, BadRequest) as error:
        log.error("booking_contract_broken", reason=error.reason, detail=str(error))
        raise SystemBrokeContract from None
    except UpstreamError as error:
        log.warning("booking_not_possible", reason=error.reason, detail=str(error))
        raise SystemUnreachable from None
    except SettingsError as error:
        log.critical("booking_not_set_up", detail=str(error))
        raise SystemUnreachable from None


def _meeting_ids(services: Services, citizen: Cpr, key: str) -> list[str]:
    """The meeting's id for a citizen's own key, and behind it those of the time before a change of the pepper.

    Two citizens who send the same key never share an id.
    """
    named = zip(services.keyring.peppers(), services.citizens.ids_of(citizen), strict=False)
    return [_uuid(hmac.digest(pepper, f"booking:{one}:{key}".encode(), hashlib.sha256)) for pepper, one in named]


def _uuid(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest[:16], version=4))
