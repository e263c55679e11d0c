"""Calls of a booking to Kontaktforloeb, all about one citizen: each returns what DFDG says, or raises what it means.

A refusal is an answer of the contract, and says nothing of the register's health: the breaker counts it as an answer.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

import structlog
from pydantic import BaseModel

from domain.cpr import Cpr
from registerbro.meetings import wire
from registerbro.meetings.errors import (
    AlreadyBooked,
    BookingRefused,
    IdempotencyKeyReused,
    NoFreeTimes,
    TimeTaken,
    UnknownTime,
)
from registerbro.meetings.model import Meeting, Time
from registerbro.upstreams import dfdg_protocol
from registerbro.upstreams.errors import CallFailed, InvalidResponse, UpstreamUnavailable, WrongPerson
from registerbro.upstreams.item_reading import Items, left_out, readable
from registerbro.upstreams.messages import Answer, HiddenHeaders, Question
from registerbro.upstreams.pipeline import Exchange, Upstream

log = structlog.get_logger()

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)

Failures = Mapping[AbstractSet[str], type[CallFailed]]
Refusals = Mapping[AbstractSet[str], type[BookingRefused]]
"""STAR's codes → what they mean for a call."""

_FAILURES: Final[Failures] = {wire.NO_CONTACT: UpstreamUnavailable, wire.CONTRACT_BROKEN: InvalidResponse}
# Each id in these questions is DFDG's own for this citizen: "not this person's" means that people are mixed up (R7).
_READ_FAILURES: Final[Failures] = {wire.NOT_THIS_PERSONS: WrongPerson, **_FAILURES}
_READ_REFUSALS: Final[Refusals] = {wire.NO_TIMES: NoFreeTimes, wire.NO_SUCH_ID: UnknownTime}
# A write's ids come from the browser, which may invent them: that must not cut the register off for all citizens.
_WRITE_REFUSALS: Final[Refusals] = {
    wire.NO_TIMES: NoFreeTimes,
    wire.NO_SUCH_ID | wire.NOT_THIS_PERSONS | wire.NO_SUCH_TIME: UnknownTime,
}
_RESERVING: Final = {wire.TAKEN: TimeTaken, wire.OTHER_WISH: IdempotencyKeyReused}
_BOOKING: Final = {wire.ALREADY_MET: AlreadyBooked, wire.OTHER_WISH: IdempotencyKeyReused}
"""HTTP statuses → what they mean for a write, where the answer names no code."""


class BookingCalls:
    """The calls of one booking, or of one look for times. Each raises UpstreamError, and BookingRefused."""

    def __init__(self, upstream: Upstream, booking_path: str, citizen: Cpr) -> None:
        self._upstream = upstream
        self._below = booking_path.rstrip("/")
        self._citizen = citizen

    async def offers(self) -> list[wire.Moedetilbud]:
        """The meetings that are offered to the citizen; none of a person whom the register does not know."""
        path = self._below + wire.OFFERS
        return await self._read(path, wire.Moedetilbudssvar, lambda told: _readable(told.offers)) or []

    async def times(self, offer: str, place: str) -> list[Meeting]:
        """The meetings of an offer, by its id, that can be booked at its place: one for each free time that DFDG has
        for this citizen.
        """

        def meetings(told: wire.Tider) -> list[Meeting]:
            times = (Time(offer, one.starttidspunkt, one.sluttidspunkt) for one in _readable(told.tider))
            return [Meeting(time.id, time.start, time.end, place) for time in times]

        return await self._read(self._below + wire.TIMES.format(offer=offer), wire.Tider, meetings) or []

    async def meetings(self) -> Items[wire.Indkaldelse]:
        """The citizen's meetings."""
        return await self._read(self._upstream.path, wire.Indkaldelser, lambda told: told.indkaldelser) or ()

    async def reserve(self, meeting_id: str, time: Time) -> None:
        """Reserves a time for a meeting with an id of ours."""
        body = wire.Reservation.of(time).model_dump_json().encode()
        await self._write(wire.RESERVE.format(meeting=meeting_id), _RESERVING, body)

    async def book(self, meeting_id: str) -> None:
        """Books the time that is reserved for this meeting."""
        await self._write(wire.BOOK.format(meeting=meeting_id), _BOOKING)

    async def _read(self, path: str, model: type[ModelT], taken: Callable[[ModelT], T]) -> T | None:
        """What `taken` makes of an answer, in the thread that reads a long one; None of a person who is not known."""

        def read(answer: Answer) -> T | BookingRefused | None:
            try:
                told = dfdg_protocol.read(answer, self._citizen, model)
            except CallFailed as failure:
                return _refusal(answer, failure, _READ_FAILURES, _READ_REFUSALS)
            return None if told is None else taken(told)

        return await self._ask(self._question("GET", path), read)

    async def _write(self, path: str, by_status: Mapping[int, type[BookingRefused]], body: bytes | None = None) -> None:
        def read(answer: Answer) -> BookingRefused | None:
            try:
                code = dfdg_protocol.read_receipt(answer, self._citizen, frozenset())
            except CallFailed as failure:
                return _refusal(answer, failure, _FAILURES, _WRITE_REFUSALS, by_status)
            return None if code is None else UnknownTime()

        await self._ask(self._question("POST", self._below + path, body), read, is_write=True)

    async def _ask(
        self, question: Question, read: Callable[[Answer], T | BookingRefused], *, is_write: bool = False
    ) -> T:
        result = await self._upstream.ask(Exchange(lambda _: question, read, is_write=is_write))
        if isinstance(result, BookingRefused):
            raise result
        return result

    def _question(self, method: str, path: str, body: bytes | None = None) -> Question:
        of_body = {} if body is None else {"Content-Type": "application/json"}
        headers = HiddenHeaders(
            {dfdg_protocol.CPR_HEADER: self._citizen.digits, "Accept": "application/json", **of_body}
        )
        return Question(method, path, headers, body)


def _refusal(
    answer: Answer,
    failure: CallFailed,
    failures: Failures,
    refusals: Refusals,
    by_status: Mapping[int, type[BookingRefused]] | None = None,
) -> BookingRefused:
    """The refusal that an answer is, which the protocol alone takes for a failure. Raises the CallFailed that it means.

    Of several codes, one that is a failure decides. A refusal is one only where no other code is beside it (R8).
    """
    if isinstance(failure, WrongPerson):
        raise failure
    codes = wire.codes_of(answer)
    for known, error in failures.items():
        if found := codes & known:
            # Only known codes are named: another may hold anything.
            raise error(f"code {', '.join(sorted(found))}", retry_after=answer.retry_after)
    for known, meaning in refusals.items():
        if codes and codes <= known:
            return meaning()
    told = by_status.get(answer.status) if by_status and not codes - {""} else None
    if told is None:
        raise failure
    return told()


def _readable(items: Items[T]) -> list[T]:
    """The items that can be read; the others are named in the log, by kind and place."""
    if odd := left_out(items):
        log.warning("booking_items_left_out", items=[f"{one.kind}: {one.place}" for one in odd[:10]], count=len(odd))
    return readable(items)
