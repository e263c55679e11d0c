"""Snapshot: a citizen's entry of one register, and who the citizen is, read by one command for all who ask together."""

from dataclasses import dataclass

from redis.asyncio import Redis

from registerbro.storage.cache.citizens import Citizens, Known
from registerbro.storage.cache.entries import Entries, Entry
from registerbro.storage.keys import citizen_key, entry_key, standing_key
from registerbro.storage.lua import Scripts


@dataclass(frozen=True, slots=True, repr=False)
class Snapshot:
    """What a refresh has to know of a citizen before it asks the register."""

    entry: Entry
    _citizens: Citizens
    _citizen_id: str
    _number: bytes | None
    _standing: bytes | None

    def citizen(self) -> Known | None:
        """The citizen, unsealed now; None when the server no longer has the CPR number."""
        return self._citizens.opened(self._citizen_id, self._number, self._standing)


class Snapshots:
    """Reads snapshots from the cache, where `entries` and `citizens` are. Raises REDIS_DOWN errors."""

    def __init__(self, redis: Redis, entries: Entries, citizens: Citizens) -> None:
        self._entries = entries
        self._citizens = citizens
        self._read = Scripts(redis, __file__).load_batched("snapshots_read")

    async def read(self, citizen_id: str, register: str) -> Snapshot:
        """The citizen's entry of a register, and the citizen behind the id, as of one moment."""
        key = entry_key(citizen_id, register)
        now, fields, (number, standing) = await self._read(
            entry=key, citizen=citizen_key(citizen_id), standing=standing_key(citizen_id)
        )
        return Snapshot(self._entries.entry(key, fields, now), self._citizens, citizen_id, number, standing)
