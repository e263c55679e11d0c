"""The supplier of the meeting-booking system, which takes fault reports."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from simulators.dfdg import DEEP, encoded
from simulators.protocol import Asked, Breach, Protocol, Reply

TOKEN = "Bearer registerbro"  # noqa: S105 - worth nothing outside the simulators
LIMIT = 500
"""UTF-16 code units of a report's text."""


class BookingVendor(Protocol):
    """Keeps each report once, by its idempotency key, and counts how often it came."""

    name = "booking_vendor"
    method = "POST"
    path = "/v1/fejlmeldinger"
    is_about_citizens = False

    def __init__(self) -> None:
        self.reports: dict[str, dict[str, Any]] = {}

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The report, and its key."""
        if request.headers.get("Authorization") != TOKEN:
            raise Breach("wrong token", 401)
        key = request.headers.get("Idempotency-Key")
        if not key:
            raise Breach("Idempotency-Key is missing")
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
        """Forgets every report."""
        self.reports.clear()
