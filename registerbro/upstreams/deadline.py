"""Deadline of the current fetch: a limit for all calls inside it, whatever limits they have of their own."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

_ends: ContextVar[float | None] = ContextVar("deadline", default=None)


def remaining() -> float:
    """Seconds until the deadline at hand, negative when it has passed; infinite outside any."""
    ends = _ends.get()
    return float("inf") if ends is None else ends - time.monotonic()


@contextmanager
def within(limit: timedelta) -> Iterator[None]:
    """Sets a deadline for the block. One inside another can only shorten it."""
    token = _ends.set(time.monotonic() + min(limit.total_seconds(), remaining()))
    try:
        yield
    finally:
        _ends.reset(token)
