"""Sends one report to the vendor, and reads what its answer means."""

from datetime import datetime

from pydantic import SecretStr

from workers.booking_vendor import wire
from workers.booking_vendor.outbox import Content
from workers.resilience.client import Answer, Question
from workers.resilience.errors import InvalidResponse
from workers.resilience.upstream import Exchange, Upstream

RECEIVED = frozenset({200, 201, 409})
"""Taken now (201), or had already (200, 409). Without a case number, none of them says which."""


class Delivery:
    """One report on its way to the vendor; `answer` is what the vendor last said, whatever that means."""

    def __init__(self, report_id: str, accepted_at: datetime, content: Content, token: SecretStr) -> None:
        self._report_id = report_id
        self._body = wire.fejlmelding(report_id, accepted_at, content)
        self._token = token
        self.answer: bytes | None = None

    async def send(self, upstream: Upstream) -> str:
        """The vendor's case number. Raises UpstreamError.

        NotAuthorised: nothing can be sent. BadRequest: the vendor will never take this report. Any other: it may or may
        not have it, and the same report, with the same key, is to be sent again.
        """
        return await upstream.ask(Exchange(self._question, self._read))

    def _question(self, _: str) -> Question:
        headers = {
            "Authorization": f"Bearer {self._token.get_secret_value()}",
            "Idempotency-Key": self._report_id,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        return Question("POST", wire.PATH, headers=headers, body=self._body)

    def _read(self, answer: Answer) -> str:
        self.answer = answer.body
        if answer.status in RECEIVED:
            return answer.model(wire.Kvittering).sagsnummer
        raise answer.refusal() or InvalidResponse(f"HTTP {answer.status}")
