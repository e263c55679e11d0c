"""Limits per citizen: rate, places for event streams, and one call at a time to the vendor."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from domain.citizen import Citizen
from portal.api.problems import Problem, Type
from registerbro.services import Services
from registerbro.storage.keys import LIMITS_CLOCK_KEY, limit_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.storage.steady_clock import Steady
from registerbro.telemetry import random_ids

MINUTE = timedelta(minutes=1)
COUNTED = ("refresh", "banner", "booking")
"""Names of the counted rates."""
AGAIN_AFTER_SECONDS = 1
"""Retry-After while another call of the same citizen is under way, which takes a few seconds."""
FULL_AGAIN_AFTER_SECONDS = 10

T = TypeVar("T")


class Rate:
    """Rate limit per citizen and minute, over all processes together; fails open when Redis is unavailable.

    It counts by a steady clock: a key's own expiry, which libraries count by, lasts longer by as much as Redis' clock
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
        steady = Steady(services.coordination, clock, monotonic)
        self._ask = Scripts(services.coordination, __file__, steady).load("citizen_limits_ask")

    async def check(self, citizen: Citizen) -> None:
        """Counts a request. Raises Problem when there were too many; without Redis nothing is counted."""
        asked = limit_key(self._name, self._citizens.id_of(citizen.cpr))
        try:
            wait = await self._ask(
                asked=asked, clock=LIMITS_CLOCK_KEY, most=self._most, within=ms(MINUTE), name=random_ids.name()
            )
        except REDIS_DOWN:
            return
        if wait > 0:
            detail = f"more than {self._most} {self._what} within a minute"
            raise Problem(Type.RATE_LIMITED, detail, retry_after=math.ceil(wait / 1000))


class OneAtATime:
    """Allows one call per citizen at a time in this process; a concurrent call for the same shares its answer."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, tuple[Hashable, asyncio.Task[Any]]] = {}

    async def ask(self, who: Hashable, what: Hashable, call: Callable[[], Awaitable[T]]) -> T:
        """Awaits `call`, or the same call that is under way. It goes on when its callers have gone.

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
            # Retrieved, so that asyncio logs no error of a call whose callers have gone.
            ended.exception()


class Places:
    """Places in this process: a limit in all, and one for each citizen."""

    def __init__(self, in_all: int, each: int) -> None:
        self._in_all = in_all
        self._each = each
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, who: str) -> Iterator[None]:
        """Takes a place for the citizen with this id. Raises Problem when theirs, or all, are taken."""
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
