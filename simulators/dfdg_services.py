"""DFDG's four services: each a register of its own, which is asked two questions about a person.

An answer names no person, but under the faults that are about another one. A fault is for the first of the questions
unless it names the other as its operation; Kontaktforloeb has further operations, by which meetings are booked.
"""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from simulators import booking
from simulators.booking import SelfBooking
from simulators.contact_groups import OpenGroups
from simulators.dfdg import DfdgRead, DfdgService
from simulators.dfdg_data import (
    BOOKED,
    BUTIKSASSISTENT,
    FERIE,
    JOBSAMTALE,
    At,
    absence,
    activity,
    contact_group,
    deadline,
    deadline_id,
    former_title,
    job_log,
    job_title,
    meeting,
    task,
    told,
)
from simulators.protocol import Asked, Breach, Protocol
from simulators.register_data import Citizen, InDays, danish_today


class ContactGroups(DfdgRead):
    """The contact groups that are open now, among what else is told of a person's status."""

    name = "visitering"
    path = "/v2/VisiteringOgStatusStatus"
    kept = "kontaktgrupper"
    required = "KontaktgruppeType"

    def __init__(self, groups: OpenGroups) -> None:
        self._groups = groups

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The open ones."""
        return None if citizen.visitering is None else self._groups.of(citizen, danish_today())

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The four lists of a person's status."""
        del cpr
        return {"helbredsbegraensninger": [], "aktivitetstillaeg": [], "kontaktgrupper": items, "personkategorier": []}

    def ordinary(self) -> dict[str, Any]:
        """Contact group 12."""
        return dict(told(contact_group(12, "2020-01-01"), danish_today()))

    def strange(self) -> dict[str, Any]:
        """A contact group that no list has."""
        return self.ordinary() | {"KontaktgruppeType": 999}


class Absences(DfdgRead):
    """All absence."""

    name = "visitering"
    path = "/v1/Fravaer/"
    kept = "fravaer"
    required = "startDato"

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list."""
        del cpr
        return {"fravaer": items}

    def ordinary(self) -> dict[str, Any]:
        """Holidays."""
        return dict(told(absence("x", FERIE, "2020-01-01", "2020-01-10"), danish_today()))

    def strange(self) -> dict[str, Any]:
        """An absence of a type that no list has."""
        return self.ordinary() | {"fravaerType": 99}


class Visitering(DfdgService):
    """VisiteringOgStatus: contact groups, and absence. `groups` are those that a test may change."""

    name = "visitering"
    second_operation = "absences"

    def __init__(self) -> None:
        self.groups = OpenGroups()
        super().__init__(ContactGroups(self.groups), Absences())

    def forget(self) -> None:
        """Each citizen has their own contact groups again."""
        self.groups.forget()


class Summons(DfdgRead):
    """The meetings that a citizen is called to, those that were just booked among them."""

    name = "kontaktforloeb"
    path = "/v2/Indkaldelse"
    kept = "indkaldelser"
    required = "starttidspunkt"

    def __init__(self, booking: SelfBooking) -> None:
        self._booking = booking

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The meetings, with the booked ones last."""
        called = super().held(citizen)
        return None if called is None else (*called, *(one.summons() for one in self._booking.booked(citizen)))

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list."""
        del cpr
        return {"indkaldelser": items}

    def ordinary(self) -> dict[str, Any]:
        """A meeting of half an hour."""
        return dict(told(meeting("x", JOBSAMTALE, At("2020-01-01", "09:00:00"), minutes=30), danish_today()))

    def strange(self) -> dict[str, Any]:
        """A meeting of a type that no list has."""
        return self.ordinary() | {"SamtaleType": 99}


class Deadlines(DfdgRead):
    """Status of a citizen's own booking: whether they may book, and their deadlines, which have no ids."""

    name = "kontaktforloeb"
    path = "/v1/Borgerstatus"
    kept = "frister"
    required = "Fristdato"

    def __init__(self, booking: SelfBooking) -> None:
        self._booking = booking

    def held(self, citizen: Citizen) -> tuple[Mapping[str, Any], ...] | None:
        """The deadlines; one that is met by a meeting is booked."""
        items = super().held(citizen)
        return None if items is None else tuple(self._met(citizen, item) for item in items)

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The deadlines between the two questions whether one may book, and must."""
        del cpr
        return {"KanSelvbooke": True, "Frister": {"Frist": items}, "StraksbookingPaakraevet": False}

    def nothing(self) -> dict[str, Any]:
        """Without deadlines there is no element of them."""
        return {"KanSelvbooke": False, "StraksbookingPaakraevet": False}

    def ordinary(self) -> dict[str, Any]:
        """An active deadline."""
        return dict(told(deadline(JOBSAMTALE, InDays(7)), danish_today()))

    def strange(self) -> dict[str, Any]:
        """A deadline with a status that no list has."""
        return self.ordinary() | {"FriststatusType": 99}

    def _met(self, citizen: Citizen, item: Mapping[str, Any]) -> Mapping[str, Any]:
        is_met = self._booking.is_met(citizen, deadline_id(item, danish_today()))
        return {**item, "FriststatusType": BOOKED} if is_met else item


class Kontaktforloeb(DfdgService):
    """Kontaktforloeb: meetings, booking deadlines, and the booking of meetings (`simulators/booking.py`)."""

    name = "kontaktforloeb"
    second_operation = "deadlines"

    def __init__(self) -> None:
        self._booking = SelfBooking()
        self._seen: set[str] = set()
        super().__init__(Summons(self._booking), Deadlines(self._booking))
        self.operations |= booking.OPERATIONS

    def bookings(self) -> list[dict[str, Any]]:
        """The booked meetings, in their order, and how often each was asked for."""
        return [
            {"id": one.id, "citizen": one.offer.citizen, "wish": one.wish, "received": one.received}
            for one in self._booking.meetings.values()
            if one.is_booked
        ]

    def has(self, method: str, path: str) -> bool:
        """Whether there is anything at an address; some have an id in them."""
        return super().has(method, path) or booking.operation_of(method, path) is not None

    def writes(self, request: web.Request) -> bool:
        """Whether it reserves or books."""
        return request.method == "POST"

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person, and what is done. Raises Breach, with 412 for a request id of a write that was seen."""
        asked = super().understand(request, body)
        found = booking.operation_of(request.method, request.path)
        if found is None:
            return asked
        operation, named = found
        if self.writes(request):
            request_id = request.headers["x-requestId"]
            if request_id in self._seen:
                raise Breach("x-requestId was used before", 412)
            self._seen.add(request_id)
        if operation == booking.BOOK and body:
            raise Breach("a booking has no body")
        wish = booking.read_wish(request, body) if operation == booking.RESERVE else None
        return Asked(asked.citizen, (named, wish), operation)

    def asked_of(self, asked: Asked) -> DfdgRead:
        """The one of the questions, or writes, that a call is."""
        match asked.operation, asked.question:
            case booking.OFFERS, _:
                return booking.Offers()
            case booking.TIMES, (str(offer_id), _):
                return booking.Times(self._booking, offer_id)
            case (booking.RESERVE | booking.BOOK) as operation, (str(meeting_id), dict() | None as wish):
                return booking.Write(self._booking, operation, meeting_id, wish)
        return super().asked_of(asked)

    def forget(self) -> None:
        """Forgets what was reserved and booked, and which request ids were seen."""
        self._booking.meetings.clear()
        self._seen.clear()


class Titles(DfdgRead):
    """The job titles that a citizen looks for now."""

    name = "jobsearch"
    path = "/v2/Joboenske"
    kept = "joboensker"
    required = "conceptUriDa"

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list."""
        del cpr
        return {"joboensker": items}

    def ordinary(self) -> dict[str, Any]:
        """A title."""
        return dict(told(job_title(BUTIKSASSISTENT, "2020-01-01"), danish_today()))


class FormerTitles(Titles):
    """The job titles that a citizen ever looked for, the current ones among them."""

    path = "/v2/Joboenske/historik"
    kept = "historik"

    def ordinary(self) -> dict[str, Any]:
        """A title that is no longer looked for."""
        return dict(told(former_title(BUTIKSASSISTENT, "2020-01-01", "2020-06-30"), danish_today()))


class Jobsearch(DfdgService):
    """JobSearch: job titles, and their history."""

    name = "jobsearch"
    second_operation = "history"

    def __init__(self) -> None:
        super().__init__(Titles(), FormerTitles())


class Activities(DfdgRead):
    """A citizen's activities."""

    name = "borgerindsats"
    path = "/v1/Aktivitet"
    kept = "aktiviteter"
    required = "startdato"

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The list, in its two envelopes."""
        del cpr
        return {"aktiviteter": {"AktivitetOpsummering": {"aktivitet": items}}}

    def nothing(self) -> dict[str, Any]:
        """Without activities there is no element of them."""
        return {}

    def ordinary(self) -> dict[str, Any]:
        """An activity of a month."""
        return dict(told(activity("x", "Praktik", "2020-01-01", "2020-01-31"), danish_today()))


class JobLog(DfdgRead):
    """A citizen's joblog, whose entries have tasks."""

    name = "borgerindsats"
    path = "/v1/Joblog"
    kept = "joblog"
    required = "joblogOpgaver"

    def body(self, cpr: str, items: list[dict[str, Any]]) -> dict[str, Any]:
        """The entries."""
        del cpr
        return {"jobsoegningslogning": items}

    def ordinary(self) -> dict[str, Any]:
        """An entry with a task."""
        return dict(told(job_log("x", task("x", "Søgt job", "2020-01-01", done=True)), danish_today()))


class Borgerindsats(DfdgService):
    """Borgerindsats: activities, and the joblog."""

    name = "borgerindsats"
    second_operation = "joblog"

    def __init__(self) -> None:
        super().__init__(Activities(), JobLog())


def services() -> tuple[Protocol, ...]:
    """The four of them."""
    return Visitering(), Kontaktforloeb(), Jobsearch(), Borgerindsats()
