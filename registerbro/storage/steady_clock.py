"""Steady clock: time for atomic scripts that compare kept times, which setting the server's clock does not change.

A server's clock may be set an hour back or a week ahead while times that were read from it are kept. Scripts that
compare such times go by a `Steady` clock, which advances by the time that has passed: docs/decisions/0029. A process's
side of one clock is `redis_admission.clock:SteadyClock`.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from redis_admission.clock import SteadyClock

_BEFORE, _BEHIND = (
    (Path(__file__).parent / "scripts" / "steady_clock.lua").read_text(encoding="utf-8").split("-- SCRIPT\n")
)


def by_steady_clock(source: str) -> str:
    """The script around `source`, which may use `now` and `time`. It returns `now`, `which` and its result."""
    return f"{_BEFORE}{source}\n{_BEHIND}"


class Steady:
    """Steady clock of a server: it neither goes back nor leaps, however the server's clock is set.

    The clock's hash is the last of a script's keys, beside the times that are compared: `seen` is the latest time that
    any script has read, `ahead` its difference from the server's clock, and `which` tells apart the clocks that the key
    ever held. Each caller says how much time has passed since it last read the clock, at least and at most, by its own
    monotonic clock: so a step of the server's clock adds nothing and takes nothing away, whichever process comes first
    after it. A process that has not read the clock cannot say; then the clock does not go back, and `unwatched` is the
    most that counts as passed since any process read it (None: all of it).

    `clock` gives the server's time in ms since 1970, for tests, and `monotonic` a time in ms that is never set: by
    default the process's own, and none beside a test's clock.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
        unwatched: timedelta | None = None,
    ) -> None:
        self._redis = redis
        self._server_time = clock
        self._monotonic = monotonic
        is_watched = clock is None or monotonic is not None
        self._unwatched: EncodableT = (
            round(unwatched.total_seconds() * 1000) if unwatched is not None and is_watched else ""
        )
        self._clocks: dict[str, SteadyClock] = {}
        """By key: what this process knows of the time since it last read that clock."""

    def script(self, source: str) -> "SteadyScript":
        """A script in which `now` is the steady time in ms, to compare, and `time` the server's, to show."""
        return SteadyScript(self, self._redis.register_script(by_steady_clock(source)))

    def told(self, clock: str) -> tuple[list[EncodableT], float]:
        """Arguments by which a script sets the time, and the moment at which they were made."""
        arguments, asked = self._known(clock).arguments()
        return [*arguments, self._unwatched], asked

    def record(self, clock: str, which: bytes, said: int, asked: float) -> None:
        """Records the answer of a clock to a script that was sent at the moment `asked`."""
        self._known(clock).record(which, said, asked)

    def _known(self, clock: str) -> SteadyClock:
        if clock not in self._clocks:
            self._clocks[clock] = SteadyClock(self._server_time, self._monotonic)
        return self._clocks[clock]


class SteadyScript:
    """Script that goes by a steady clock, which is the last of its `keys`. Raises REDIS_DOWN errors."""

    def __init__(self, steady: Steady, script: AsyncScript) -> None:
        self._steady = steady
        self._script = script

    async def __call__(self, keys: Sequence[str], args: Sequence[EncodableT] = ()) -> Any:  # noqa: ANN401 - as it is
        """Runs the script. Returns what it returns."""
        told, asked = self._steady.told(keys[-1])
        return self.answer(keys, asked, await self._script(keys=list(keys), args=[*told, *args]))

    async def send(self, pipeline: Any, keys: Sequence[str], args: Sequence[EncodableT]) -> float:  # noqa: ANN401
        """Puts the script into a pipeline, whose answer to it is for `answer`. Returns the moment, for the same."""
        told, asked = self._steady.told(keys[-1])
        await self._script(keys=list(keys), args=[*told, *args], client=pipeline)
        return asked

    def answer(self, keys: Sequence[str], asked: float, answer: Sequence[Any]) -> Any:  # noqa: ANN401
        """What the script returned, taken from Redis' `answer` to it."""
        now, which, *said = answer
        self._steady.record(keys[-1], which, int(now), asked)
        # Lua ends a table at the first nil: a script that returns nothing has no item here.
        return said[0] if said else None
