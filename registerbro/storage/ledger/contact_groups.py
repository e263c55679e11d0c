"""Contact groups of citizens: per citizen a sealed record on the ledger of the periods that looks have shown so far.

    contact_groups:{visitering}:<id>     string, sealed: the history (`domain/contact_group_history.py`)
    contact_groups:clock:{visitering}    hash: the steady clock by which looks are ordered

Each look is joined to the record; nothing of it is removed but by `erase`, and by time after the last look. A record is
written only if it is as it was read, so that of two workers neither loses the other's look. The register tells the
current groups alone, and the cache may be lost: what is not kept here is not known any more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from domain.contact_group_history import ContactGroupHistory
from domain.overview import ContactGroupPeriod
from registerbro.storage.keys import CONTACT_GROUPS_CLOCK_KEY, contact_groups_key
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from registerbro.storage.steady_clock import Steady
from registerbro.telemetry import metrics

log = structlog.get_logger()

_FORM: Final = TypeAdapter(ContactGroupHistory)


@dataclass(frozen=True, slots=True)
class Look:
    """What the register said of a citizen's contact groups.

    `day` is the Danish day on which it was asked, and `age` how long ago that was. The look is not `is_whole` when a
    group that was open may not be in it.
    """

    groups: Sequence[ContactGroupPeriod]
    day: date
    age: timedelta
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one citizen, and until when; `history` is None when it does not open."""

    history: ContactGroupHistory | None
    kept_until: datetime


class ContactGroups:
    """Reads and writes the records. Every method raises REDIS_DOWN errors.

    `clock` and `monotonic` are those of `Steady`, for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        sealer: Sealer,
        clock: Callable[[], int] | None = None,
        *,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        scripts = Scripts(ledger.redis, __file__, Steady(ledger.redis, clock, monotonic))
        self._read = scripts.load("contact_groups_read")
        self._put = scripts.load("contact_groups_put")

    async def join(self, citizen_ids: Sequence[str], look: Look, keep_for: timedelta) -> ContactGroupHistory:
        """Joins a look to the citizen's record, which is kept for `keep_for` from now. Returns all that is known.

        `citizen_ids` are all ids of the citizen, the newest first. Records of older ids are moved to the newest one.
        Ends once no other process has written meanwhile; each time that one has, that one's look is on record.
        """
        keys = [contact_groups_key(one) for one in citizen_ids]
        while True:
            now, *before = await self._read(records=keys, clock=CONTACT_GROUPS_CLOCK_KEY)
            history = ContactGroupHistory.of_look(
                look.groups, max(0, int(now) - ms(look.age)), look.day, is_whole=look.is_whole
            )
            for one, key, sealed in zip(citizen_ids, keys, before, strict=True):
                if sealed and (known := self._opened(one, key, sealed)) is not None:
                    history = known.joined(history)
            after = self._sealer.seal(_FORM.dump_json(history), keys[0])
            put = self._put.call(records=keys, keep_for=ms(keep_for), after=after, before=before)
            if await self._ledger.durably(put):
                return history

    async def record(self, citizen_id: str) -> Record | None:
        """What is kept of a citizen, for the citizen."""
        key = contact_groups_key(citizen_id)
        async with self._ledger.redis.pipeline(transaction=True) as pipeline:
            pipeline.get(key)
            pipeline.pttl(key)
            sealed, left = await pipeline.execute()
        if not sealed:
            return None
        return Record(self._opened(citizen_id, key, sealed), datetime.now(UTC) + timedelta(milliseconds=left))

    async def erase(self, citizen_ids: Iterable[str]) -> bool:
        """Erases what is kept under these ids. Returns whether there was something."""
        gone = [await self._ledger.redis.delete(contact_groups_key(one)) for one in citizen_ids]
        return any(gone)

    def _opened(self, citizen_id: str, key: str, sealed: bytes) -> ContactGroupHistory | None:
        """The record's history. One that does not open counts as none: then nothing is known of what it held."""
        try:
            return _FORM.validate_json(self._sealer.open(sealed, key))
        except (Unreadable, ValidationError) as error:
            metrics.UNREADABLE.labels("contact_groups").inc()
            log.error("contact_groups_unreadable", citizen=citizen_id, detail=type(error).__name__)
            return None
