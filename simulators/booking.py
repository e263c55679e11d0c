"""Booking of meetings at Kontaktforloeb: offers, their free times, and the two writes, reserve and book.

A citizen has two offers for each deadline: one at the jobcentre, and a digital one; and an offer of a type for which
there is no deadline. A time is on one of the five days before the deadline. A reservation and a booking are made again
without effect, but a reservation of what is booked is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from simulators.citizens import BY_CPR, CITIZENS
from simulators.dfdg import DfdgRead
from simulators.dfdg_data import deadline_id, identifier, on
from simulators.protocol import Asked, Breach, Reply
from simulators.register_data import Citizen, danish_today

BELOW = "/v1/Selvbooking"
OFFERS, TIMES, RESERVE, BOOK = "offers", "times", "reserve", "book"
OPERATIONS = frozenset({OFFERS, TIMES, RESERVE, BOOK})
_GUID = r"([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})"
_PATHS = {
    OFFERS: ("GET", re.compile(f"{BELOW}/Moedetilbud")),
    TIMES: ("GET", re.compile(f"{BELOW}/Moedetilbud/{_GUID}/Tider")),
    RESERVE: ("POST", re.compile(f"{BELOW}/Booking/{_GUID}/action/reserver")),
    BOOK: ("POST", re.compile(f"{BELOW}/Booking/{_GUID}")),
}
_WISH = frozenset({"MoedetilbudId", "starttidspunkt", "sluttidspunkt"})

AT_THE_JOBCENTRE, DIGITAL = 1, 8
HOURS = {AT_THE_JOBCENTRE: (10,), DIGITAL: (9, 13)}
"""Form of a meeting → the hours at which it is held."""
SNATCHED = 10
"""The hour that is always offered, and always taken when it is reserved, as by another citizen."""
PLACE = "Jobcenter Ærø, Vestergade 1"
ANOTHER_TYPE = 12
"""A type of meeting for which nobody has a deadline."""
NO_SUCH_OFFER, ANOTHERS = "90036", "8107"


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer of a meeting to one citizen; `deadline` is that which it is for, if it is for one."""

    citizen: str
    kind: int
    form: int
    deadline: str | None
    last: date

    @property
    def id(self) -> str:
        """Its GUID."""
        return identifier(f"tilbud-{self.citizen}-{self.kind}-{self.form}-{self.deadline}")

    def told(self) -> dict[str, Any]:
        """The offer, as it is sent: a digital one has no place."""
        place = {"sted": PLACE} if self.form == AT_THE_JOBCENTRE else {}
        return {"id": self.id, "SamtaleType": self.kind, "MoedeGruppeType": 1, "samtaleform": [self.form], **place}

    def times(self, today: date) -> list[dict[str, str]]:
        """All its times, without bookings."""
        return [_time(day, hour) for day in _days(today, self.last) for hour in HOURS[self.form]]


@dataclass(slots=True)
class Meeting:
    """A time that is reserved for a citizen under an id of their portal's, and perhaps booked."""

    id: str
    offer: Offer
    wish: Mapping[str, Any]
    received: int = 0
    """How often its booking was asked for."""
    is_booked: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """What nobody else can have at the same time."""
        return self.offer.id, _moment(self.wish["starttidspunkt"]).isoformat()

    def summons(self) -> dict[str, Any]:
        """The meeting among those that a citizen is called to."""
        offer = self.offer.told()
        moments = {name: self.wish[name] for name in ("starttidspunkt", "sluttidspunkt")}
        del offer["id"], offer["MoedeGruppeType"]
        return {"indkaldelseId": self.id, **offer, **moments}


class SelfBooking:
    """Meetings by their ids. `meetings` are those that are reserved or booked."""

    def __init__(self) -> None:
        self.meetings: dict[str, Meeting] = {}

    def booked(self, citizen: Citizen) -> list[Meeting]:
        """The booked meetings of a citizen."""
        return [one for one in self.meetings.values() if one.is_booked and one.offer.citizen == citizen.cpr]

    def is_met(self, citizen: Citizen, deadline: str) -> bool:
        """Whether a meeting is booked for a deadline of a citizen's."""
        return any(one.offer.deadline == deadline for one in self.booked(citizen))

    def free(self, offer: Offer) -> list[dict[str, str]]:
        """The times of an offer that are not reserved."""
        taken = {one.place for one in self.meetings.values()}
        return [
            one
            for one in offer.times(danish_today())
            if (offer.id, _moment(one["starttidspunkt"]).isoformat()) not in taken
        ]

    def reserve(self, meeting_id: str, offer: Offer, wish: Mapping[str, Any]) -> int:
        """Reserves a time; the HTTP status of the answer. Raises Breach for a time that the offer does not have."""
        if (known := self.meetings.get(meeting_id)) is not None:
            if (known.offer.citizen, known.wish) != (offer.citizen, wish):
                return 422
            known.received += known.is_booked
            return 409 if known.is_booked else 200
        meeting = Meeting(meeting_id, offer, wish)
        moments = [_moment(wish[name]) for name in ("starttidspunkt", "sluttidspunkt")]
        all_times = offer.times(danish_today())
        if moments not in [[_moment(one[name]) for name in ("starttidspunkt", "sluttidspunkt")] for one in all_times]:
            raise Breach("the offer has no such time")
        is_snatched = moments[0].astimezone(_DENMARK).hour == SNATCHED
        if is_snatched or meeting.place in {one.place for one in self.meetings.values()}:
            return 409
        self.meetings[meeting_id] = meeting
        return 200

    def book(self, citizen: Citizen, meeting_id: str) -> int:
        """Books what is reserved; the HTTP status of the answer."""
        meeting = self.meetings.get(meeting_id)
        if meeting is None or meeting.offer.citizen != citizen.cpr:
            return 404
        if not meeting.is_booked and meeting.offer.deadline and self.is_met(citizen, meeting.offer.deadline):
            # What cannot be booked is not kept from others.
            del self.meetings[meeting_id]
            return 409
        meeting.received += 1
        meeting.is_booked = True
        return 200


class Offers(DfdgRead):
    """The meetings that are offered to a citizen."""

    name = "kontaktforloeb"
    path = f"{BELOW}/Moedetilbud"
    required = "id"

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The offers."""
        return None if citizen.kontaktforloeb is None else tuple(one.told() for one in offers_of(citizen))

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list, in its envelope."""
        del cpr
        return {"MoedetilbudSamling": {"Moedetilbud": items}}

    def nothing(self) -> dict[str, Any]:
        """Without offers there is no element of them."""
        return {}

    def ordinary(self) -> dict[str, Any]:
        """An offer at the jobcentre."""
        return Offer("0000000000", ANOTHER_TYPE, AT_THE_JOBCENTRE, None, date(2020, 1, 1)).told()

    def strange(self) -> dict[str, Any]:
        """An offer of a type that no list has."""
        return self.ordinary() | {"SamtaleType": 99}


class Times(DfdgRead):
    """The free times of one offer."""

    name = "kontaktforloeb"
    path = f"{BELOW}/Moedetilbud"
    required = "starttidspunkt"

    def __init__(self, booking: SelfBooking, offer_id: str) -> None:
        self._booking = booking
        self._offer_id = offer_id

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The times of that offer, or of any that another citizen has."""
        if citizen.kontaktforloeb is None:
            return None
        offers = list(offers_of(citizen))
        offer = next((one for one in offers if one.id == self._offer_id), next(iter(offers), None))
        return () if offer is None else tuple(self._booking.free(offer))

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list."""
        del cpr
        return {"Tider": items}

    def ordinary(self) -> dict[str, Any]:
        """A time at nine."""
        return {**_time(date(2020, 1, 2), 9), "CaseWorkerIdentifier": "X"}

    def answer(self, asked: Asked) -> Reply:
        """The times; or the code of an offer that is not there, or another citizen's."""
        code = unknown_offer(asked.citizen, self._offer_id)
        return self._fejl(code, 400, {}) if code else super().answer(asked)


class Write(Offers):
    """Reserve, or book: an empty receipt, or a status without a body. Under a fault of its body it is not done."""

    def __init__(self, booking: SelfBooking, operation: str, meeting_id: str, wish: Mapping[str, Any] | None) -> None:
        self._booking = booking
        self._operation = operation
        self._meeting_id = meeting_id
        self._wish = wish

    def answer(self, asked: Asked) -> Reply:
        """Reserves or books."""
        citizen = BY_CPR.get(asked.citizen or "")
        if citizen is None or citizen.kontaktforloeb is None:
            return self._fejl("1010", 404, {})
        if self._operation == BOOK:
            status = self._booking.book(citizen, self._meeting_id)
            return self._fejl(NO_SUCH_OFFER, 404, {}) if status == 404 else Reply(b"", self.content_type, status)
        wish = self._wish or {}
        if code := unknown_offer(citizen.cpr, wish["MoedetilbudId"]):
            return self._fejl(code, 400, {})
        offer = next(one for one in offers_of(citizen) if one.id == wish["MoedetilbudId"])
        try:
            return Reply(b"", self.content_type, self._booking.reserve(self._meeting_id, offer, wish))
        except Breach:
            return self._fejl("4783", 400, {})


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """Which of the operations a call is, and the id in its path; None when it is none of them."""
    for name, (verb, pattern) in _PATHS.items():
        if method == verb and (found := pattern.fullmatch(path)):
            return name, next(iter(found.groups()), "")
    return None


def read_wish(request: web.Request, body: bytes) -> Mapping[str, Any]:
    """The time that is to be reserved. Raises Breach."""
    try:
        wish = json.loads(body)
    except ValueError:
        wish = None
    if request.content_type != "application/json" or not isinstance(wish, dict) or set(wish) != _WISH:
        raise Breach("the body is no reservation")
    try:
        start, end = (_moment(wish[name]) for name in ("starttidspunkt", "sluttidspunkt"))
    except (TypeError, ValueError):
        raise Breach("a moment that is none") from None
    if start.tzinfo is None or end <= start:
        raise Breach("no time with a zone")
    return wish


def offers_of(citizen: Citizen) -> Iterator[Offer]:
    """The offers to a citizen: two for each deadline that is active, and one of another type."""
    today = danish_today()
    active = [one for one in citizen.kontaktforloeb or () if one["_in"] == "frister" and one["FriststatusType"] == 1]
    for due in active:
        for form in HOURS:
            name = deadline_id(due, today)
            yield Offer(citizen.cpr, due["SamtaleType"], form, name, on(due["Fristdato"], today))
    if active:
        yield Offer(citizen.cpr, ANOTHER_TYPE, DIGITAL, None, today + timedelta(days=30))


def unknown_offer(cpr: str | None, offer_id: str) -> str | None:
    """The code of an offer that is not this citizen's; None when it is."""
    owners = [one.cpr for one in CITIZENS if offer_id in {offer.id for offer in offers_of(one)}]
    if cpr in owners:
        return None
    return ANOTHERS if owners else NO_SUCH_OFFER


_DENMARK = ZoneInfo("Europe/Copenhagen")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(today: date, last: date) -> list[date]:
    """The last five of the days from tomorrow to the deadline; that day itself when it is today."""
    days = [today + timedelta(days=n) for n in range(1, (last - today).days + 1)]
    return days[-5:] or ([today] if last == today else [])


def _time(day: date, hour: int) -> dict[str, str]:
    start = datetime.combine(day, time(hour), _DENMARK)
    return {"starttidspunkt": start.isoformat(), "sluttidspunkt": (start + timedelta(minutes=45)).isoformat()}
