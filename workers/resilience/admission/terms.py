"""The words of admission: states, overrides, outcomes, what entering comes to, and the rules that all of it follows."""

import json
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum

from config.settings import AdmissionSettings

BUCKETS = 10
"""Into how many parts the sliding window is cut: it moves by a tenth of its length."""
BUDGET_SHARE = 0.2
BUDGET_WINDOW_SECONDS = 10
BUDGET_FLOOR = 3
"""Retries that are allowed in a window however few calls there are: at low traffic a share would forbid them all."""
LEAST_FACTOR = 0.05
"""However often an upstream says 429, a twentieth of what is allowed is tried."""


class State(StrEnum):
    """The states of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Override(StrEnum):
    """What an operator, or another person's answer, sets above the breaker."""

    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    METRICS_ONLY = "metrics_only"


class Outcome(StrEnum):
    """How a call ended, as far as admission is concerned."""

    OK = "ok"
    SLOW = "slow"
    FAILURE = "failure"
    THROTTLED = "throttled"
    WRONG_PERSON = "wrong_person"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Refused:
    """No call: by an open or probing breaker, or by an override. `wait` in ms; None until a person lifts it."""

    by: State | Override
    wait: int | None


@dataclass(frozen=True, slots=True)
class NoBudget:
    """No retry: too many of the last calls were retries already."""


@dataclass(frozen=True, slots=True)
class Wait:
    """No place now; `milliseconds` until there can be one, 0 when that is not known."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call may begin; the breaker changed to `changed` on the way, if it did."""

    generation: int
    changed: State | None
    at: int
    """When, in ms of the machine's own clock."""


Entry = Refused | NoBudget | Wait | Admitted


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of one upstream as the machine takes them; times in ms, `rate` in calls per second or 0."""

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
    least_factor: float = LEAST_FACTOR
    budget_window: int = BUDGET_WINDOW_SECONDS
    budget_share: float = BUDGET_SHARE
    budget_floor: int = BUDGET_FLOOR
    channel: str = "events:admission"

    @classmethod
    def of(cls, upstream: str, settings: AdmissionSettings) -> "Rules":
        """The rules that these settings make."""
        rate = settings.calls_per_second or 0.0
        return cls(
            upstream=upstream,
            bucket=max(1, _ms(settings.window) // BUCKETS),
            buckets=BUCKETS,
            minimum_calls=settings.minimum_calls,
            failure_rate=settings.failure_rate,
            slow_call_rate=settings.slow_call_rate,
            consecutive_failures=settings.consecutive_failures,
            open_for=_ms(settings.open_for),
            open_at_most=_ms(settings.open_at_most),
            probes=settings.probes,
            max_in_flight=settings.max_in_flight,
            rate=rate,
            burst=max(1.0, rate),
            recovery=_ms(settings.recovery),
        )

    def as_json(self) -> str:
        """The rules as the scripts read them."""
        return json.dumps(asdict(self))


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
