"""Partial answers: registers whose answers lately had items that were left out, recorded for all processes.

One hash per register at the coordination server, `partial:<register>`: `since` and `last` (milliseconds since 1970, by
that server's clock) and `kind:<kind>`, how many items of that kind were left out. It holds nothing of a citizen, and
expires when KEPT_FOR has passed without another.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis

from registerbro.storage.keys import partial_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

KEPT_FOR = timedelta(hours=1)
"""The schedule meets an item that many citizens have every few seconds, and one of a single citizen a few times a day:
an hour without any ends the former, and is long enough for an operator to see the latter."""

_KIND = "kind:"


class PartialView(BaseModel):
    """Unreadable items in a register's answers: how many in all and by kind, and in which time (UTC)."""

    model_config = ConfigDict(frozen=True)

    items: int
    kinds: dict[str, int]
    since: datetime
    last: datetime

    @property
    def told(self) -> str:
        """»3 items (period)«, or »3 items (income_type 1, period 2)«."""
        several = len(self.kinds) > 1
        kinds = ", ".join(f"{kind} {count}" if several else kind for kind, count in self.kinds.items())
        return f"{self.items} item{'s' if self.items != 1 else ''} ({kinds})"


async def record(coordination: Redis, register: str, kinds: Mapping[str, int]) -> None:
    """Adds the unreadable items of one answer, by kind.

    Raises nothing: an answer is stored and shown whether or not this is recorded.
    """
    counts = [item for kind, count in kinds.items() for item in (kind, count)]
    try:
        script = Scripts(coordination, __file__, KIND=_KIND).load("partial_answers_record")
        await script(partial=partial_key(register), kept_for=ms(KEPT_FOR), kinds=counts)
    except REDIS_DOWN as error:
        log.warning("partial_answer_not_noted", register=register, detail=type(error).__name__)


async def status(coordination: Redis, registers: Iterable[str]) -> dict[str, PartialView | None]:
    """The record of each register; None where it is not partial. Raises REDIS_DOWN errors."""
    registers = tuple(registers)
    pipeline = coordination.pipeline(transaction=False)
    for register in registers:
        pipeline.hgetall(partial_key(register))
    return {name: _view(fields) for name, fields in zip(registers, await pipeline.execute(), strict=True)}


def _view(fields: Mapping[bytes, bytes]) -> PartialView | None:
    if not fields:
        return None
    kinds = {
        name.decode().removeprefix(_KIND): int(count)
        for name, count in sorted(fields.items())
        if name.startswith(_KIND.encode())
    }
    return PartialView(
        items=sum(kinds.values()), kinds=kinds, since=_moment(fields[b"since"]), last=_moment(fields[b"last"])
    )


def _moment(at: bytes) -> datetime:
    return datetime.fromtimestamp(int(at) / 1000, UTC)
