"""Entries: what is kept per citizen and register, and the rules by which it changes, each one atomic script.

A failure never overwrites data, and older data never overwrite newer. All times are the cache server's own clock, as
milliseconds since 1970, so that no two machines need agree; a caller says how long ago its fetch began.

Portals in other languages read them beside TIME, so they are that clock's and no other. When it is set back, what is
kept lies ahead of it, which nothing can: a time that says when something was is never after now, and what was to last
from it lasts from now at the most, is no longer fresh, and stands in nobody's way. docs/decisions/0029.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic_core
import structlog
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from workers import metrics
from workers.cache.scripts import NOW, ms
from workers.cache.sealing import Sealer, Unreadable
from workers.cache.together import Together
from workers.domain.overview import SectionItems

log = structlog.get_logger()

FORMAT = b"1"
"""The version of an entry's fields, as in docs/cache-contract.md; an entry of another version is as good as none."""

WITHOUT_CLOCK = timedelta(minutes=1)
"""How long ago a fetch may have begun that takes the place of data from a time that has not come, as the clock was set
back: which are the newer cannot be told, but there are no two fetches within one lease."""

_OLDER = f"""
local known = tonumber(redis.call('HGET', KEYS[1], 'fetched_at'))
local age = tonumber(ARGV[3])
if known and known > now - age and (known <= now or age > {ms(WITHOUT_CLOCK)}) then return 0 end
"""

_EXPIRE_LAST = """
local function expire_last(key, at)
  if at > now + math.max(redis.call('PTTL', key), 0) then redis.call('PEXPIREAT', key, at) end
end
"""

_STORE = f"""{NOW}{_OLDER}
-- KEYS: entry. ARGV: format, data, age, fresh, usable, channel, event (times in ms).
local fetched = now - age
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'data', ARGV[2], 'fetched_at', fetched,
  'fresh_until', fetched + tonumber(ARGV[4]), 'usable_until', fetched + tonumber(ARGV[5]))
redis.call('HDEL', KEYS[1], 'failed_at', 'failure', 'retry_at', 'pending_at', 'pending_until')
redis.call('PEXPIREAT', KEYS[1], fetched + tonumber(ARGV[5]))
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 1
"""

_OUTDATE = f"""{NOW}
-- KEYS: entry.
if redis.call('HEXISTS', KEYS[1], 'data') == 1 then redis.call('HSET', KEYS[1], 'fresh_until', now) end
"""

_FAIL = f"""{NOW}{_OLDER}{_EXPIRE_LAST}
-- KEYS: entry. ARGV: format, reason, age, retry, channel, event (times in ms).
local retry_at = now + tonumber(ARGV[4])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'failure', ARGV[2], 'failed_at', now, 'retry_at', retry_at)
redis.call('HDEL', KEYS[1], 'pending_at', 'pending_until')
expire_last(KEYS[1], retry_at)
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
"""

_PENDING = f"""{NOW}{_EXPIRE_LAST}
-- KEYS: entries. ARGV: format, then for each entry how many ms it may be pending.
for i, key in ipairs(KEYS) do
  local ends = now + tonumber(ARGV[i + 1])
  redis.call('HSET', key, 'v', ARGV[1], 'pending_at', now, 'pending_until', ends)
  expire_last(key, ends)
end
"""


_READ = f"""{NOW}
-- KEYS: entries. One command for all of them: what is read at each page is paid for at each page.
local found = {{now}}
for i, key in ipairs(KEYS) do
  local ahead = (tonumber(redis.call('HGET', key, 'fetched_at')) or 0) - now
  if ahead > 0 then
    local kept = redis.call('HMGET', key, 'fresh_until', 'usable_until')
    local fresh, usable = tonumber(kept[1]), tonumber(kept[2])
    if fresh and usable then
      usable = string.format('%d', usable - ahead)
      redis.call('HSET', key, 'fetched_at', now, 'fresh_until', math.min(fresh, now), 'usable_until', usable)
      redis.call('PEXPIREAT', key, usable)
    end
  end
  found[i + 1] = redis.call('HGETALL', key)
end
return found
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of one citizen and register, as of the moment it was read."""

    read_at: datetime
    sections: Mapping[str, list[dict[str, Any]]] | None = None
    """Section id → items; None when there are no usable data."""
    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    fresh: bool = False
    pending: bool = False
    """Whether a fetch was asked for that may still end well."""
    failure: str | None = None
    """The reason of a failure that is still remembered."""
    retry_after: timedelta | None = None
    """How long until asking again makes sense; None without a remembered failure."""


class Entries:
    """Reads and changes entries. Every method raises REDIS_DOWN errors."""

    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer
        self._read_script: AsyncScript = redis.register_script(_READ)
        self._together = Together(self._read_keys)
        self._store: AsyncScript = redis.register_script(_STORE)
        self._fail: AsyncScript = redis.register_script(_FAIL)
        self._outdate: AsyncScript = redis.register_script(_OUTDATE)
        self._pending: AsyncScript = redis.register_script(_PENDING)

    async def read(self, citizen_id: str, registers: Iterable[str], older_ids: Sequence[str] = ()) -> dict[str, Entry]:
        """The entries of these registers, in one round trip.

        `older_ids` are what the citizen was called before the pepper changed, newest first: data that are kept under
        one of them are the citizen's too, until newer ones come.
        """
        registers = tuple(registers)
        places = [(register, who) for register in registers for who in (citizen_id, *older_ids)]
        keys = [entry_key(who, register) for register, who in places]
        now, found = await self._together.read(keys)
        entries: dict[str, Entry] = {}
        for (register, _), key, fields in zip(places, keys, found, strict=True):
            entry = self._entry(key, dict(zip(fields[::2], fields[1::2], strict=True)), now)
            entries[register] = _with_newest_data(entries[register], entry) if register in entries else entry
        return entries

    async def _read_keys(self, keys: Sequence[str]) -> tuple[int, list[list[bytes]]]:
        now, *found = await self._read_script(keys=list(keys))
        return now, found

    def _entry(self, key: str, fields: dict[bytes, bytes], now: int) -> Entry:
        """An entry that cannot be read is as good as none, and leaves the others alone."""
        try:
            return self._parsed(key, fields, now)
        except (Unreadable, KeyError, ValueError) as error:
            metrics.UNREADABLE.labels("entry").inc()
            log.error("entry_unreadable", key=key, detail=f"{type(error).__name__}: {error}")
            return Entry(_datetime(now))

    async def store(
        self,
        citizen_id: str,
        register: str,
        sections: SectionItems,
        *,
        age: timedelta,
        fresh_for: timedelta,
        usable_for: timedelta,
    ) -> bool:
        """Keeps what a fetch that began `age` ago gave. False when newer data are already there."""
        key = entry_key(citizen_id, register)
        content = {name: [item.model_dump(mode="json") for item in items] for name, items in sections.items()}
        data = self._sealer.seal(json.dumps(content, ensure_ascii=False).encode(), f"{key}#data")
        args: list[EncodableT] = [
            FORMAT,
            data,
            ms(age),
            ms(fresh_for),
            ms(usable_for),
            channel(citizen_id),
            register,
        ]
        return bool(await self._store(keys=[key], args=args))

    async def fail(
        self, citizen_id: str, register: str, reason: str, *, age: timedelta, retry_after: timedelta
    ) -> bool:
        """Remembers for `retry_after` that a fetch that began `age` ago failed. False when newer data are there."""
        args: list[EncodableT] = [FORMAT, reason, ms(age), ms(retry_after), channel(citizen_id), register]
        return bool(await self._fail(keys=[entry_key(citizen_id, register)], args=args))

    async def mark_pending(self, citizen_id: str, limits: Mapping[str, timedelta]) -> None:
        """Notes that these registers are being fetched, each for at most so long."""
        keys = [entry_key(citizen_id, register) for register in limits]
        await self._pending(keys=keys, args=[FORMAT, *map(ms, limits.values())])

    async def discard(self, citizen_id: str, register: str) -> None:
        """Takes back the data of an entry."""
        await self._redis.hdel(entry_key(citizen_id, register), "data", "fetched_at", "fresh_until", "usable_until")

    async def erase(self, citizen_id: str, registers: Iterable[str]) -> int:
        """Nothing is left of these entries; returns how many there were."""
        erased = [await self._redis.delete(entry_key(citizen_id, register)) for register in registers]
        return sum(erased)

    async def outdate(self, citizen_id: str, register: str) -> None:
        """The data are known to be out of date: they may still be shown, and asking again is of use at once."""
        await self._outdate(keys=[entry_key(citizen_id, register)])

    async def unmark_pending(self, citizen_id: str, register: str) -> None:
        """Takes that note back, when the fetch could not be started."""
        await self._redis.hdel(entry_key(citizen_id, register), "pending_at", "pending_until")

    def _parsed(self, key: str, fields: dict[bytes, bytes], now: int) -> Entry:
        if fields.get(b"v") != FORMAT:
            return Entry(_datetime(now))
        retry_at = int(fields.get(b"retry_at", 0))
        remembered = int(fields.get(b"failed_at", 0)) <= now < retry_at
        usable = int(fields.get(b"usable_until", 0)) > now
        return Entry(
            _datetime(now),
            sections=self._opened(key, fields[b"data"]) if usable else None,
            fetched_at=_datetime(int(fields[b"fetched_at"])) if usable else None,
            fresh_until=_datetime(int(fields[b"fresh_until"])) if usable else None,
            fresh=usable and int(fields[b"fresh_until"]) > now,
            pending=int(fields.get(b"pending_at", 0)) <= now < int(fields.get(b"pending_until", 0)),
            failure=fields[b"failure"].decode() if remembered else None,
            retry_after=timedelta(milliseconds=retry_at - now) if remembered else None,
        )

    def _opened(self, key: str, sealed: bytes) -> dict[str, list[dict[str, Any]]]:
        opened: dict[str, list[dict[str, Any]]] = pydantic_core.from_json(self._sealer.open(sealed, f"{key}#data"))
        return opened


def _with_newest_data(entry: Entry, older: Entry) -> Entry:
    """`entry`, with the data of `older` if those are newer or there are no others."""
    if older.fetched_at is None or (entry.fetched_at is not None and entry.fetched_at >= older.fetched_at):
        return entry
    return replace(
        entry,
        sections=older.sections,
        fetched_at=older.fetched_at,
        fresh_until=older.fresh_until,
        fresh=older.fresh,
    )


def entry_key(citizen_id: str, register: str) -> str:
    """The Redis key of an entry; the braces keep all of a citizen's entries in one slot of a cluster."""
    return f"entry:{{{citizen_id}}}:{register}"


def channel(citizen_id: str) -> str:
    """The channel on which the name of a register is published when its entry has changed."""
    return f"events:{{{citizen_id}}}"


def _datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
