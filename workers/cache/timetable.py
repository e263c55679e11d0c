"""The timetable: for which citizens the schedule goes on, until when, and when each register is next due for them.

    timetable:active         sorted set: who asked for their page, by until when the schedule may fetch for them
    timetable:due:{udb}      sorted set: citizens, by when their entry is refreshed next, ahead of its expiry
    timetable:taken:{udb}    sorted set: those of them for whom a message is on its way, by when it is taken for lost
    timetable:running:{udb}  sorted set: those who are being refreshed by the schedule, by when the lease of that ends
    timetable:paced:{udb}    until when the schedule's rate is used up
    timetable:clock:{udb}    hash: the steady clock of the register

The position is the data: a run takes what is due and moves it ahead in the same script, so that two runs never take the
same citizen, and what a run took and lost is due again. Ids are opaque; times are in ms since 1970, by the register's
steady clock (`workers/steady.py`), so that setting the server's silences no schedule. `active` goes by the server's
own, since it ends by the calendar: a clock that is wrong lengthens or shortens thirty days by as much.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from workers.cache.scripts import NOW, ms
from workers.steady import Steady, SteadyScript

LEAST_AHEAD = 0.25
"""What part of the time ahead of an expiry is left for the refresh itself; over the rest the refreshes are spread."""
LOOKED_AT = 1000
"""How many citizens one run looks at, so that many who left the schedule never hold Redis up."""

ACTIVE = "timetable:active"

# KEYS: active. ARGV: citizen, how long, at the latest until (or '').
_NOTE = f"""{NOW}
local ends = now + tonumber(ARGV[2])
if ARGV[3] ~= '' then ends = math.min(ends, tonumber(ARGV[3])) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], ends, ARGV[1])
"""

# Workers may look at who is active, and not change it: all registers share that. So their scripts name the key
# themselves. One of KEYS is, to Redis, one that the script changes.
# What follows goes by the steady clock; who is active, by the server's `time`.
# KEYS: due. ARGV: citizen, in how many ms it is due.
_ENTER = "redis.call('ZADD', KEYS[1], 'NX', now + tonumber(ARGV[2]), ARGV[1])"

# KEYS: due, taken, paced.
# ARGV: most, per second, burst, outstanding at the most, taken for, whether also early.
_TAKE = f"""
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local interval = 1000 / tonumber(ARGV[2])
local burst = math.max(interval, tonumber(ARGV[3]))
local used = math.max(tonumber(redis.call('GET', KEYS[3]) or 0), now - burst)
local most = math.min(
  tonumber(ARGV[1]), math.floor((now - used) / interval), tonumber(ARGV[4]) - redis.call('ZCARD', KEYS[2]))
local found = {{}}
if most <= 0 then return found end
local last = ARGV[6] == '1' and '+inf' or now
for _, citizen in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', last, 'LIMIT', 0, {LOOKED_AT})) do
  if #found >= most then break end
  if tonumber(redis.call('ZSCORE', '{ACTIVE}', citizen) or 0) <= time then
    redis.call('ZREM', KEYS[1], citizen)
  elseif not redis.call('ZSCORE', KEYS[2], citizen) then
    local back = now + tonumber(ARGV[5])
    redis.call('ZADD', KEYS[1], back, citizen)
    redis.call('ZADD', KEYS[2], back, citizen)
    found[#found + 1] = citizen
  end
end
if #found > 0 then
  redis.call('SET', KEYS[3], string.format('%.3f', used + #found * interval), 'PX', math.ceil(2 * burst))
end
return found
"""

# KEYS: due, taken. ARGV: wait, citizens.
_PUT_BACK = f"""
for i = 2, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[i])
  if tonumber(redis.call('ZSCORE', '{ACTIVE}', ARGV[i]) or 0) > time then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[1]), ARGV[i])
  end
end
"""

# KEYS: due, taken.
_LOOK = f"""
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {{redis.call('ZCOUNT', '{ACTIVE}', time, '+inf'), redis.call('ZCOUNT', KEYS[1], '-inf', now),
  redis.call('ZCOUNT', KEYS[2], now, '+inf'), first and math.max(0, now - first) or 0}}
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the schedule of one register stands."""

    active: int
    """Citizens for whom the schedule goes on."""
    due: int
    """Those of them who should have been refreshed by now, and for whom no message is on its way."""
    taken: int
    """Those for whom one is."""
    lag: timedelta
    """How long the first of the due has waited."""


class Timetable:
    """Notes activity, and hands out who is due; `clock` and `monotonic` are those of `Steady`, for tests.

    Every method raises REDIS_DOWN errors.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._redis = redis
        script = Steady(redis, clock, monotonic).script
        self._note: AsyncScript = redis.register_script(_NOTE)
        self._enter: SteadyScript = script(_ENTER)
        self._take: SteadyScript = script(_TAKE)
        self._put_back: SteadyScript = script(_PUT_BACK)
        self._look: SteadyScript = script(_LOOK)

    async def note(
        self, citizen_id: str, length: timedelta, at_most_until: datetime | None, due_in: Mapping[str, timedelta]
    ) -> None:
        """The citizen was active: the schedule goes on for `length` from now, and not after `at_most_until`.

        `due_in` is per register how soon it is due; one that is in the timetable already keeps its place.
        """
        until: EncodableT = "" if at_most_until is None else round(at_most_until.timestamp() * 1000)
        await asyncio.gather(
            self._note(keys=[ACTIVE], args=[citizen_id, ms(length), until]),
            *(
                self._enter(keys=[due_key(register), clock_key(register)], args=[citizen_id, ms(wait)])
                for register, wait in due_in.items()
            ),
        )

    async def forget(self, citizen_id: str) -> None:
        """The schedule ends for this citizen at once: what is on its way for them will find that out."""
        await self._redis.zrem(ACTIVE, citizen_id)

    async def erase(self, citizen_id: str, registers: Iterable[str]) -> None:
        """Nothing of this citizen is left in the timetable."""
        keys = [
            key for register in registers for key in (due_key(register), taken_key(register), running_key(register))
        ]
        for key in (ACTIVE, *keys):
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
        """The citizens who are due, the longest first, within the rate: nobody else is given them for `taken_for`.

        None are given while so many are `outstanding`. A rate that was not used is made up for during `burst` at the
        most. `early`: also who is not due yet, the next first.
        """
        args: list[EncodableT] = [most, per_second, ms(burst), outstanding, ms(taken_for), int(early)]
        keys = [*_keys(register), f"timetable:paced:{{{register}}}", clock_key(register)]
        taken = await self._take(keys=keys, args=args)
        return tuple(citizen.decode() for citizen in taken)

    async def put_back(self, register: str, citizen_ids: Iterable[str], wait: timedelta) -> None:
        """What was taken was not done, or had not to be: it is due after `wait`."""
        await self._put_back(keys=[*_keys(register), clock_key(register)], args=[ms(wait), *citizen_ids])

    async def look(self, register: str) -> Standing:
        """How the schedule of a register stands."""
        active, due, taken, lag = await self._look(keys=[*_keys(register), clock_key(register)])
        return Standing(active, due, taken, timedelta(milliseconds=lag))


def ahead_of_expiry(left: timedelta, fresh_for: timedelta, ahead: float) -> timedelta:
    """How soon to refresh what is fresh for `left` more of its `fresh_for`: within the last part, `ahead`, of it.

    The moment is drawn by chance, so that those who came together do not come together for ever.
    """
    spread = fresh_for * ahead * random.uniform(LEAST_AHEAD, 1)  # noqa: S311 - spreading load is no secret
    return max(left - spread, timedelta(0))


def after_failure(retry_after: timedelta, fresh_for: timedelta, ahead: float) -> timedelta:
    """How soon to try again what failed: a few times before the data expire, and never before `retry_after`."""
    return max(retry_after, fresh_for * ahead * random.uniform(0.25, 0.5))  # noqa: S311 - as above


def due_key(register: str) -> str:
    """The key of the citizens by when they are due."""
    return f"timetable:due:{{{register}}}"


def taken_key(register: str) -> str:
    """The key of the citizens for whom a message is on its way."""
    return f"timetable:taken:{{{register}}}"


def running_key(register: str) -> str:
    """The key of the citizens who are being refreshed by the schedule."""
    return f"timetable:running:{{{register}}}"


def clock_key(register: str) -> str:
    """The key of the steady clock by which a register's timetable and leases go."""
    return f"timetable:clock:{{{register}}}"


def _keys(register: str) -> list[str]:
    return [due_key(register), taken_key(register)]
