"""Whether, when and how often a call is made again: tenacity's parts, set from the error table."""

import random

from tenacity import RetryCallState

from registerbro.upstreams import deadline
from registerbro.upstreams.errors import Again, CallFailed

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 2.0


def error_of(state: RetryCallState) -> BaseException | None:
    """The last attempt's error; None when it gave an answer."""
    return state.outcome.exception() if state.outcome else None


class AgainByError:
    """Tenacity's `retry`: what the error's class says; one that allows a single repeat is not repeated twice."""

    def __init__(self) -> None:
        self._repeated: set[type[CallFailed]] = set()

    def __call__(self, state: RetryCallState) -> bool:
        error = error_of(state)
        if not isinstance(error, CallFailed) or error.again is Again.NEVER or type(error) in self._repeated:
            return False
        if error.again is Again.ONCE:
            self._repeated.add(type(error))
        return True


def jittered_wait(state: RetryCallState) -> float:
    """Tenacity's `wait`, in seconds: full jitter over a doubling span, after what the upstream asked for."""
    span = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (state.attempt_number - 1))
    error = error_of(state)
    asked = error.retry_after if isinstance(error, CallFailed) else None
    return (asked.total_seconds() if asked else 0.0) + random.uniform(0, span)  # noqa: S311 - not for secrets


def would_pass_deadline(state: RetryCallState) -> bool:
    """Tenacity's `stop`: when the wait alone would use up what is left of the deadline."""
    return state.upcoming_sleep >= deadline.remaining()
