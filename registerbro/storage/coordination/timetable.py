"""Timetable: the citizens for whom the schedule goes on, until when, and when each register is next due for them.

    timetable:active         sorted set: citizens who asked for their page, by when the schedule ends for them
    timetable:due:{udb}      sorted set: citizens, by when their entry is refreshed next, ahead of its expiry
    timetable:taken:{udb}    sorted set: citizens for whom a message is on its way, by when it counts as lost
    timetable:running:{udb}  sorted set: citizens whom the schedule is refreshing, by the end of the lease
    timetable:paced:{udb}    time until which the schedule's rate is used up
    timetable:clock:{udb}    hash: the steady clock of the register

The position is the data: a run takes the due citizens and moves them ahead in the same script, so that no two runs take
the same citizen, and a citizen whose message was lost is due again. Ids are opaque. Times are in ms since 1970, by the
register's steady clock (`registerbro/storage/steady_clock.py`), so that setting the server's clock stops no schedule.
`active` goes by the server's own clock, since it ends by the calendar: a wrong clock changes thirty days by its error.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from registerbro.storage.keys import ACTIVE_KEY, due_key, paced_key, running_key, taken_key, timetable_clock_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.steady_clock import Steady

LEAST_AHEAD = 0.25
"""Part of the time ahead of an expiry that is left for the refresh itself. Refreshes are spread over the rest."""
LOOKED_AT = 1000
"""How many citizens one run reads, so that many who have left the schedule do not hold Redis up."""


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """Counts of one register's schedule."""

    active: int
    """Citizens for whom the schedule goes on."""
    due: int
    """Citizens who are due, and for whom no message is on its way."""
    taken: int
    """Citizens for whom a message is on its way."""
    lag: timedelta
    """How long the first of the due citizens has waited."""


class Timetable:
    """Records activity, and hands out due citizens. `clock` and `monotonic` are those of `Steady`, for tests.

    Every method raises REDIS_DOWN errors.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        steady = Steady(redis, clock, monotonic)
        scripts = Scripts(redis, __file__, steady, ACTIVE_KEY=ACTIVE_KEY, LOOKED_AT=LOOKED_AT)
        self._record_activity = scripts.load("timetable_record_activity")
        self._enter = scripts.load("timetable_enter")
        self._take = scripts.load("timetable_take")
        self._put_back = scripts.load("timetable_put_back")
        self._status = scripts.load("timetable_status")

    async def record_activity(
        self, citizen_id: str, length: timedelta, at_most_until: datetime | None, due_in: Mapping[str, timedelta]
    ) -> None:
        """Lets the schedule go on for a citizen for `length` from now, and not after `at_most_until`.

        `due_in` is per register how soon the citizen is due; a citizen in the timetable keeps the place.
        """
        latest = "" if at_most_until is None else round(at_most_until.timestamp() * 1000)
        await asyncio.gather(
            self._record_activity(active=ACTIVE_KEY, citizen=citizen_id, length=ms(length), latest=latest),
            *(
                self._enter(
                    due=due_key(register), clock=timetable_clock_key(register), citizen=citizen_id, due_in=ms(wait)
                )
                for register, wait in due_in.items()
            ),
        )

    async def forget(self, citizen_id: str) -> None:
        """Ends the schedule for a citizen at once. Messages on their way find that out."""
        await self._redis.zrem(ACTIVE_KEY, citizen_id)

    async def active_until(self, citizen_id: str) -> datetime | None:
        """When the schedule ends for a citizen; None when it does not go on for them."""
        until = await self._redis.zscore(ACTIVE_KEY, citizen_id)
        return None if until is None else datetime.fromtimestamp(float(until) / 1000, UTC)

    async def erase(self, citizen_id: str, registers: Iterable[str]) -> None:
        """Removes a citizen from the timetable."""
        keys = [
            key for register in registers for key in (due_key(register), taken_key(register), running_key(register))
        ]
        for key in (ACTIVE_KEY, *keys):
            await self._redis.zrem(key, citizen_id)

    async def take(
        self,
        register: str,
        most: int,
        *,
        per_second: float,
        burst: timedelta,
        outstanding: int,
        taken_for: timedelta,
        early: bool = False,
    ) -> tuple[str, ...]:
        """Takes the citizens who are due, the longest first, within the rate. No other run gets them for `taken_for`.

        Takes none while `outstanding` are taken. An unused rate is made up for during `burst` at the most. `early`
        takes citizens who are not yet due, too, the next first.
        """
        taken = await self._take(
            **_keys(register),
            paced=paced_key(register),
            most=most,
            per_second=per_second,
            burst=ms(burst),
            outstanding=outstanding,
            taken_for=ms(taken_for),
            early=int(early),
        )
        return tuple(citizen.decode() for citizen in taken)

    async def put_back(self, register: str, citizen_ids: Iterable[str], wait: timedelta) -> None:
        """Makes taken citizens due after `wait`: their refresh was not made, or was not needed."""
        await self._put_back(**_keys(register), wait=ms(wait), citizens=citizen_ids)

    async def status(self, register: str) -> ScheduleStatus:
        """Counts of a register's schedule."""
        active, due, taken, lag = await self._status(**_keys(register))
        return ScheduleStatus(active, due, taken, timedelta(milliseconds=lag))


def ahead_of_expiry(left: timedelta, fresh_for: timedelta, ahead: float) -> timedelta:
    """How soon to refresh data that stay fresh for `left` more of `fresh_for`: within its last part, `ahead`.

    The moment is random, so that citizens who came at the same time are spread.
    """
    spread = fresh_for * ahead * random.uniform(LEAST_AHEAD, 1)  # noqa: S311 - spreading load is no secret
    return max(left - spread, timedelta(0))


def after_failure(retry_after: timedelta, fresh_for: timedelta, ahead: float) -> timedelta:
    """How soon to retry a failed refresh: a few times before the data expire, and never before `retry_after`."""
    return max(retry_after, fresh_for * ahead * random.uniform(0.25, 0.5))  # noqa: S311 - as above


def _keys(register: str) -> dict[str, str]:
    """Keys that all scripts about who is taken take."""
    return {"due": due_key(register), "taken": taken_key(register), "clock": timetable_clock_key(register)}
