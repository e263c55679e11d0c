"""Booking at Kontaktforloeb, as it is spoken: offers of meetings, their free times, reserving one, and booking it.

Published are the parts of an offer and of a time, and how often each is there; that a time is first reserved and then
booked; and STAR's codes. What is assumed is marked. What nothing needs is not read.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Self

from pydantic import Field, PlainValidator, StringConstraints, model_validator

from domain.service_windows import DENMARK
from registerbro.meetings.model import Time
from registerbro.upstreams.error_codes import codes_in
from registerbro.upstreams.errors import InvalidResponse, TooLong
from registerbro.upstreams.item_reading import Items, each
from registerbro.upstreams.messages import Answer
from registerbro.upstreams.wire_types import Code, Guid, Identifier, Moment, WireModel

OFFERS: Final = "/Moedetilbud"
TIMES: Final = "/Moedetilbud/{offer}/Tider"
"""ASSUMED: the offers of meetings are at `/v1/Selvbooking/Moedetilbud`, and the free times of one below it at
`/{id}/Tider`. The headings of GetSelvbookingMoedetilbud and GetSelfbookTimeslots in STAR's wiki would settle it;
BOOKING_PATH is a setting.
"""
RESERVE: Final = "/Booking/{meeting}/action/reserver"
BOOK: Final = "/Booking/{meeting}"
"""ASSUMED: Kontaktforloeb has the two writes at the paths that are published of the vendor's service, below its own,
and the caller chooses the IndkaldelseId. STAR's description of self-booking would settle it.
"""

DIGITAL: Final = 8
"""The form of a meeting (`samtaleform`) that is digital, as published."""
AT_A_DIGITAL_MEETING, TOLD_LATER = "Digitalt møde", "Oplyses af jobcenteret"
"""Places of meetings that have none in writing."""

TAKEN: Final = 409
ALREADY_MET: Final = 409
OTHER_WISH: Final = 422
"""ASSUMED: 409 to a reservation means that the time is taken, 409 to a booking that its deadline is met already, and
422 to either that the IndkaldelseId was used for another wish. STAR's description of the two writes would settle it.

ASSUMED: the same reservation, and the same booking, may be made again, which changes nothing, and is answered with 2xx
or 409. A repeat in STAR's test environment would settle it.
"""

NO_TIMES: Final = frozenset({"4770"})
NOT_THIS_PERSONS: Final = frozenset({"8107"})
NO_CONTACT: Final = frozenset({"4769", "9018"})
CONTRACT_BROKEN: Final = frozenset({"9303", "9329"})
NO_SUCH_ID: Final = frozenset({"4768", "90036"})
NO_SUCH_TIME: Final = frozenset({"4783", "90002", "4792", "90004"})
"""STAR's published codes: no free times; a booking id of another person; the booking system cannot be reached; it broke
the contract; a booking id that is not known; a start before today, or an end before the start."""


def codes_of(answer: Answer) -> frozenset[str]:
    """The codes in an answer that is no result, "" for an error without one; none where its body is not JSON."""
    try:
        return codes_in(answer.json("application/problem+json"))
    except (InvalidResponse, TooLong):
        return frozenset()


def _forms(value: object) -> tuple[Any, ...]:
    """The forms of a meeting, which say no more than whether it is digital: whatever is no list has none."""
    return tuple(value) if isinstance(value, list) else ()


Forms = Annotated[tuple[Any, ...], PlainValidator(_forms, json_schema_input_type=list[int])]
PlaceText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]


class _Held(WireModel):
    """Where something is held."""

    samtaleform: Forms = ()
    sted: PlaceText | None = None

    @property
    def place(self) -> str:
        """The place, as a citizen reads it."""
        if self.sted:
            return self.sted
        return AT_A_DIGITAL_MEETING if {DIGITAL, str(DIGITAL)} & set(map(_told, self.samtaleform)) else TOLD_LATER


class Moedetilbud(_Held):
    """An offer of a meeting of a type; the free times are its own.

    ASSUMED: the forms of an offer are in `samtaleform`, and its place is `sted`; published is that there are such
    parts. An answer of GetSelvbookingMoedetilbud from the test environment would settle it.
    """

    id: Guid
    samtale_type: Code = Field(alias="SamtaleType")

    def is_for(self, deadline_id: str) -> bool:
        """Whether it is of the type of a deadline, whose id is `<SamtaleType>-<Fristdato>`."""
        return deadline_id.partition("-")[0] == str(self.samtale_type)


class MoedetilbudSamling(WireModel):
    """The list of offers, each of which is read by itself."""

    moedetilbud: Annotated[Items[Moedetilbud], each(Moedetilbud, "Moedetilbud")] = Field(
        default=(), alias="Moedetilbud"
    )


class Moedetilbudssvar(WireModel):
    """The whole answer about offers. Without `MoedetilbudSamling` there is none, and nothing else is in the answer."""

    samling: MoedetilbudSamling | None = Field(default=None, alias="MoedetilbudSamling")

    @model_validator(mode="before")
    @classmethod
    def _is_no_other_answer(cls, values: object) -> object:
        """An object with other parts alone is another answer, and never "no offers" (R8)."""
        if isinstance(values, Mapping) and values.get("MoedetilbudSamling") is None:
            others = {str(name).casefold() for name in values} - _OF_NO_OFFERS
            if others:
                raise ValueError("has other parts than MoedetilbudSamling")
        return values

    @property
    def offers(self) -> Items[Moedetilbud]:
        """The offers, and what is told of those that cannot be read."""
        return self.samling.moedetilbud if self.samling else ()


_OF_NO_OFFERS: Final = frozenset({"moedetilbudsamling", "civilregistrationidentifier"})


class Tid(WireModel):
    """A free time of an offer, in whole seconds, as its id has them (`Time`)."""

    starttidspunkt: Moment
    sluttidspunkt: Moment

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        if self.sluttidspunkt <= self.starttidspunkt:
            raise ValueError("sluttidspunkt is not after starttidspunkt")
        if self.starttidspunkt.microsecond or self.sluttidspunkt.microsecond:
            raise ValueError("has parts of a second")
        return self


class Tider(WireModel):
    """The free times of an offer.

    ASSUMED: the free times of an offer are in `Tider`, each from `starttidspunkt` to `sluttidspunkt`; published is what
    there is. An answer of GetSelfbookTimeslots from the test environment would settle it.
    """

    tider: Annotated[Items[Tid], each(Tid, "Tid")] = Field(alias="Tider")


class Indkaldelse(_Held):
    """A meeting that the citizen is called to, as far as a booking needs to know it again.

    `workers/kontaktforloeb/wire.py` has what is published and assumed of it.
    """

    indkaldelse_id: Identifier = Field(alias="indkaldelseId")
    starttidspunkt: Moment


class Indkaldelser(WireModel):
    """The citizen's meetings."""

    indkaldelser: Annotated[Items[Indkaldelse], each(Indkaldelse, "indkaldelse")]


class Reservation(WireModel):
    """The time that is to be reserved."""

    MoedetilbudId: str
    starttidspunkt: str
    sluttidspunkt: str

    @classmethod
    def of(cls, time: Time) -> Self:
        """The reservation of a time, whose moments are sent in Danish time."""
        start, end = (one.astimezone(DENMARK).isoformat() for one in (time.start, time.end))
        return cls(MoedetilbudId=time.offer, starttidspunkt=start, sluttidspunkt=end)


def _told(form: object) -> object:
    return form if isinstance(form, int | str) and not isinstance(form, bool) else None


def meeting_with(ids: Sequence[str], meetings: Items[Indkaldelse]) -> Indkaldelse | None:
    """The first meeting that has one of these ids, in any spelling of a GUID; None without one."""
    wanted = {one.casefold() for one in ids}
    return next(
        (one for one in meetings if isinstance(one, Indkaldelse) and one.indkaldelse_id.casefold() in wanted), None
    )
