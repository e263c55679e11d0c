"""What can go wrong with an upstream, and for each what it means for the next call.

    UpstreamError
    ├── CallFailed                  a call was made
    │   ├── UpstreamUnavailable     5xx, or the upstream's own code for being out of service
    │   │   └── ConnectionLost      refused, reset, DNS, TLS
    │   ├── UpstreamTimeout         no answer in time
    │   ├── RateLimited             429
    │   ├── RequestIdUsed           412: the request id was seen before
    │   ├── InvalidResponse         an answer that is not of the contract
    │   ├── TooLong                 longer than an answer may be
    │   ├── NotAuthorised           an operator must act
    │   │   └── NotThisCitizen      the register keeps this citizen from us, and no other
    │   ├── BadRequest              our defect
    │   │   └── NotFound            404 that does not say that the person is unknown
    │   └── WrongPerson             an answer about another citizen (R7)
    └── NotCalled                   no call was made
        ├── CircuitOpen             the breaker is open
        ├── Quarantined             another person's answer came for this citizen before
        ├── QuarantineUnknown       nobody can say whether it did
        ├── RetryBudgetSpent        too many of the last calls were retries
        ├── ServiceWindow           closed as planned
        ├── DeadlinePassed          the fetch has no time left
        └── NotAudited              it could not be put on record

The class attributes are the table of answers that all upstreams share, so that the pipeline reads them as data.
No message holds personal data: not the question, not the answer, not a URL.
"""

from datetime import datetime, timedelta
from enum import Enum
from typing import ClassVar

from workers.resilience.fields import http_date


class Again(Enum):
    """Whether a call that failed this way may be made again, by itself and within the same fetch."""

    NEVER = "never"
    ONCE = "once"
    YES = "yes"


class UpstreamError(Exception):
    """A register's data could not be fetched. `retry_after` is the upstream's own word for how long to wait."""

    reason: ClassVar[str]
    """A short constant for metrics, logs and the cache."""

    def __init__(self, message: str = "", *, retry_after: timedelta | None = None) -> None:
        super().__init__(message or self.reason)
        self.retry_after = retry_after


class CallFailed(UpstreamError):
    """A call was made, and did not give an answer that can be used."""

    again: ClassVar[Again] = Again.NEVER
    counts: ClassVar[bool] = False
    """Whether the breaker counts it as a failure of the upstream."""
    alarm: ClassVar[bool] = False
    """Whether an operator must act before it can get better."""
    same_request: ClassVar[bool] = False
    """Whether calling again repeats the same request id: the upstream may not have seen, or may still work on, it."""


class UpstreamUnavailable(CallFailed):
    """500, 502, 503, 504, or the upstream's own code for being out of service."""

    reason = "unavailable"
    again = Again.YES
    counts = True


class ConnectionLost(UpstreamUnavailable):
    """Refused, reset, DNS or TLS: nothing is known of what became of the request."""

    same_request = True


class UpstreamTimeout(CallFailed):
    """No answer within the attempt's or the fetch's time."""

    reason = "timeout"
    again = Again.YES
    counts = True
    same_request = True


class RateLimited(CallFailed):
    """429: called again once the upstream's Retry-After is over, if the deadline allows that."""

    reason = "rate_limited"
    again = Again.YES


class RequestIdUsed(CallFailed):
    """412: the upstream has seen this request id before; another one is the whole remedy, and it is not at fault."""

    reason = "request_id_used"
    again = Again.ONCE


class InvalidResponse(CallFailed):
    """The body is not of the contract: type, encoding, syntax, or a required field."""

    reason = "invalid_response"
    again = Again.ONCE
    counts = True


class TooLong(CallFailed):
    """The body is longer than MAX_BODY, or holds more than a body may (docs/decisions/0034-…).

    The same question has the same answer again, a smaller one a smaller answer.

    It says nothing of the upstream's health: citizens with long histories must not close a register for the others.
    """

    reason = "too_long"


class NotAuthorised(CallFailed):
    """401, 403, or a certificate that was refused."""

    reason = "not_authorised"
    alarm = True


class NotThisCitizen(NotAuthorised):
    """The register lets us ask, but not about this citizen: that is for the citizen's authority, and not for alarm."""

    reason = "not_this_citizen"
    alarm = False


class BadRequest(CallFailed):
    """400, 422 and every other 4xx that is none of the others: we asked wrongly."""

    reason = "bad_request"
    alarm = True


class NotFound(BadRequest):
    """404 that does not say that the person is unknown."""

    reason = "not_found"
    alarm = False


class WrongPerson(CallFailed):
    """The answer holds another person's CPR number (R7): discarded whole, and the upstream is cut off."""

    reason = "wrong_person"
    counts = True
    alarm = True


class NotCalled(UpstreamError):
    """The upstream was spared: no call was made."""

    of_all: ClassVar[bool] = True
    """Whether a call about another citizen would not be made now either."""


class CircuitOpen(NotCalled):
    """The breaker is open; `retry_after` is when it lets a call through, None when only a person can close it."""

    reason = "circuit_open"


class Quarantined(NotCalled):
    """The citizen caused another person's answer at this upstream (R7), and no operator has let them since."""

    reason = "quarantined"
    of_all = False


class QuarantineUnknown(NotCalled):
    """The ledger does not say who is in quarantine, and one of them would cut the upstream off for everybody again."""

    reason = "quarantine_unknown"


class RetryBudgetSpent(NotCalled):
    """Too many of the last calls were retries already: the first error stands."""

    reason = "retry_budget"


class ServiceWindow(NotCalled):
    """The upstream is closed as planned; `retry_after` is when it opens."""

    reason = "service_window"


class DeadlinePassed(NotCalled):
    """The fetch's time was used up before this call."""

    reason = "deadline"


class NotAudited(NotCalled):
    """The audit log cannot be written, and what is not on record must not be done."""

    reason = "not_audited"


_BY_STATUS: dict[int, type[CallFailed]] = {
    401: NotAuthorised,
    403: NotAuthorised,
    404: NotFound,
    412: RequestIdUsed,
    429: RateLimited,
}


def from_status(status: int, retry_after: timedelta | None = None) -> CallFailed | None:
    """The error that an HTTP status means by itself, for every upstream; None for 200.

    A redirect is not followed, so a 3xx is an answer that the contract does not have.
    """
    if status == 200:
        return None
    if status in _BY_STATUS:
        kind = _BY_STATUS[status]
    elif 400 <= status < 500:
        kind = BadRequest
    elif status >= 500:
        kind = UpstreamUnavailable
    else:
        kind = InvalidResponse
    return kind(f"HTTP {status}", retry_after=retry_after)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` as a duration from `now`: seconds or an HTTP date (RFC 9110, 10.2.3); None when absent or neither.

    Never negative, and at most a day: a register that asks for more has made a mistake that we should not share.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), 86_400))
    else:
        then = http_date(text, now)
        if then is None:
            return None
        wait = then - now
    return min(max(wait, timedelta(0)), timedelta(days=1))
