"""The clock of atomic scripts that compare times they keep: a server's own, and nothing changes when that is set.

A server's clock may be set an hour back or a week ahead while times that were read from it are kept. What compares
those goes by a `Steady` clock, which goes on by what has passed and by nothing else: docs/decisions/0029.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

LATE = 1000
"""Milliseconds that a command may be on its way, longer than nearly any that is not given up: what a step can add."""
DRIFT = 0.001
"""By what part two clocks run differently at the most, one that is being put right slowly (500 ppm) included."""

# KEYS: the script's own, and behind them the clock. ARGV: the server's time (empty: TIME); of the caller's reading
# before, which clock that was, and what this one can show by now, at least and at most; how much may have passed that
# nobody knows of ('' is any); then the script's own.
_STEADY = """
local clock = table.remove(KEYS)
local told = {}
for i = 1, 5 do told[i] = table.remove(ARGV, 1) end
local time, micro = tonumber(told[1]), 0
if not time then
  local t = redis.call('TIME')
  time, micro = t[1] * 1000 + math.floor(t[2] / 1000), t[2]
end
local kept = redis.call('HMGET', clock, 'seen', 'ahead', 'which')
local seen, now, which = tonumber(kept[1]), time + (tonumber(kept[2]) or 0), kept[3]
if seen then
  local least, most = seen, seen + (tonumber(told[5]) or math.huge)
  if told[2] == which then least, most = math.max(seen, told[3]), tonumber(told[4]) end
  now = math.max(least, math.min(now, most))
else
  which = string.format('%d.%d', time, micro)
  redis.call('HSET', clock, 'which', which)
end
redis.call('HSET', clock, 'seen', now, 'ahead', now - time)
local function answer()
"""
_ANSWERED = """
end
return {now, which, answer()}
"""


def by_steady_clock(source: str) -> str:
    """The script whose body is `source`: it has `now` and `time`; the answer is `now`, `which` and its own."""
    return f"{_STEADY}{source}{_ANSWERED}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a clock said: which it was, its time, and when it was asked and had answered, by the process's own."""

    which: bytes
    said: int
    asked: float
    answered: float


class Steady:
    """A server's clock as scripts see it that compare times: it neither goes back nor leaps, however it is set.

    It is kept beside what is compared by it, in the hash that is the last of a script's keys: `seen`, the latest time
    that any script has read; `ahead`, what it is ahead of the server's own; and `which` of the clocks that the key ever
    held it is. Each caller says how much has passed since it last read the clock, by its own monotonic one, at least
    and at most: so a step of the server's adds nothing and takes nothing away, whoever comes first after it. Who has
    not read it before cannot say; then it does not go back, and `unwatched` is the most that counts as passed since
    anybody did (None: all of it).

    `clock` gives the server's time in ms since 1970, for tests, and `monotonic` a time in ms that is never set: by
    default the process's own, and none beside a test's clock, which then is believed.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
        unwatched: timedelta | None = None,
    ) -> None:
        self._redis = redis
        self._clock = clock
        self._monotonic = monotonic or (_monotonic if clock is None else None)
        self._unwatched: EncodableT = (
            "" if unwatched is None or self._monotonic is None else round(unwatched.total_seconds() * 1000)
        )
        self._last: dict[str, _Reading] = {}

    def script(self, source: str) -> "SteadyScript":
        """A script in which `now` is the steady time in ms, for what is compared, and `time` the server's, to tell."""
        return SteadyScript(self, self._redis.register_script(by_steady_clock(source)))

    def told(self, clock: str) -> tuple[list[EncodableT], float]:
        """What a script is told of the time, and the moment of that."""
        now = self._now()
        given: EncodableT = "" if self._clock is None else self._clock()
        last = self._last.get(clock) if self._monotonic else None
        if last is None:
            return [given, "", "", "", self._unwatched], now
        least = last.said + (now - last.answered) * (1 - DRIFT)
        most = last.said + (now - last.asked) * (1 + DRIFT) + LATE
        return [given, last.which, math.floor(least), math.ceil(most), self._unwatched], now

    def noted(self, clock: str, which: bytes, said: int, asked: float) -> None:
        """What the clock has said to what was asked at that moment."""
        # Answers may come in another order than they were given.
        last = self._last.get(clock)
        if last is None or last.asked <= asked:
            self._last[clock] = _Reading(which, said, asked, self._now())

    def _now(self) -> float:
        return self._monotonic() if self._monotonic else 0.0


class SteadyScript:
    """A script by a steady clock, which is the last of its `keys`. Raises REDIS_DOWN errors."""

    def __init__(self, steady: Steady, script: AsyncScript) -> None:
        self._steady = steady
        self._script = script

    async def __call__(self, keys: Sequence[str], args: Sequence[EncodableT] = ()) -> Any:  # noqa: ANN401 - as it is
        """What the script returns."""
        told, asked = self._steady.told(keys[-1])
        return self.answer(keys, asked, await self._script(keys=list(keys), args=[*told, *args]))

    async def send(self, pipeline: Any, keys: Sequence[str], args: Sequence[EncodableT]) -> float:  # noqa: ANN401
        """Puts it into a pipeline, for whose answer to it `answer` gives the script's. Returns the moment of that."""
        told, asked = self._steady.told(keys[-1])
        await self._script(keys=list(keys), args=[*told, *args], client=pipeline)
        return asked

    def answer(self, keys: Sequence[str], asked: float, answer: Sequence[Any]) -> Any:  # noqa: ANN401
        """What the script returned, from the answer to it."""
        now, which, *said = answer
        self._steady.noted(keys[-1], which, int(now), asked)
        # Lua ends a table at the first nil: of a script that returns nothing there is no item.
        return said[0] if said else None


def _monotonic() -> float:
    return time.monotonic() * 1000
