"""The supplier of the meeting-booking system, which takes fault reports; meetings are booked at Kontaktforloeb."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from simulators.citizens import CITIZENS
from simulators.dfdg import DEEP, encoded
from simulators.faults import Fault
from simulators.protocol import Asked, Breach, Protocol, Reply, cpr_number

TOKEN = "Bearer registerbro"  # noqa: S105 - worth nothing outside the simulators
LIMIT = 500
"""UTF-16 code units of a report's text."""
FIELDS = frozenset({"MoedetilbudId", "IndkaldelseId", "Fejlkode", "Fejltekst", "FejlOphav", "FejlTidspunkt"})
CODES = frozenset(range(1, 10))
"""The error codes that it knows; the real list is not public."""
ORIGINS = frozenset({30, 32})
"""DFDG and Jobnet."""
OFFERS = frozenset({"4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f"})
MEETINGS = frozenset({"d2719a0e-0c5b-4f5e-8d1a-3f6f2b7c9e01"})
"""The offers and meetings that a report may be about."""


class BookingVendor(Protocol):
    """Takes note of each report as often as it comes, since the published service knows no idempotency key.

    With `knows_keys` it keeps each report once, by its key, counts how often it came, and gives a case number.
    """

    name = "booking_vendor"
    method = "POST"
    path = "/v1/BorgerBooking/Fejlmelding"
    is_about_citizens = False

    def __init__(self) -> None:
        self.knows_keys = False
        self.reports: list[dict[str, Any]] = []

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The report, and its key."""
        if request.headers.get("Authorization") != TOKEN:
            raise Breach("wrong token", 401)
        key = request.headers.get("Idempotency-Key")
        if not key and self.knows_keys:
            raise Breach("Idempotency-Key is missing")
        return Asked(_author(request), (key, _report(body)))

    def answer(self, asked: Asked) -> Reply:
        """200 without a body for a report.

        With `knows_keys` 201 with a case number, and 200 with the same one when the report is already here.
        """
        match asked.question:
            case (str() | None as key, dict(report)):
                return self._take(key, report)
        raise TypeError("not a question")

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """A body that breaks the contract comes with 200, for which the report was taken."""
        if fault.kind != "not_found":
            self.answer(asked)
        return super().broken(fault, asked)

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
        """Forgets every report, and that it was told to know keys."""
        self.knows_keys = False
        self.reports.clear()

    def _take(self, key: str | None, report: dict[str, Any]) -> Reply:
        known = next((one for one in self.reports if one["key"] == key), None) if self.knows_keys else None
        if known is not None:
            known["received"] += 1
            return Reply(encoded({"sagsnummer": known["sagsnummer"]}), self.content_type, 200)
        number = f"FM-{report['FejlTidspunkt'][:4]}-{len(self.reports) + 1:06}" if self.knows_keys else None
        self.reports.append({"key": key, "sagsnummer": number, "received": 1, "report": report})
        return (
            Reply(encoded({"sagsnummer": number}), self.content_type, 201) if number else Reply(b"", self.content_type)
        )


def _author(request: web.Request) -> str | None:
    """The citizen that a report names, if it does. Raises Breach when there is none with that number."""
    number = request.headers.get("CivilRegistrationIdentifier")
    if number is not None and cpr_number(number, "CivilRegistrationIdentifier") not in {one.cpr for one in CITIZENS}:
        raise Breach("unknown citizen")
    return number


def _report(body: bytes) -> dict[str, Any]:
    """A report of the contract. Raises Breach."""
    try:
        report = json.loads(body)
    except ValueError:
        report = None
    if not isinstance(report, dict) or set(report) - FIELDS:
        raise Breach("the body is no report")
    if type(report.get("Fejlkode")) is not int or report["Fejlkode"] not in CODES:
        raise Breach("unknown Fejlkode")
    if report.get("FejlOphav") not in ORIGINS:
        raise Breach("illegal FejlOphav")
    if not _is_moment(report.get("FejlTidspunkt")):
        raise Breach("FejlTidspunkt is missing, or no time with a zone")
    text = report.get("Fejltekst", "")
    if not isinstance(text, str) or len(text.encode("utf-16-le", "surrogatepass")) // 2 > LIMIT:
        raise Breach("Fejltekst is too long")
    for name, known in (("MoedetilbudId", OFFERS), ("IndkaldelseId", MEETINGS)):
        if name in report and report[name] not in known:
            raise Breach(f"unknown {name}")
    return report


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
