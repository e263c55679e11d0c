"""Cache entries: data per citizen and register, and the rules by which they change, each one atomic script.

A failure never overwrites data, and older data never overwrite newer data. All times are the cache server's own clock,
in milliseconds since 1970, so no two machines need to agree; a caller says how long ago its fetch began.

Portals in other languages compare these times with TIME, so no other clock will do. After the server's clock is set
back, stored times lie in the future. `entries_put_right.lua` corrects them: no event is later than now, data last from
now at the most and are no longer fresh, and newer data replace them. docs/decisions/0029.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pydantic_core
import structlog
from redis.asyncio import Redis

from domain.overview import SectionItems
from registerbro.storage.keys import entry_channel, entry_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from registerbro.telemetry import metrics

log = structlog.get_logger()

FORMAT = b"1"
"""Version of an entry's fields, as in docs/cache-contract.md. An entry of another version counts as missing."""

WITHOUT_CLOCK = timedelta(minutes=1)
"""How long ago a fetch may have begun whose data replace data from the future (the clock was set back): the times do
not say which are newer, but no two fetches share one lease."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Entry of one citizen and register, as of the moment it was read."""

    read_at: datetime
    sections: Mapping[str, list[dict[str, Any]]] | None = None
    """Section id → items; None when there are no usable data."""
    fetched_at: datetime | None = None
    fresh_until: datetime | None = None
    fresh: bool = False
    pending: bool = False
    """Whether a fetch is under way that may still succeed."""
    failure: str | None = None
    """Reason of the last failure, while the entry remembers it."""
    retry_after: timedelta | None = None
    """How long until a refresh is of use again; None without a remembered failure."""


class Entries:
    """Reads and changes entries. Every method raises REDIS_DOWN errors."""

    def __init__(self, redis: Redis, sealer: Sealer) -> None:
        self._redis = redis
        self._sealer = sealer
        scripts = Scripts(redis, __file__, WITHOUT_CLOCK_MS=ms(WITHOUT_CLOCK))
        self._read = scripts.load("entries_read")
        self._store = scripts.load_batched("entries_store")
        self._fail = scripts.load("entries_fail")
        self._outdate = scripts.load("entries_outdate")
        self._mark_pending = scripts.load("entries_mark_pending")

    async def read(self, citizen_id: str, registers: Iterable[str], older_ids: Sequence[str] = ()) -> dict[str, Entry]:
        """The entries of these registers, in one round trip.

        `older_ids` are the citizen's ids by former peppers, newest first: data under one of them are the citizen's too,
        until newer data arrive.
        """
        registers = tuple(registers)
        places = [(register, who) for register in registers for who in (citizen_id, *older_ids)]
        keys = [entry_key(who, register) for register, who in places]
        now, *found = await self._read(entries=keys)
        entries: dict[str, Entry] = {}
        for (register, _), key, fields in zip(places, keys, found, strict=True):
            entry = self.entry(key, fields, now)
            entries[register] = _with_newest_data(entries[register], entry) if register in entries else entry
        return entries

    def entry(self, key: str, fields: Sequence[bytes], now: int) -> Entry:
        """The entry of which Redis has these fields, each with its value behind it.

        An unreadable entry counts as missing, and does not affect the others.
        """
        try:
            return self._parsed(key, dict(zip(fields[::2], fields[1::2], strict=True)), now)
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
        """Stores the data of a fetch that began `age` ago. False when newer data are there already."""
        key = entry_key(citizen_id, register)
        content = {name: [item.model_dump(mode="json") for item in items] for name, items in sections.items()}
        data = self._sealer.seal(json.dumps(content, ensure_ascii=False).encode(), f"{key}#data")
        stored = await self._store(
            entry=key,
            format=FORMAT,
            data=data,
            age=ms(age),
            fresh=ms(fresh_for),
            usable=ms(usable_for),
            channel=entry_channel(citizen_id),
            event=register,
        )
        return bool(stored)

    async def fail(
        self, citizen_id: str, register: str, reason: str, *, age: timedelta, retry_after: timedelta
    ) -> bool:
        """Remembers for `retry_after` that a fetch that began `age` ago failed. False when newer data are there."""
        stored = await self._fail(
            entry=entry_key(citizen_id, register),
            format=FORMAT,
            reason=reason,
            age=ms(age),
            retry=ms(retry_after),
            channel=entry_channel(citizen_id),
            event=register,
        )
        return bool(stored)

    async def mark_pending(self, citizen_id: str, limits: Mapping[str, timedelta]) -> None:
        """Marks the entries of these registers as being fetched, each for at most its limit."""
        keys = [entry_key(citizen_id, register) for register in limits]
        await self._mark_pending(entries=keys, format=FORMAT, limits=map(ms, limits.values()))

    async def discard(self, citizen_id: str, register: str) -> None:
        """Deletes the data of an entry."""
        await self._redis.hdel(entry_key(citizen_id, register), "data", "fetched_at", "fresh_until", "usable_until")

    async def erase(self, citizen_id: str, registers: Iterable[str]) -> int:
        """Deletes these entries. Returns how many there were."""
        erased = [await self._redis.delete(entry_key(citizen_id, register)) for register in registers]
        return sum(erased)

    async def outdate(self, citizen_id: str, register: str) -> None:
        """Makes the data of an entry stale: a page may still show them, and a refresh is of use at once."""
        await self._outdate(entry=entry_key(citizen_id, register))

    async def unmark_pending(self, citizen_id: str, register: str) -> None:
        """Removes that mark, when the fetch could not be started."""
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


def _datetime(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
