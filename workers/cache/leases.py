"""Leases: which refreshes are wanted, and who is at it. They are the record of intent; a message only points at one.

Per register a sorted set holds the citizens whose refresh is wanted, by when the lease of it ends, and a hash per
citizen the details. Whoever asks takes the lease (single flight); the worker that begins makes it its own; when it ends
without a result, a sweep asks again, a few times. A message for which there is no lease has nothing to do. The lease
also says whose wish it was and why, since a message says nothing but whom it is about.

The schedule's refreshes take and begin their lease in one: what it wants is in the timetable, and not on record here.
A register's leases go by the steady clock of its timetable: they are as long as they were to be, however Redis' is set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from redis.asyncio import Redis
from redis.typing import EncodableT

from workers import names
from workers.cache.scripts import ms
from workers.cache.timetable import ACTIVE, clock_key, due_key, running_key, taken_key
from workers.steady import Steady, SteadyScript


class Behalf(StrEnum):
    """On whose behalf a refresh is."""

    CITIZEN = "citizen"
    SCHEDULE = "schedule"
    OPERATOR = "operator"
    UNKNOWN = "unknown"
    """The lease was taken by a process of a release that did not say."""


class Purpose(StrEnum):
    """Why."""

    SHOW_PAGE = "show_page"
    """The citizen opened »Oplysninger om dig«."""
    KEEP_PAGE_FRESH = "keep_page_fresh"
    """What the citizen's page shows is about to expire."""
    TRY_REGISTER = "try_register"
    """The same, ahead of time: somebody has to try whether a register is back."""
    OPERATORS_REQUEST = "operators_request"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Wish:
    """On whose behalf a refresh is, and why; `by` is the operator, and empty with anybody else."""

    behalf: Behalf
    purpose: Purpose
    by: str = ""


CITIZENS_WISH = Wish(Behalf.CITIZEN, Purpose.SHOW_PAGE)
UNKNOWN_WISH = Wish(Behalf.UNKNOWN, Purpose.UNKNOWN)

MAX_SENDINGS = 5
"""How often one wish is sent before it is given up: as often as a message may come back."""


# In all scripts KEYS are the sorted set and the citizen's hash, and ARGV[1] is the citizen. Times are in ms, by the
# steady clock of the register's timetable.
_ACQUIRE = """
-- ARGV: citizen, length, the wish.
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
if ends and ends > now then return 0 end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'sendings', 1, 'behalf', ARGV[3], 'purpose', ARGV[4], 'by', ARGV[5])
return 1
"""
_TAKE = f"""
-- KEYS: also running of the timetable, whose active may only be looked at.
-- ARGV: citizen, length, owner, how many may run at once, the wish.
local ends, active = redis.call('ZSCORE', KEYS[1], ARGV[1]), redis.call('ZSCORE', '{ACTIVE}', ARGV[1])
if not active or tonumber(active) <= time then return 'ended' end
if ends and tonumber(ends) > now then return 'wanted' end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[4]) then return 'full' end
for _, key in ipairs({{KEYS[1], KEYS[3]}}) do redis.call('ZADD', key, now + tonumber(ARGV[2]), ARGV[1]) end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'sendings', 1, 'owner', ARGV[3],
  'behalf', ARGV[5], 'purpose', ARGV[6], 'by', ARGV[7])
return 'taken'
"""
_BEGIN = """
-- ARGV: citizen, length, owner.
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
if not ends or (redis.call('HEXISTS', KEYS[2], 'owner') == 1 and ends > now) then return false end
redis.call('HSET', KEYS[2], 'owner', ARGV[3])
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
return redis.call('HMGET', KEYS[2], 'behalf', 'purpose', 'by')
"""
_SETTLE = f"""
-- KEYS: also running, due and taken of the timetable. ARGV: citizen, owner, when it is due again ('' is never).
if redis.call('HGET', KEYS[2], 'owner') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[4], ARGV[1])
elseif tonumber(redis.call('ZSCORE', '{ACTIVE}', ARGV[1]) or 0) > time then
  redis.call('ZADD', KEYS[4], now + tonumber(ARGV[3]), ARGV[1])
end
return redis.call('ZREM', KEYS[1], ARGV[1])
"""
_HAND_BACK = """
-- KEYS: also running of the timetable. ARGV: citizen, owner ('' before any worker has begun).
if (redis.call('HGET', KEYS[2], 'owner') or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], 'owner')
redis.call('ZREM', KEYS[3], ARGV[1])
return redis.call('ZADD', KEYS[1], 'XX', 'CH', now, ARGV[1])
"""
_WITHDRAW = """
-- ARGV: citizen.
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]))
if ends and ends > now and redis.call('HEXISTS', KEYS[2], 'owner') == 1 then return 0 end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
"""
_OVERDUE = """
-- KEYS: the sorted set. ARGV: prefix of the hashes, length, most sendings, how many at once.
local again, given_up = {}, {}
for _, citizen in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local hash = ARGV[1] .. citizen
  if redis.call('HINCRBY', hash, 'sendings', 1) > tonumber(ARGV[3]) then
    redis.call('DEL', hash)
    redis.call('ZREM', KEYS[1], citizen)
    given_up[#given_up + 1] = citizen
  else
    redis.call('HDEL', hash, 'owner')
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), citizen)
    again[#again + 1] = citizen
  end
end
return {again, given_up}
"""


class NotTaken(StrEnum):
    """Why the schedule did not get a lease."""

    ENDED = "ended"
    """The schedule does not go on for this citizen any more."""
    WANTED = "wanted"
    """Somebody else is at it, or about to be."""
    FULL = "full"
    """As many of the schedule's refreshes run as may run at once."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to refresh one citizen's register now; `owner` is the run that holds it, `wish` why it does."""

    citizen_id: str
    register: str
    owner: str
    wish: Wish = UNKNOWN_WISH


@dataclass(frozen=True, slots=True)
class Overdue:
    """Citizens whose refresh was wanted and never came: to be asked for again, or given up."""

    again: tuple[str, ...]
    given_up: tuple[str, ...]


class Leases:
    """Takes, begins, settles and sweeps leases; `clock` and `monotonic` are those of `Steady`, for tests.

    Every method raises REDIS_DOWN errors.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        script = Steady(redis, clock, monotonic).script
        self._acquire: SteadyScript = script(_ACQUIRE)
        self._take: SteadyScript = script(_TAKE)
        self._begin: SteadyScript = script(_BEGIN)
        self._settle: SteadyScript = script(_SETTLE)
        self._hand_back: SteadyScript = script(_HAND_BACK)
        self._withdraw: SteadyScript = script(_WITHDRAW)
        self._overdue: SteadyScript = script(_OVERDUE)

    async def acquire(self, citizen_id: str, register: str, length: timedelta, wish: Wish) -> bool:
        """Notes that a refresh is wanted. False when it already was: somebody is at it, or about to be."""
        args: list[EncodableT] = [citizen_id, ms(length), *_told(wish)]
        return bool(await self._acquire(keys=[*_keys(register, citizen_id), clock_key(register)], args=args))

    async def take(
        self,
        citizen_id: str,
        register: str,
        length: timedelta,
        at_once: int,
        purpose: Purpose = Purpose.KEEP_PAGE_FRESH,
    ) -> Lease | NotTaken:
        """Begins a refresh for the schedule, of which `at_once` may run at a time, over all processes."""
        lease = Lease(citizen_id, register, names.name(), Wish(Behalf.SCHEDULE, purpose))
        keys = [*_keys(register, citizen_id), running_key(register), clock_key(register)]
        args: list[EncodableT] = [citizen_id, ms(length), lease.owner, at_once, *_told(lease.wish)]
        answer = await self._take(keys=keys, args=args)
        return lease if answer == b"taken" else NotTaken(answer.decode())

    async def begin(self, citizen_id: str, register: str, length: timedelta) -> Lease | None:
        """Makes the refresh this run's own for `length`. None when it is not wanted, or another run is at it."""
        owner = names.name()
        wish = await self._begin(
            keys=[*_keys(register, citizen_id), clock_key(register)], args=[citizen_id, ms(length), owner]
        )
        return Lease(citizen_id, register, owner, _wish(*wish)) if wish else None

    async def settle(self, lease: Lease, due_in: timedelta | None) -> bool:
        """The refresh is done, and due again in so long, or never. False when the lease had ended and is another's."""
        register = lease.register
        keys = [
            *_keys(register, lease.citizen_id),
            *(running_key(register), due_key(register), taken_key(register), clock_key(register)),
        ]
        due: EncodableT = "" if due_in is None else ms(due_in)
        return bool(await self._settle(keys=keys, args=[lease.citizen_id, lease.owner, due]))

    async def hand_back(self, lease: Lease) -> None:
        """The run ends without a result: the refresh is wanted again at once."""
        register = lease.register
        keys = [*_keys(register, lease.citizen_id), running_key(register), clock_key(register)]
        await self._hand_back(keys=keys, args=[lease.citizen_id, lease.owner])

    async def withdraw(self, citizen_id: str, register: str) -> bool:
        """The refresh is not wanted any more, whoever wanted it. False while a run is at it: its lease has an end."""
        return bool(await self._withdraw(keys=[*_keys(register, citizen_id), clock_key(register)], args=[citizen_id]))

    async def overdue(self, register: str, length: timedelta, at_once: int = 100) -> Overdue:
        """Takes, for `length`, the leases that ended without a result; each is given to one sweep only."""
        wanted = wanted_key(register)
        args: list[EncodableT] = [lease_key(register, ""), ms(length), MAX_SENDINGS, at_once]
        again, given_up = await self._overdue(keys=[wanted, clock_key(register)], args=args)
        return Overdue(tuple(name.decode() for name in again), tuple(name.decode() for name in given_up))


def _told(wish: Wish) -> tuple[str, str, str]:
    return wish.behalf.value, wish.purpose.value, wish.by


def _wish(behalf: bytes | None, purpose: bytes | None, by: bytes | None) -> Wish:
    try:
        return Wish(Behalf((behalf or b"").decode()), Purpose((purpose or b"").decode()), (by or b"").decode())
    except ValueError:
        return UNKNOWN_WISH


def wanted_key(register: str) -> str:
    """The key of the citizens whose refresh is wanted."""
    return f"wanted:{{{register}}}"


def lease_key(register: str, citizen_id: str) -> str:
    """The key of the details of one lease."""
    return f"lease:{{{register}}}:{citizen_id}"


def _keys(register: str, citizen_id: str) -> list[str]:
    return [wanted_key(register), lease_key(register, citizen_id)]
