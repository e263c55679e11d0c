"""Quarantine: who caused another person's answer (R7) is not asked about again there until an operator says so.

Such an answer cuts the upstream off until a person lifts that. Without this, the same citizen, whose number was perhaps
changed, would cut it off again as soon as it is lifted. It is kept on the ledger, by opaque id, with the time: it
outlives every process and every other Redis, as overrides do.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis

from workers.connections import REDIS_DOWN
from workers.resilience.errors import Quarantined, QuarantineUnknown

log = structlog.get_logger()

KNOWN_FOR = 1.0
"""Seconds for which what was read is not read again, within one generation of the breaker."""
READ_WITHIN = 0.5
"""Seconds that a call waits for the ledger."""
WRITE_AGAIN_AFTER = 1.0
"""Seconds after which an entry that the ledger did not take is written again."""

_concerned: ContextVar[tuple[str, ...]] = ContextVar("quarantine", default=())


@contextmanager
def about(citizen_ids: Sequence[str]) -> Iterator[None]:
    """Every call in the block is about the citizen with these ids, the newest first (those of older peppers behind)."""
    token = _concerned.set(tuple(citizen_ids))
    try:
        yield
    finally:
        _concerned.reset(token)


def concerned() -> tuple[str, ...]:
    """The ids of the citizen whom calls are about, the newest first; none for calls that are about nobody."""
    return _concerned.get()


@dataclass(frozen=True, slots=True)
class Entry:
    """One citizen in quarantine at one upstream."""

    upstream: str
    citizen_id: str
    since: datetime
    """When their answer came, in UTC."""


class Quarantine:
    """Who is in quarantine, as the ledger has it. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Redis) -> None:
        self._ledger = ledger

    async def put(self, upstream: str, citizen_id: str, since: int) -> None:
        """Puts a citizen in, since so many ms after 1970; who is in since before stays so."""
        await self._ledger.hsetnx(key(upstream), citizen_id, str(since))

    async def rename(self, upstream: str, old_id: str, new_id: str, since: int) -> None:
        """The same citizen under another id, as after a change of the pepper."""
        async with self._ledger.pipeline(transaction=True) as pipeline:
            pipeline.hsetnx(key(upstream), new_id, str(since))
            pipeline.hdel(key(upstream), old_id)
            await pipeline.execute()

    async def held(self, upstream: str) -> dict[str, int]:
        """Citizen id → since when, in ms after 1970."""
        found = await self._ledger.hgetall(key(upstream))
        return {_text(citizen_id): int(since) for citizen_id, since in found.items()}

    async def entries(self, upstreams: Iterable[str]) -> list[Entry]:
        """All of these upstreams, in their order, the longest held first."""
        found: list[Entry] = []
        for upstream in upstreams:
            held = sorted((await self.held(upstream)).items(), key=lambda one: (one[1], one[0]))
            found += [Entry(upstream, who, datetime.fromtimestamp(since / 1000, UTC)) for who, since in held]
        return found

    async def count(self, upstreams: Sequence[str]) -> dict[str, int]:
        """Upstream → how many are in quarantine there."""
        async with self._ledger.pipeline(transaction=False) as pipeline:
            for upstream in upstreams:
                pipeline.hlen(key(upstream))
            return dict(zip(upstreams, await pipeline.execute(), strict=True))

    async def release(self, upstream: str, citizen_id: str) -> bool:
        """Lets a citizen be asked about again. False when they are not in quarantine there."""
        return bool(await self._ledger.hdel(key(upstream), citizen_id))

    async def erase(self, citizen_ids: Sequence[str], upstreams: Iterable[str]) -> int:
        """Nothing of these ids is left; returns at how many upstreams they were in quarantine."""
        erased = [await self._ledger.hdel(key(upstream), *citizen_ids) for upstream in upstreams]
        return sum(map(bool, erased))


class Watch:
    """What one process knows of the quarantine at one upstream, and asks before each call; nearly always from memory.

    A citizen gets into quarantine by an answer that also cuts the upstream off, so that nobody calls until a person
    lifts that; and with both, the breaker's generation changes. So what was read in a generation is true for as long as
    the breaker is in it, and is read anew at the first call of the next one. That somebody was let go is asked when it
    matters, which is for them alone.

    When the ledger does not answer, and what is known is of another generation, nobody is called (QuarantineUnknown):
    the one citizen who would cut the register off again may be among them, and that costs everybody the register until
    a person comes, where a ledger that is away costs it for as long as that lasts, and is an alarm by itself.
    """

    def __init__(self, quarantine: Quarantine, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._quarantine = quarantine
        self._upstream = upstream
        self._clock = clock
        self._held: Mapping[str, int] = {}
        self._generation: int | None = None
        self._read_at: float | None = None
        self._unwritten: dict[str, int] = {}
        """Whom this process has put in, and the ledger did not take yet."""
        self._writing: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    async def check(self, citizen_ids: Sequence[str], generation: int | None) -> None:
        """Raises Quarantined when any of a citizen's ids is in; QuarantineUnknown when that cannot be known.

        `generation` is the breaker's, in which the call would be; None when this process decides alone, and so would
        not hear of another one.
        """
        await self._know(generation)
        if self._found(citizen_ids) is None:
            return
        await self._know(generation, anew=True)
        found = self._found(citizen_ids)
        if found is None:
            return
        if found != citizen_ids[0]:
            await self._rename(found, citizen_ids[0])
        raise Quarantined("another person's answer came for this citizen; an operator has to let them")

    async def put(self, citizen_id: str, since: int) -> None:
        """Puts a citizen in, for this process at once. When the ledger does not take it, it is written again later."""
        self._unwritten.setdefault(citizen_id, since)
        try:
            await self._write()
        except REDIS_DOWN as failure:
            log.critical(
                "quarantine_not_on_ledger",
                upstream=self._upstream,
                citizen=citizen_id,
                detail=type(failure).__name__,
            )
            if self._writing is None or self._writing.done():
                self._writing = asyncio.create_task(self._write_later())

    def _found(self, citizen_ids: Sequence[str]) -> str | None:
        return next((one for one in citizen_ids if one in self._held or one in self._unwritten), None)

    def _is_known(self, generation: int | None, since: float) -> bool:
        return self._read_at is not None and self._read_at >= since and self._generation == generation

    async def _know(self, generation: int | None, *, anew: bool = False) -> None:
        """Reads who is in, unless that is known; raises QuarantineUnknown when it cannot be."""
        asked = self._clock()
        since = math.nextafter(asked, math.inf) if anew else asked - KNOWN_FOR
        if self._is_known(generation, since):
            return
        async with self._reading:
            if self._is_known(generation, since):
                # Another call, for which this one waited, has read it.
                return
            began = self._clock()
            try:
                async with asyncio.timeout(READ_WITHIN):
                    self._held = await self._quarantine.held(self._upstream)
            except REDIS_DOWN as failure:
                if generation is None or not self._is_known(generation, -math.inf):
                    log.error("quarantine_not_known", upstream=self._upstream, detail=type(failure).__name__)
                    raise QuarantineUnknown("the ledger does not say who is not to be asked about") from None
                # In this generation nobody can have been put in; whoever was let go waits for the ledger.
            self._generation, self._read_at = generation, began

    async def _rename(self, old_id: str, new_id: str) -> None:
        """By its newest id a citizen is found when the pepper of the older one is gone."""
        if old_id not in self._held:
            return
        since = self._held[old_id]
        try:
            await self._quarantine.rename(self._upstream, old_id, new_id, since)
        except REDIS_DOWN as failure:
            log.warning("quarantine_not_renamed", upstream=self._upstream, detail=type(failure).__name__)
        else:
            self._held = {**self._held, new_id: since}

    async def _write(self) -> None:
        for citizen_id, since in list(self._unwritten.items()):
            await self._quarantine.put(self._upstream, citizen_id, since)
            self._held = {**self._held, citizen_id: since}
            del self._unwritten[citizen_id]

    async def _write_later(self) -> None:
        while self._unwritten:
            await asyncio.sleep(WRITE_AGAIN_AFTER)
            try:
                await self._write()
            except REDIS_DOWN:
                continue
        log.warning("quarantine_on_ledger_again", upstream=self._upstream)


def key(upstream: str) -> str:
    """The ledger's key of those in quarantine at an upstream: citizen id → since when, in ms after 1970."""
    return f"quarantine:{upstream}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
