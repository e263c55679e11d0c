"""Error tree of upstreams: each class carries what its error means for the next call.

    UpstreamError
    ├── CallFailed                  a call was made
    │   ├── UpstreamUnavailable     5xx, or the upstream's own code for being out of service
    │   │   └── ConnectionLost      refused, reset, DNS, TLS
    │   ├── UpstreamTimeout         no answer in time
    │   ├── RateLimited             429
    │   ├── RequestIdUsed           412: the request id was seen before
    │   │   └── AlreadyReceived     by this fetch's own call, whose answer was lost
    │   ├── InvalidResponse         an answer that is not of the contract
    │   ├── TooLong                 longer than an answer may be
    │   ├── EventsNotYet            the citizen was subscribed a short time ago
    │   ├── TokenRefused            401 for a bearer token that can be replaced
    │   ├── NotAuthorised           an operator must act
    │   │   └── NotThisCitizen      the register keeps this citizen from us, and no other
    │   ├── BadRequest              our defect
    │   │   └── NotFound            404 that does not say that the person is unknown
    │   └── WrongPerson             an answer about another citizen (R7)
    └── NotCalled                   no call was made
        ├── CircuitOpen             the breaker is open
        ├── Quarantined             another person's answer came for this citizen before
        ├── QuarantineUnknown       the ledger cannot be read, so it may have
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

from registerbro.upstreams.header_fields import http_date


class Again(Enum):
    """Whether a call that failed this way may be made again, by itself and within the same fetch."""

    NEVER = "never"
    ONCE = "once"
    YES = "yes"


class UpstreamError(Exception):
    """A register's data could not be fetched. `retry_after` comes from the upstream's Retry-After header."""

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
    outcome_unknown: ClassVar[bool] = False
    """Whether the upstream may have carried the request out, or may still do so: a write keeps its request id then."""
    is_replaced: ClassVar[bool] = False
    """Whether another request is the whole remedy: the next call is no retry, and MAX_ATTEMPTS does not forbid it."""
    sent = False
    """Whether the request was on its way, so that the upstream may have acted on it. Client and pipeline set it."""
    status: int | None = None
    """The HTTP status of the answer, if one began. Client and pipeline set it."""


class UpstreamUnavailable(CallFailed):
    """500, 502, 503, 504, or the upstream's own code for being out of service."""

    reason = "unavailable"
    again = Again.YES
    counts = True
    outcome_unknown = True


class ConnectionLost(UpstreamUnavailable):
    """Refused, reset, DNS or TLS: the upstream may or may not have received the request."""


class UpstreamTimeout(CallFailed):
    """No answer within the attempt's or the fetch's time."""

    reason = "timeout"
    again = Again.YES
    counts = True
    outcome_unknown = True


class RateLimited(CallFailed):
    """429: called again once the upstream's Retry-After is over, if the deadline allows that."""

    reason = "rate_limited"
    again = Again.YES


class RequestIdUsed(CallFailed):
    """412: the upstream has seen this request id before; another one is the whole remedy, and it is not at fault."""

    reason = "request_id_used"
    again = Again.ONCE
    is_replaced = True


class AlreadyReceived(RequestIdUsed):
    """412 for a write whose id this fetch has sent before: that call was received, and must not be made with a new id.

    The caller knows whether "received" is "done". `lost` is how that call had ended here.
    """

    reason = "already_received"
    again = Again.NEVER
    is_replaced = False

    def __init__(self, message: str = "", *, lost: CallFailed, retry_after: timedelta | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.lost = lost


class InvalidResponse(CallFailed):
    """The body is not of the contract: type, encoding, syntax, or a required field."""

    reason = "invalid_response"
    again = Again.ONCE
    counts = True
    outcome_unknown = True


class TooLong(CallFailed):
    """The body is longer than MAX_BODY, or holds more than a body may (docs/decisions/0034-…).

    The same question has the same answer again, a smaller one a smaller answer.

    It says nothing of the upstream's health: citizens with long histories must not close a register for the others.
    """

    reason = "too_long"


class EventsNotYet(CallFailed):
    """The register has no events of a citizen, and may get them yet: the subscription is new, or is not known.

    It is not the register's fault, and no "no data" (R8); `retry_after` is when it makes sense to look again.
    """

    reason = "events_not_yet"


class TokenRefused(CallFailed):
    """401 for a bearer token that can be replaced: the call is made once more, with another."""

    reason = "token_refused"
    again = Again.ONCE
    is_replaced = True


class NotAuthorised(CallFailed):
    """401, 403, or a certificate that was refused."""

    reason = "not_authorised"
    alarm = True


class NotThisCitizen(NotAuthorised):
    """The register lets us ask, but not about this citizen: that is for the citizen's authority, and not for alarm."""

    reason = "not_this_citizen"
    alarm = False


class BadRequest(CallFailed):
    """400, 422 and every 4xx without a class of its own: our request was wrong."""

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
    """The breaker is open; `retry_after` is when it lets a call through, None when only an operator can close it."""

    reason = "circuit_open"


class Quarantined(NotCalled):
    """The citizen caused another person's answer at this upstream (R7), and no operator has let them since."""

    reason = "quarantined"
    of_all = False


class QuarantineUnknown(NotCalled):
    """The quarantine cannot be read, and a call about a citizen in it would cut the upstream off for all again."""

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
    """The audit log cannot be written, and a look-up that is not on record must not be made."""

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

    Never negative, and at most a day: a register that asks for more is taken to have made a mistake.
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
