"""Steady clock of one upstream's scripts: a server's time that neither goes back nor leaps when the server is set.

The clock itself is `scripts/clock.lua`. This is a process's side of it: what it knows of the time that has passed.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.typing import EncodableT

LATE = 1000
"""Milliseconds that a command may be on its way, more than nearly any that is not given up: the most a step can add."""
DRIFT = 0.001
"""The part by which two clocks run differently at the most, one that is being adjusted slowly (500 ppm) included."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """An answer of the clock: its id, its time, and when the process asked and had the answer, in its own ms."""

    which: bytes | str
    now: int
    asked: float
    answered: float


class SteadyClock:
    """What one process can say of the time since it last read the clock.

    Args:
        server_time: the server's time in ms since 1970, for tests; None for Redis' own `TIME`.
        monotonic: a time in ms that is never set; by default the process's own. Beside a test's `server_time` the
            default is none, and the server is believed.
    """

    def __init__(
        self, server_time: Callable[[], int] | None = None, monotonic: Callable[[], float] | None = None
    ) -> None:
        self._server_time = server_time
        self._monotonic = monotonic or (_monotonic if server_time is None else None)
        self._last: _Reading | None = None

    def arguments(self) -> tuple[tuple[EncodableT, ...], float]:
        """Returns the arguments of `clock.lua`, and the moment in ms at which they hold, for `record`."""
        now = self._now()
        server_time: EncodableT = "" if self._server_time is None else self._server_time()
        last = self._last if self._monotonic else None
        if last is None:
            return (server_time, "", "", ""), now
        least = last.now + (now - last.answered) * (1 - DRIFT)
        most = last.now + (now - last.asked) * (1 + DRIFT) + LATE
        return (server_time, last.which, math.floor(least), math.ceil(most)), now

    def record(self, which: bytes | str, now: int, asked: float) -> None:
        """Keeps what the clock answered to the arguments of that moment.

        Args:
            which: the clock's id.
            now: its time in ms.
            asked: the moment that `arguments` returned.
        """
        # Answers may arrive in another order than they were given.
        if self._last is None or self._last.asked <= asked:
            self._last = _Reading(which, now, asked, self._now())

    def _now(self) -> float:
        return self._monotonic() if self._monotonic else 0.0


def _monotonic() -> float:
    return time.monotonic() * 1000
