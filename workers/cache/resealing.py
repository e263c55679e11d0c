"""Finds what is kept sealed, and by which key; and seals anew, with the newest, what older ones sealed.

All of it goes on while everything runs: a value is put in another's place only while that one is still there.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from workers.cache.sealing import Sealer, Unreadable, sealed_with

AT_ONCE = 200
"""About how many keys are read in one round trip."""

# KEYS: where it is. ARGV: field ('' for a plain value), as it was, as it is to be.
_PUT = """
if ARGV[1] == '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
else
  if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return 1
"""


class Kind(StrEnum):
    """What is kept sealed."""

    CITIZEN = "citizen"
    ENTRY = "entry"
    EMPLOYER = "employer"
    """The name of one who is a human being; other employers' names stand there in the clear."""
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value where it stands; `name` is empty for one that is no field of a hash."""

    kind: Kind
    key: str
    name: str
    content: bytes = field(repr=False)

    @property
    def bound_to(self) -> str:
        """The place that it was sealed for."""
        return f"{self.key}#{self.name}" if self.name else self.key

    @property
    def key_id(self) -> bytes | None:
        """Which key sealed it; None when it is no sealed value at all."""
        return sealed_with(self.content)


class Resealing:
    """Over the cache and the ledger of an installation. Every method raises REDIS_DOWN errors."""

    def __init__(self, cache: Redis, ledger: Redis, sealer: Sealer) -> None:
        self._sealer = sealer
        self._places: tuple[tuple[Kind, Redis, str, tuple[str, ...]], ...] = (
            (Kind.CITIZEN, cache, "citizen:*", ()),
            (Kind.ENTRY, cache, "entry:*", ("data",)),
            (Kind.EMPLOYER, cache, "employer:*", ()),
            (Kind.REPORT, ledger, "{reports}:report:*", ("content", "answer")),
        )
        self._put: AsyncScript = cache.register_script(_PUT)

    async def values(self) -> AsyncIterator[Sealed]:
        """Every sealed value. One that changes meanwhile may come twice, or not at all if it is new."""
        for kind, redis, pattern, fields in self._places:
            async for sealed in _values(kind, redis, pattern, fields):
                yield sealed

    async def renew(self, sealed: Sealed) -> bool:
        """Seals a value with the newest key, in its place. False when it has changed, and so was sealed meanwhile.

        Raises Unreadable.
        """
        content = self._sealer.seal(self._sealer.open(sealed.content, sealed.bound_to), sealed.bound_to)
        redis = next(redis for kind, redis, _, _ in self._places if kind is sealed.kind)
        return bool(await self._put(keys=[sealed.key], args=[sealed.name, sealed.content, content], client=redis))

    async def renew_all(self) -> AsyncIterator[bool]:
        """Renews whatever the newest key did not seal; says of each value whether it opened."""
        newest = self._sealer.key_ids[0]
        async for sealed in self.values():
            if sealed.key_id != newest:
                try:
                    await self.renew(sealed)
                except Unreadable:
                    yield False
                else:
                    yield True


async def _values(kind: Kind, redis: Redis, pattern: str, fields: Sequence[str]) -> AsyncIterator[Sealed]:
    cursor: int = 0
    keys: Any
    while True:
        cursor, keys = await redis.scan(cursor, match=pattern, count=AT_ONCE)
        async for sealed in _read(kind, redis, [key.decode() for key in keys], fields):
            yield sealed
        if cursor == 0:
            return


async def _read(kind: Kind, redis: Redis, keys: Sequence[str], fields: Sequence[str]) -> AsyncIterator[Sealed]:
    pipeline = redis.pipeline(transaction=False)
    for key in keys:
        if fields:
            pipeline.hmget(key, list(fields))
        else:
            pipeline.get(key)
    for key, answer in zip(keys, await pipeline.execute(), strict=True):
        for name, content in zip(fields, answer, strict=True) if fields else (("", answer),):
            # The vendor's answer may be noted as none.
            if content and (kind is not Kind.EMPLOYER or sealed_with(content)):
                yield Sealed(kind, key, name, content)
