"""Quarantine check: before each call, refuses citizens for whom an upstream once answered with another person (R7).

A quarantined citizen is not asked about at that upstream until an operator releases them. Such an answer cuts the
upstream off until an operator lifts that; without the quarantine, the same citizen, whose number was perhaps changed,
would cut it off again at once. `registerbro/storage/ledger/quarantine.py` is the store.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from registerbro.storage.ledger.quarantine import Quarantine
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.upstreams.errors import Quarantined, QuarantineUnknown

log = structlog.get_logger()

KNOWN_FOR = 1.0
"""Seconds for which a reading stays valid, within one generation of the breaker."""
READ_WITHIN = 0.5
"""Seconds that a call waits for the ledger."""
WRITE_AGAIN_AFTER = 1.0
"""Seconds after which an entry that the ledger did not take is written again."""

_concerned: ContextVar[tuple[str, ...]] = ContextVar("quarantine", default=())


@contextmanager
def about(citizen_ids: Sequence[str]) -> Iterator[None]:
    """Names the citizen whom every call in the block is about, by all their ids, the newest first."""
    token = _concerned.set(tuple(citizen_ids))
    try:
        yield
    finally:
        _concerned.reset(token)


def concerned() -> tuple[str, ...]:
    """The ids of the citizen whom calls are about, the newest first; empty for calls that are about no citizen."""
    return _concerned.get()


class Watch:
    """One process's copy of the quarantine at one upstream, checked before each call; nearly always from memory.

    The answer that quarantines a citizen also cuts the upstream off, so that no call is made until an operator lifts
    that; both change the breaker's generation. So a copy read in a generation is valid for all of it, and is read anew
    at the first call of the next one. A release is looked up when it matters: before a call about that citizen.

    Without the ledger, and with a copy of another generation, no call is made (QuarantineUnknown). The one citizen who
    would cut the register off again may be among the callers, and that costs all citizens the register until an
    operator comes; a ledger that is away costs it only for as long as that lasts, and is an alarm by itself.
    """

    def __init__(self, quarantine: Quarantine, upstream: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._quarantine = quarantine
        self._upstream = upstream
        self._clock = clock
        self._held: Mapping[str, int] = {}
        self._generation: int | None = None
        self._read_at: float | None = None
        self._unwritten: dict[str, int] = {}
        """Citizens whom this process has quarantined, and the ledger has not taken yet."""
        self._writing: asyncio.Task[None] | None = None
        self._reading = asyncio.Lock()

    async def check(self, citizen_ids: Sequence[str], generation: int | None) -> None:
        """Raises Quarantined for any of a citizen's ids; QuarantineUnknown when that cannot be read.

        `generation` is the breaker's, in which the call would be made; None when this process decides without Redis,
        and so would miss another generation.
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
        """Quarantines a citizen, for this process at once. Without the ledger, the entry is written again later."""
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
        """Reads the quarantine, unless the copy is valid; raises QuarantineUnknown when neither is possible."""
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
                # In this generation no citizen can have been added; a released one waits for the ledger.
            self._generation, self._read_at = generation, began

    async def _rename(self, old_id: str, new_id: str) -> None:
        """Moves the entry to the newest id, by which it is found when the older pepper is gone."""
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
