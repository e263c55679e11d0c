"""Quarantine store: which citizens an upstream is not asked about, since it once answered with another person (R7).

Kept on the ledger, by opaque id, with the time, so that a quarantine outlives every process and every other Redis, as
overrides do. `registerbro/upstreams/quarantine.py` is the check before each call.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.asyncio import Redis

from registerbro.storage.keys import quarantine_key


@dataclass(frozen=True, slots=True)
class Entry:
    """One citizen in quarantine at one upstream."""

    upstream: str
    citizen_id: str
    since: datetime
    """When their answer came, in UTC."""


class Quarantine:
    """Reads and writes the quarantines of all upstreams. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Redis) -> None:
        self._ledger = ledger

    async def put(self, upstream: str, citizen_id: str, since: int) -> None:
        """Quarantines a citizen, `since` in ms after 1970; an earlier quarantine keeps its time."""
        await self._ledger.hsetnx(quarantine_key(upstream), citizen_id, str(since))

    async def rename(self, upstream: str, old_id: str, new_id: str, since: int) -> None:
        """Moves a citizen's quarantine to another id of theirs, as after a change of the pepper."""
        async with self._ledger.pipeline(transaction=True) as pipeline:
            pipeline.hsetnx(quarantine_key(upstream), new_id, str(since))
            pipeline.hdel(quarantine_key(upstream), old_id)
            await pipeline.execute()

    async def held(self, upstream: str) -> dict[str, int]:
        """Citizen id → since when, in ms after 1970."""
        found = await self._ledger.hgetall(quarantine_key(upstream))
        return {_text(citizen_id): int(since) for citizen_id, since in found.items()}

    async def entries(self, upstreams: Iterable[str]) -> list[Entry]:
        """The quarantines of these upstreams, in their order, the oldest first."""
        found: list[Entry] = []
        for upstream in upstreams:
            held = sorted((await self.held(upstream)).items(), key=lambda one: (one[1], one[0]))
            found += [Entry(upstream, held_id, datetime.fromtimestamp(since / 1000, UTC)) for held_id, since in held]
        return found

    async def count(self, upstreams: Sequence[str]) -> dict[str, int]:
        """Upstream → number of quarantined citizens."""
        async with self._ledger.pipeline(transaction=False) as pipeline:
            for upstream in upstreams:
                pipeline.hlen(quarantine_key(upstream))
            return dict(zip(upstreams, await pipeline.execute(), strict=True))

    async def release(self, upstream: str, citizen_id: str) -> bool:
        """Ends a citizen's quarantine. False when there was none at this upstream."""
        return bool(await self._ledger.hdel(quarantine_key(upstream), citizen_id))

    async def erase(self, citizen_ids: Sequence[str], upstreams: Iterable[str]) -> int:
        """Removes every quarantine of these ids; returns the number of upstreams that had one."""
        erased = [await self._ledger.hdel(quarantine_key(upstream), *citizen_ids) for upstream in upstreams]
        return sum(map(bool, erased))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
