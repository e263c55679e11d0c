"""Expectations of Kontaktforloeb: meetings, whose parts are published and hardly a name; deadlines, published; and the
offers of meetings with their free times.

Reserving and booking are left out: nothing here could take a booking back, and it would be one at a real jobcentre.
"""

from contextlib import suppress
from typing import Final

from registerbro.conformance.assumptions import address, codes, fields
from registerbro.conformance.expectations import Asked, Assumption, Evidence, Form, Mark, Operation, Verdict
from registerbro.conformance.json_shape import expected, shape
from registerbro.meetings import wire as meetings
from registerbro.meetings.calls import BookingCalls
from registerbro.meetings.errors import BookingRefused
from registerbro.meetings.model import Meeting
from registerbro.upstreams import dfdg_protocol
from registerbro.upstreams.errors import CallFailed
from workers.dfdg_gateway.expectations import ERROR_BODY, about_a_citizen
from workers.kontaktforloeb import wire
from workers.kontaktforloeb.client import fetch_deadlines, fetch_meetings

_MEETING, _DEADLINE = "indkaldelser[]", "Frister.Frist[]"
_TYPE, _TYPE_TO_BOOK, _STATUS = f"{_MEETING}.SamtaleType", f"{_DEADLINE}.SamtaleType", f"{_DEADLINE}.FriststatusType"
_PARTS: Final = [f"{_MEETING}.{field.alias or name}" for name, field in wire.Indkaldelse.model_fields.items()]
_ADDRESSES: Final = (
    "the paths of Kontaktforloeb's two reads: `/v2/Indkaldelse`, as the published ones below it, and `/v1/Borgerstatus`"
)

_OFFER: Final = "MoedetilbudSamling.Moedetilbud[]"
_BOOKING_ADDRESSES: Final = (
    "the offers of meetings are at `/v1/Selvbooking/Moedetilbud`, and the free times of one below it at `/{id}/Tider`"
)
_REFUSALS: Final = (
    frozenset(dfdg_protocol.ERRORS) | dfdg_protocol.NO_DATA | meetings.NO_TIMES | meetings.NO_SUCH_ID
    | meetings.NOT_THIS_PERSONS | meetings.NO_CONTACT | meetings.CONTRACT_BROKEN
)  # fmt: skip
_NOBODYS_OFFER: Final = "00000000-0000-4000-8000-000000000000"
"""An offer that no citizen has: its times are asked for where the citizen has no offer."""


_OF_A_BOOKING: Final = (
    (
        "Kontaktforloeb has the two writes at the paths that are published of the vendor's service, below its own, and "
        "the caller chooses the IndkaldelseId"
    ),
    (
        "409 to a reservation means that the time is taken, 409 to a booking that its deadline is met already, and 422 "
        "to either that the IndkaldelseId was used for another wish"
    ),
    (
        "the same reservation, and the same booking, may be made again, which changes nothing, and is answered with "
        "2xx or 409"
    ),
)


def _not_tried(_: Evidence) -> tuple[Verdict, str]:
    """What a booking alone would show: none is made, since it would be a citizen's meeting."""
    return Verdict.NOT_SEEN, "book a meeting in the test environment: this command books none"


def _calls(asked: Asked) -> BookingCalls:
    return BookingCalls(asked.upstream, asked.settings.kontaktforloeb.booking_path, asked.cpr)


async def _offers(asked: Asked) -> list[meetings.Moedetilbud] | None:
    try:
        return await _calls(asked).offers() or None
    except BookingRefused:
        return None


async def _times(asked: Asked) -> list[Meeting] | None:
    """The times of the citizen's first offer, which takes a call before it."""
    calls, offers = _calls(asked), None
    with suppress(CallFailed):
        offers = await _offers(asked)
    try:
        return await calls.times(offers[0].id if offers else _NOBODYS_OFFER, "") or None
    except BookingRefused:
        return None


OPERATIONS: Final[tuple[Operation, ...]] = (
    about_a_citizen(
        "indkaldelser",
        fetch_meetings,
        expected(
            wire.Indkaldelser,
            Mark.ASSUMED,
            marks={_TYPE: Mark.PUBLISHED},
            codes={_TYPE: wire.MEETING_TYPES},
            forms={_TYPE: Form.INTEGER},
            unread={f"{_MEETING}.samtaleform[]": Form.INTEGER, f"{_MEETING}.sted": Form.TEXT},
        ),
        address(_ADDRESSES),
        fields(
            "the list of a citizen's meetings, and the names of a meeting's parts other than `SamtaleType`; published "
            "is what there is",
            _MEETING,
            *(part for part in _PARTS if part != _TYPE),
            within=False,
        ),
    ),
    about_a_citizen(
        "borgerstatus",
        fetch_deadlines,
        expected(
            wire.Borgerstatus,
            Mark.PUBLISHED,
            codes={_TYPE_TO_BOOK: wire.MEETING_TYPES, _STATUS: wire.STATUSES},
            forms={_TYPE_TO_BOOK: Form.INTEGER, _STATUS: Form.INTEGER},
            unread={"StraksbookingPaakraevet": Form.BOOLEAN, f"{_DEADLINE}.SidsteAfholdelsesdato": Form.DATE},
        ),
        address(_ADDRESSES),
        codes("the values of FriststatusType are 1 active, 2 booked and 3 passed", _STATUS),
        path=lambda settings: settings.kontaktforloeb.deadlines_path,
    ),
    Operation(
        "moedetilbud",
        _offers,
        expected(
            meetings.Moedetilbudssvar,
            Mark.PUBLISHED,
            marks={f"{_OFFER}.samtaleform[]": Mark.ASSUMED, f"{_OFFER}.sted": Mark.ASSUMED},
            codes={f"{_OFFER}.SamtaleType": wire.MEETING_TYPES},
            forms={f"{_OFFER}.SamtaleType": Form.INTEGER},
            unread={f"{_OFFER}.MoedeGruppeType": Form.INTEGER},
        ),
        shape,
        (
            address(_BOOKING_ADDRESSES),
            fields(
                "the forms of an offer are in `samtaleform`, and its place is `sted`; published is that there are such "
                "parts",
                f"{_OFFER}.samtaleform[]",
                f"{_OFFER}.sted",
            ),
            ERROR_BODY,
        ),
        refusal_codes=_REFUSALS,
    ),
    Operation(
        "tider",
        _times,
        expected(meetings.Tider, Mark.ASSUMED, unread={"Tider[].CaseWorkerIdentifier": Form.TEXT}),
        shape,
        (
            address(_BOOKING_ADDRESSES),
            fields(
                "the free times of an offer are in `Tider`, each from `starttidspunkt` to `sluttidspunkt`; published "
                "is what there is",
                "Tider[]",
            ),
            *(Assumption(text, _not_tried) for text in _OF_A_BOOKING),
            ERROR_BODY,
        ),
        refusal_codes=_REFUSALS,
    ),
)
