"""The use case "book a meeting": a citizen waits for the vendor, so that is short, and the vendor keeps the record.

BookingError
├── BookingRefused            the vendor answered, and nothing was booked by this call
│   ├── TimeTaken             somebody else was faster
│   ├── AlreadyBooked         a meeting is booked for this deadline
│   ├── UnknownDeadline       the vendor knows no such deadline or time
│   └── IdempotencyKeyReused  the key was used for another booking
├── SystemUnreachable         no contact: it is not known whether anything was booked
└── SystemBrokeContract       an answer that is not of the contract: likewise
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import TypeVar

import structlog

from config.settings import BOOKING, SettingsError
from workers.booking_vendor import wire
from workers.booking_vendor.wire import Booking, Tid
from workers.domain.cpr import Cpr
from workers.resilience import deadline
from workers.resilience.client import Answer, Question
from workers.resilience.errors import BadRequest, InvalidResponse, NotAuthorised, TooLong, UpstreamError
from workers.resilience.upstream import Exchange
from workers.runtime import Services

log = structlog.get_logger()

T = TypeVar("T")


class BookingError(Exception):
    """No meeting was booked, as far as is known. The message holds nothing of the citizen."""


class BookingRefused(BookingError):
    """The vendor said no."""


class TimeTaken(BookingRefused):
    """Somebody else has the time."""


class AlreadyBooked(BookingRefused):
    """A meeting is booked for this deadline, by another call than this."""


class UnknownDeadline(BookingRefused):
    """The vendor knows no such deadline, or no such time for it."""


class IdempotencyKeyReused(BookingRefused):
    """The key was used for another booking."""


class SystemUnreachable(BookingError):
    """No contact with the booking system: down, too slow, spared, or it does not let us in."""


class SystemBrokeContract(BookingError):
    """The booking system answered, and not as agreed."""


_REFUSED: dict[str, type[BookingRefused]] = {
    wire.TAKEN: TimeTaken,
    wire.ALREADY_BOOKED: AlreadyBooked,
    wire.UNKNOWN: UnknownDeadline,
    wire.KEY_REUSED: IdempotencyKeyReused,
}


async def times(services: Services, citizen: Cpr, deadline_id: str) -> tuple[Tid, ...]:
    """The times that are free before a deadline of this citizen's, the first first. Raises BookingError."""
    headers = {wire.REFERENCE_HEADER: services.citizens.id_of(citizen), wire.DEADLINE_HEADER: deadline_id}

    def question(_: str) -> Question:
        return Question("GET", wire.TIMES_PATH, headers=_headers(services) | headers)

    found = await _ask(services, question, lambda answer: answer.model(wire.Tider).tider, frozenset({200}))
    return tuple(sorted(found, key=lambda one: (one.start, one.id)))


async def book(services: Services, citizen: Cpr, deadline_id: str, time_id: str, idempotency_key: str) -> Booking:
    """Books a time for a deadline of this citizen's. Raises BookingError.

    However often the same key comes, and at whatever moment, the vendor books once and gives the first answer again:
    when it is not known what became of a booking, it is asked for again with the same key.
    """
    reference = services.citizens.id_of(citizen)
    body = wire.Bookingoenske(reference=reference, frist=deadline_id, tid=time_id).model_dump_json().encode()
    headers = {
        "Idempotency-Key": _key(services, reference, idempotency_key),
        "Content-Type": "application/json",
        wire.REFERENCE_HEADER: reference,
    }

    def question(_: str) -> Question:
        return Question("POST", wire.BOOKINGS_PATH, headers=_headers(services) | headers, body=body)

    return await _ask(services, question, lambda answer: answer.model(wire.Booking), frozenset({200, 201}))


async def _ask(
    services: Services, question: Callable[[str], Question], read: Callable[[Answer], T], fine: frozenset[int]
) -> T:
    """The vendor's answer, within the time that a citizen waits. Raises BookingError."""

    def answered(answer: Answer) -> T | BookingRefused:
        # A refusal is an answer of the contract, and says nothing of the vendor's health.
        return read(answer) if answer.status in fine else _refusal(answer)

    try:
        with deadline.within(services.settings.booking_vendor.booking_timeout):
            result = await services.upstream(BOOKING).ask(Exchange(question, answered))
    except (InvalidResponse, TooLong, BadRequest) as error:
        log.error("booking_contract_broken", reason=error.reason, detail=str(error))
        raise SystemBrokeContract from None
    except UpstreamError as error:
        log.warning("booking_not_possible", reason=error.reason, detail=str(error))
        raise SystemUnreachable from None
    except SettingsError as error:
        log.critical("booking_not_set_up", detail=str(error))
        raise SystemUnreachable from None
    if isinstance(result, BookingRefused):
        log.info("booking_refused", reason=type(result).__name__)
        raise result
    return result


def _refusal(answer: Answer) -> BookingRefused:
    """The refusal that an answer is. Raises the CallFailed that it means when it is none."""
    refusal = answer.refusal()
    if answer.status in wire.REFUSALS.values():
        try:
            said = answer.model(wire.Afvisning).fejl
        except InvalidResponse:
            said = ""
        if wire.REFUSALS.get(said) == answer.status:
            return _REFUSED[said]()
    raise refusal or InvalidResponse(f"HTTP {answer.status}")


def _headers(services: Services) -> dict[str, str]:
    token = services.settings.booking_vendor.token
    if token is None:
        raise NotAuthorised("there is no token for the booking system")
    return {"Authorization": f"Bearer {token.get_secret_value()}", "Accept": "application/json"}


def _key(services: Services, reference: str, key: str) -> str:
    """The citizen's own key as the vendor sees it: two citizens who send the same one never share an answer."""
    pepper = services.keyring.peppers()[0]
    return hmac.new(pepper, f"booking:{reference}:{key}".encode(), hashlib.sha256).hexdigest()
