"""Data model of the admission controller: limits, states, overrides, outcomes, decisions and rejections."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

BUCKETS = 10
"""The parts into which the sliding window is cut: it moves by a tenth of its length."""
CHANNEL = "events:admission"
"""The Redis channel on which each change of state is published."""


class State(StrEnum):
    """State of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Override(StrEnum):
    """Decision of an operator that goes before the breaker's, until it is lifted."""

    FORCED_OPEN = "forced_open"
    """No call is admitted."""
    DISABLED = "disabled"
    """The breaker admits every call and counts none; the limits hold."""
    METRICS_ONLY = "metrics_only"
    """The breaker admits every call and counts it; the limits hold."""


class Outcome(StrEnum):
    """Outcome of a call, as far as admission is concerned."""

    OK = "ok"
    SLOW = "slow"
    """An answer that took `Limits.slow_call` or longer. `AdmissionController.record` makes it of `OK` by itself."""
    FAILURE = "failure"
    THROTTLED = "throttled"
    """The upstream asked for fewer calls (HTTP 429): halves both limits, and counts as no failure."""
    FORCE_OPEN = "force_open"
    """An answer after which no process may call, until an operator has looked: sets `Override.FORCED_OPEN`."""
    IGNORED = "ignored"
    """Says nothing about the upstream's health: the permit is released, and nothing is counted."""


class RejectionKind(StrEnum):
    """Reason for which a call was not admitted."""

    OPEN = "open"
    """The breaker is open."""
    HALF_OPEN = "half_open"
    """The breaker is half-open, and all its probes are under way."""
    FORCED_OPEN = "forced_open"
    """An operator's override, or an outcome `FORCE_OPEN`, keeps every caller away."""
    RETRY_BUDGET = "retry_budget"
    """Too large a share of the last calls were retries."""
    WAIT_LIMIT = "wait_limit"
    """Neither limit admitted the call within the caller's `wait_limit`."""


class Rejected(Exception):
    """The call was not admitted, and must not be made.

    Attributes:
        kind: the reason.
        retry_after: the time until the breaker may admit a call; None when it is not known, or an operator decides.
    """

    def __init__(self, kind: RejectionKind, retry_after: timedelta | None = None) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class OverrideOrder:
    """Order to override a breaker.

    Attributes:
        override: the override that is ordered.
        by: the operator, or the program, that ordered it.
        at: the time of the order, in ms since 1970.
        reason: the reason that was given.
        user: the system's account under which the operator acted; empty when it is not known.
    """

    override: Override
    by: str
    at: int
    reason: str
    user: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Configuration of one upstream. All processes of a fleet should use the same.

    Attributes:
        window: the time for which the breaker counts calls.
        minimum_calls: the calls in the window below which neither rate opens the breaker.
        failure_rate: the share of failures in the window, above 0 and up to 1, at which the breaker opens.
        slow_call: the duration from which an answer counts as slow.
        slow_call_rate: the share of slow answers in the window, above 0 and up to 1, at which the breaker opens.
        consecutive_failures: the failures in a row at which the breaker opens, however few calls there are.
        open_for: the time for which it stays open; doubles with each opening in a row.
        open_at_most: the longest time for which it stays open.
        probes: the calls that a half-open breaker admits, and the answers that close it.
        max_in_flight: the concurrency limit (bulkhead): calls under way at once, over all processes.
        calls_per_second: the rate limit, over all processes; None for none. A burst is one second's calls.
        recovery: the time in which both limits grow back from nothing after a throttled call.
        lease: the time after which the permit of a process that died is free again: longer than any call takes.
        retry_share: the retry budget: retries may be this share of the calls of `retry_window`.
        retry_window: the time for which the retry budget counts calls; whole seconds.
        retry_minimum: the retries that are allowed in the window however few calls there are.
        least_factor: the share of both limits that is kept however often the upstream throttles, above 0 and up to 1.

    Raises:
        ValueError: a duration, count or rate is not positive, or a share is not in its range.
    """

    window: timedelta = timedelta(seconds=30)
    minimum_calls: int = 10
    failure_rate: float = 0.5
    slow_call: timedelta = timedelta(seconds=3)
    slow_call_rate: float = 0.8
    consecutive_failures: int = 5
    open_for: timedelta = timedelta(seconds=5)
    open_at_most: timedelta = timedelta(minutes=1)
    probes: int = 2
    max_in_flight: int = 50
    calls_per_second: float | None = None
    recovery: timedelta = timedelta(minutes=1)
    lease: timedelta = timedelta(seconds=30)
    retry_share: float = 0.2
    retry_window: timedelta = timedelta(seconds=10)
    retry_minimum: int = 3
    least_factor: float = 0.05

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is None or name in {"retry_share", "retry_minimum"}:
                continue
            if value <= (timedelta(0) if isinstance(value, timedelta) else 0):
                raise ValueError(f"{name} is {value}, and must be positive")
        for name in ("failure_rate", "slow_call_rate", "least_factor", "retry_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, and must be a share between 0 and 1")
        if self.retry_window < timedelta(seconds=1) or self.retry_minimum < 0:
            raise ValueError("retry_window must be a second or more, and retry_minimum no less than 0")


@dataclass(frozen=True, slots=True)
class Refused:
    """Decision: no call, because of the breaker's state or an override. `wait` is in ms; None until it is lifted."""

    by: State | Override
    wait: int | None


@dataclass(frozen=True, slots=True)
class NoBudget:
    """Decision: no retry, because the retry budget is spent."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Decision: no permit is free. `milliseconds` is the time until there can be one; 0 when that is not known."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """Decision: the call may begin.

    Attributes:
        generation: the generation of the breaker, which fences the call's result.
        changed: the state to which the breaker changed with this decision, if it did.
        at: the time of the decision, in ms of the clock of the state that decided.
    """

    generation: int
    changed: State | None
    at: int


Decision = Refused | NoBudget | Wait | Admitted


@dataclass(frozen=True, slots=True)
class Rules:
    """Limits of one upstream in the units of the scripts: times in ms, `rate` in calls per second, or 0 for none."""

    upstream: str
    bucket: int
    buckets: int
    minimum_calls: int
    failure_rate: float
    slow_call_rate: float
    consecutive_failures: int
    open_for: int
    open_at_most: int
    probes: int
    max_in_flight: int
    rate: float
    burst: float
    recovery: int
    least_factor: float
    budget_window: int
    """Seconds."""
    budget_share: float
    budget_floor: int
    channel: str = CHANNEL

    @classmethod
    def of(cls, upstream: str, limits: Limits) -> "Rules":
        """Returns the rules of the upstream with this name and these limits."""
        rate = limits.calls_per_second or 0.0
        return cls(
            upstream=upstream,
            bucket=max(1, milliseconds(limits.window) // BUCKETS),
            buckets=BUCKETS,
            minimum_calls=limits.minimum_calls,
            failure_rate=limits.failure_rate,
            slow_call_rate=limits.slow_call_rate,
            consecutive_failures=limits.consecutive_failures,
            open_for=milliseconds(limits.open_for),
            open_at_most=milliseconds(limits.open_at_most),
            probes=limits.probes,
            max_in_flight=limits.max_in_flight,
            rate=rate,
            burst=max(1.0, rate),
            recovery=milliseconds(limits.recovery),
            least_factor=limits.least_factor,
            budget_window=int(limits.retry_window.total_seconds()),
            budget_share=limits.retry_share,
            budget_floor=limits.retry_minimum,
        )

    def as_json(self) -> str:
        """Returns the JSON document that the scripts read as `rules`."""
        return json.dumps(asdict(self))


def milliseconds(duration: timedelta) -> int:
    """Returns the duration in whole milliseconds."""
    return round(duration.total_seconds() * 1000)
