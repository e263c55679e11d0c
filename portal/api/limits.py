"""What one citizen may take: how often, how much at a time, and one call at a time of what costs somebody else."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from portal.api.problems import Problem, Type
from workers import names
from workers.cache.scripts import ms
from workers.connections import REDIS_DOWN
from workers.refresh import Citizen
from workers.runtime import Services
from workers.steady import Steady

MINUTE = timedelta(minutes=1)
COUNTED = ("refresh", "banner", "booking")
"""The names of what is counted per citizen."""
CLOCK_KEY = "limits:clock"
"""The key of the steady clock by which requests are counted."""
AGAIN_AFTER_SECONDS = 1
"""When to come again for what another call of the same citizen's is in the way of: those take a few seconds."""
FULL_AGAIN_AFTER_SECONDS = 10

T = TypeVar("T")

# KEYS: when a citizen asked. ARGV: how often they may, within how many ms, a name for this time. Returns 0, or in how
# many ms they may again.
_ASK = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
  return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] + ARGV[2] - now
end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
"""


def counted_key(name: str, citizen_id: str) -> str:
    """The key of when a citizen did what `name` counts, within the last minute, by that clock."""
    return f"limits:{name}:{citizen_id}"


class Rate:
    """How often a citizen may do something within a minute, over all processes together.

    By a steady clock: an expiry of Redis' own, which is what libraries count by, lasts for as much longer as its clock
    is set back. `name` is part of the key, `what` of the problem's text. `clock` and `monotonic` are those of `Steady`,
    for tests.
    """

    def __init__(
        self,
        services: Services,
        name: str,
        most: int,
        what: str,
        *,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._citizens = services.citizens
        self._name = name
        self._most = most
        self._what = what
        self._ask = Steady(services.coordination, clock, monotonic).script(_ASK)

    async def check(self, citizen: Citizen) -> None:
        """Counts a request. Raises Problem when there were too many; without Redis nothing is counted."""
        keys = [counted_key(self._name, self._citizens.id_of(citizen.cpr)), CLOCK_KEY]
        try:
            wait = await self._ask(keys=keys, args=[self._most, ms(MINUTE), names.name()])
        except REDIS_DOWN:
            return
        if wait > 0:
            detail = f"more than {self._most} {self._what} within a minute"
            raise Problem(Type.RATE_LIMITED, detail, retry_after=math.ceil(wait / 1000))


class OneAtATime:
    """A citizen's calls in this process, of which one is under way; whoever asks for the same shares its answer."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[Hashable, asyncio.Task[Any]]] = {}

    async def ask(self, who: Hashable, what: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns or raises; it goes on when nobody waits for it any more.

        Raises Problem while a call for something else than `what` is under way for the same `who`.
        """
        asked, task = self._under_way.get(who, (what, None))
        if asked != what:
            detail = "another call of this kind is under way for the citizen"
            raise Problem(Type.RATE_LIMITED, detail, retry_after=AGAIN_AFTER_SECONDS)
        if task is None:
            task = asyncio.ensure_future(call())
            self._under_way[who] = what, task
            task.add_done_callback(lambda ended: self._end(who, ended))
        answer: T = await asyncio.shield(task)
        return answer

    def _end(self, who: Hashable, ended: asyncio.Task[Any]) -> None:
        del self._under_way[who]
        if not ended.cancelled():
            # Looked at, so that asyncio does not write down an error that nobody waited for.
            ended.exception()


class Places:
    """Places in this process, so many in all, and of these so many for each citizen."""

    def __init__(self, in_all: int, each: int) -> None:
        self._in_all = in_all
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        """A place for the citizen with this id. Raises Problem when they have all of theirs, or all are taken."""
        if self._taken[who] >= self._each:
            detail = f"more than {self._each} at a time"
            raise Problem(Type.RATE_LIMITED, detail, retry_after=FULL_AGAIN_AFTER_SECONDS)
        if self._taken.total() >= self._in_all:
            raise Problem(Type.TEMPORARILY_UNAVAILABLE, retry_after=FULL_AGAIN_AFTER_SECONDS)
        self._taken[who] += 1
        try:
            yield
        finally:
            self._taken[who] -= 1
            self._taken += Counter()
