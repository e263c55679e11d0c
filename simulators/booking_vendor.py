"""The supplier of the meeting-booking system, which takes fault reports, and has times that can be booked."""

import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from simulators.citizens import CITIZENS, InDays, danish_today
from simulators.dfdg import DEEP, encoded
from simulators.protocol import Asked, Breach, Protocol, Reply

TOKEN = "Bearer registerbro"  # noqa: S105 - worth nothing outside the simulators
LIMIT = 500
"""UTF-16 code units of a report's text."""
TIMES, BOOKINGS = "/v1/tider", "/v1/bookinger"
HOURS = (9, 10, 13)
SNATCHED = 10
"""The hour that is free whenever somebody looks, and taken whenever somebody books: others are at it too."""
PLACES = ("Jobcenter Ærø, Vestergade 1", "Videomøde")


class BookingVendor(Protocol):
    """Keeps each report and each booking once, by its idempotency key, and counts how often it came.

    A time is one of HOURS on one of the five days before a deadline. `meetings` are the booked ones by deadline.
    """

    name = "booking_vendor"
    method = "POST"
    path = "/v1/fejlmeldinger"
    also = frozenset({("GET", TIMES), ("POST", BOOKINGS)})
    is_about_citizens = False

    def __init__(self) -> None:
        self.reports: dict[str, dict[str, Any]] = {}
        self.bookings: dict[str, dict[str, Any]] = {}
        self.meetings: dict[str, dict[str, Any]] = {}

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The report, and its key; or what is to be booked, or the deadline before which times are looked for."""
        if request.headers.get("Authorization") != TOKEN:
            raise Breach("wrong token", 401)
        if request.path == TIMES:
            _reference(request)
            return Asked(None, ("times", request.headers.get("x-bookingfrist", "")))
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise Breach("Idempotency-Key is missing")
        if request.path == BOOKINGS:
            return Asked(None, ("book", key, _wish(request, body)))
        try:
            report = json.loads(body)
            text, created = report["beskrivelse"], report["oprettet"]
            if datetime.fromisoformat(created).tzinfo is None:
                raise ValueError("a time without a zone")
            units = len(text.encode("utf-16-le", "surrogatepass")) // 2
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Breach("the body is no report") from None
        if report.get("fejlmeldingsId") != key:
            raise Breach("fejlmeldingsId is not the Idempotency-Key")
        if units > LIMIT:
            raise Breach("beskrivelse is too long")
        return Asked(None, report)

    def answer(self, asked: Asked) -> Reply:
        """201 with a case number; 200 with the same one when the report is already here."""
        match asked.question:
            case ("times", str(deadline)):
                return self._times(deadline)
            case ("book", str(key), dict(wish)):
                return self._book(key, wish)
        report = asked.question
        if not isinstance(report, dict):
            raise TypeError("not a report")
        key = report["fejlmeldingsId"]
        if key in self.reports:
            self.reports[key]["received"] += 1
            return Reply(encoded({"sagsnummer": self.reports[key]["sagsnummer"]}), self.content_type, 200)
        number = f"FM-{report['oprettet'][:4]}-{len(self.reports) + 1:06}"
        self.reports[key] = {"sagsnummer": number, "received": 1, "report": report}
        return Reply(encoded({"sagsnummer": number}), self.content_type, 201)

    def refusal(self, status: int, text: str) -> Reply:
        """The vendor's form of errors."""
        return Reply(encoded({"fejl": text}), self.content_type, status)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break the contract, each in one way."""
        del asked
        return {
            "missing_field": b"{}",
            "invalid_body": b'{"sagsnummer": ',
            "invalid_encoding": b'{"sagsnummer": "\xff\xfe"}',
            "bomb": b'{"sagsnummer": ' + DEEP + b"}",
        }

    def forget(self) -> None:
        """Forgets every report and every booking."""
        for kept in (self.reports, self.bookings, self.meetings):
            kept.clear()

    def _times(self, deadline: str) -> Reply:
        free = _free(deadline)
        if free is None:
            return self.refusal(404, "UKENDT")
        taken = {booking["booking"]["tid"] for booking in self.bookings.values()}
        return Reply(encoded({"tider": [one for one in free if one["id"] not in taken]}), self.content_type)

    def _book(self, key: str, wish: dict[str, str]) -> Reply:
        """201 with the meeting; 200 with the same one when the key comes again, and a refusal when it cannot be."""
        if (known := self.bookings.get(key)) is not None:
            if known["wish"] != wish:
                return self.refusal(422, "NOEGLE_GENBRUGT")
            known["received"] += 1
            return Reply(encoded(known["booking"]), self.content_type, 200)
        slot = next((one for one in _free(wish["frist"]) or () if one["id"] == wish["tid"]), None)
        if slot is None:
            return self.refusal(404, "UKENDT")
        if wish["frist"] in self.meetings:
            return self.refusal(409, "ALLEREDE_BOOKET")
        taken = {booking["booking"]["tid"] for booking in self.bookings.values()}
        if slot["id"] in taken or datetime.fromisoformat(slot["start"]).hour == SNATCHED:
            return self.refusal(409, "OPTAGET")
        booking = {**slot, "id": f"booking-{len(self.bookings) + 1}", "tid": slot["id"]}
        self.bookings[key] = {"booking": booking, "received": 1, "wish": wish}
        self.meetings[wish["frist"]] = booking
        return Reply(encoded(booking), self.content_type, 201)


def _reference(request: web.Request) -> str:
    reference = request.headers.get("x-borgerReference", "")
    if not reference:
        raise Breach("x-borgerReference is missing")
    return reference


def _wish(request: web.Request, body: bytes) -> dict[str, str]:
    try:
        wish = json.loads(body)
    except ValueError:
        wish = None
    if not isinstance(wish, dict) or set(wish) != {"reference", "frist", "tid"}:
        raise Breach("the body is no booking")
    if wish["reference"] != _reference(request):
        raise Breach("reference is not x-borgerReference")
    return wish


def _free(deadline: str) -> list[dict[str, str]] | None:
    """The times before a deadline, were nobody to book any; None when no citizen has such a deadline."""
    for citizen in CITIZENS:
        for item in citizen.dfdg or ():
            if item["_in"] == "bookingfrister" and item["id"] == deadline:
                today, last = danish_today(), item["frist"]
                last = last.on(today) if isinstance(last, InDays) else date.fromisoformat(last)
                return [_time(day, hour) for day in _days(today, last) for hour in HOURS]
    return None


def _days(today: date, last: date) -> list[date]:
    """The last five of the days from tomorrow to the deadline; that day itself when it is today."""
    days = [today + timedelta(days=n) for n in range(1, (last - today).days + 1)]
    return days[-5:] or ([today] if last == today else [])


def _time(day: date, hour: int) -> dict[str, str]:
    start = datetime.combine(day, time(hour), ZoneInfo("Europe/Copenhagen"))
    return {
        "id": f"tid-{day:%Y-%m-%d}-{hour:02}",
        "start": start.isoformat(),
        "slut": (start + timedelta(minutes=45)).isoformat(),
        "sted": PLACES[hour % 2],
    }
