"""Delivery of one fault report to the vendor: the request, and the meaning of its answer."""

from datetime import timedelta

from config.settings import BookingVendorSettings
from domain.cpr import Cpr
from registerbro.fault_reports.model import Content, Sending
from registerbro.upstreams.errors import (
    CallFailed,
    InvalidResponse,
    TokenRefused,
    TooLong,
    UpstreamUnavailable,
    from_status,
)
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from workers.booking_vendor import wire
from workers.booking_vendor.wire import Taken

CONFLICT, REQUEST_TIMEOUT = 409, 408


class Delivery:
    """Delivery of one report. `answer` is the vendor's last answer, whatever its status; `began` whether it was called.

    `cpr` is the author, if the vendor is told who that is.
    """

    def __init__(self, sending: Sending, content: Content, settings: BookingVendorSettings, cpr: Cpr | None) -> None:
        self._report_id = sending.id
        self._body = wire.fejlmelding(sending.accepted_at, content, settings.fault_codes)
        self.is_idempotent = settings.idempotent
        self._cpr = cpr
        self.answer: bytes | None = None
        self.began = False

    async def send(self, upstream: Upstream) -> str | None:
        """Sends the report; returns the vendor's case number, if it gave one.

        Raises UpstreamError. NotAuthorised: no report can be sent. BadRequest: the vendor will never take this report.
        Any other: it must be sent again, and `is_unknown` says whether the vendor may have it already.
        """
        try:
            return await upstream.ask(Exchange(lambda _: self._question(upstream.path), self._read, is_write=True))
        except CallFailed as error:
            if error.status is None or self.answer is not None or isinstance(error, TokenRefused):
                raise
            # The status says what became of the report, though the body did not come whole.
            if wire.taken(error.status) is Taken.YES:
                return None
            refusal = self._refusal(error.status, error.retry_after)
            refusal.sent, refusal.status = True, error.status
            raise refusal from None

    def is_unknown(self, error: CallFailed) -> bool:
        """Whether the vendor may have the report in spite of this error, and would not know it again."""
        if self.is_idempotent:
            return False
        return error.sent if error.status is None else wire.taken(error.status) is not Taken.NO

    def _question(self, path: str) -> Question:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        if self.is_idempotent:
            headers["Idempotency-Key"] = self._report_id
        else:
            # On a kept connection, which the vendor may close at any moment, a request can be lost without a trace.
            headers["Connection"] = "close"
        if self._cpr is not None:
            headers[wire.CPR_HEADER] = self._cpr.digits
        self.began, self.answer = True, None
        return Question("POST", path, headers=headers, body=self._body)

    def _read(self, answer: Answer) -> str | None:
        self.answer = answer.body
        if wire.taken(answer.status) is Taken.YES:
            if answer.body.strip() and answer.content_type == wire.PAGE:
                raise InvalidResponse(f"HTTP {answer.status} with a page for people")
            return _case(answer)
        if self.is_idempotent and answer.status == CONFLICT and (case := _case(answer)):
            return case
        raise self._refusal(answer.status, answer.retry_after)

    def _refusal(self, status: int, retry_after: timedelta | None) -> CallFailed:
        """The error that a status means which is no 2xx."""
        if status == REQUEST_TIMEOUT:
            # The vendor did not get the whole report in time, which is no fault of the report.
            return UpstreamUnavailable(f"HTTP {status}", retry_after=retry_after)
        if self.is_idempotent and status == CONFLICT:
            return InvalidResponse(f"HTTP {status} without a case number", retry_after=retry_after)
        return from_status(status, retry_after) or InvalidResponse(f"HTTP {status}")


def _case(answer: Answer) -> str | None:
    """The case number in an answer. Nothing depends on it, so that whatever else the body is does no harm."""
    try:
        return answer.model(wire.Kvittering).sagsnummer
    except (InvalidResponse, TooLong):
        return None
