"""Which registers are partial: they lately gave answers of which items had to be left out, noted for all processes.

One hash per register at the coordination server, `partial:<register>`: `since` and `last` (milliseconds since 1970, by
that server's clock) and `kind:<kind>`, how many items of that kind were left out. It holds nothing of a citizen, and
expires when KEPT_FOR has passed without another.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis

from workers.cache.scripts import NOW, ms
from workers.connections import REDIS_DOWN

log = structlog.get_logger()

KEPT_FOR = timedelta(hours=1)
"""The schedule meets an item that many citizens have within seconds of the last, and one whom it concerns alone a few
times a day: an hour without is an end of the former, and long enough for somebody to see the latter."""

_KIND = "kind:"

_NOTE = f"""{NOW}
-- KEYS: the register's. ARGV: for how many ms it is kept, then kind and count of each kind.
redis.call('HSETNX', KEYS[1], 'since', now)
redis.call('HSET', KEYS[1], 'last', now)
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], '{_KIND}' .. ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
"""


class PartialView(BaseModel):
    """A register whose answers had items that could not be read: how many, by kind too, and in which time (UTC)."""

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


async def note(coordination: Redis, register: str, kinds: Mapping[str, int]) -> None:
    """Notes that an answer of the register had so many items of each kind that could not be read.

    Raises nothing: an answer is stored and shown whether or not this could be noted.
    """
    args = [argument for kind, count in kinds.items() for argument in (kind, count)]
    try:
        await coordination.register_script(_NOTE)(keys=[_key(register)], args=[ms(KEPT_FOR), *args])
    except REDIS_DOWN as error:
        log.warning("partial_answer_not_noted", register=register, detail=type(error).__name__)


async def look(coordination: Redis, registers: Iterable[str]) -> dict[str, PartialView | None]:
    """Of each register what is noted; None where it is not partial. Raises REDIS_DOWN errors."""
    registers = tuple(registers)
    pipeline = coordination.pipeline(transaction=False)
    for register in registers:
        pipeline.hgetall(_key(register))
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


def _key(register: str) -> str:
    return f"partial:{register}"
