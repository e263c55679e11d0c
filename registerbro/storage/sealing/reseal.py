"""Resealing: finds sealed values by their key, and seals those of older keys again with the newest.

It runs while everything else runs: a script replaces a value only if it is unchanged.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis

from registerbro.storage.keys import (
    ANY,
    citizen_key,
    contact_groups_key,
    employer_key,
    entry_key,
    reports_key,
    standing_key,
    subscription_key,
)
from registerbro.storage.lua import Scripts
from registerbro.storage.sealing.sealer import Sealer, Unreadable, sealed_with

AT_ONCE = 200
"""About how many Redis keys one round trip reads."""


class Kind(StrEnum):
    """Kinds of sealed values."""

    CITIZEN = "citizen"
    STANDING = "standing"
    """A citizen's contact groups and uddannelsespålæg."""
    ENTRY = "entry"
    EMPLOYER = "employer"
    """Name of an employer who is a person; other employers' names are not sealed."""
    REPORT = "report"
    SUBSCRIPTION = "subscription"
    """CPR number of a citizen who is subscribed at a register."""
    CONTACT_GROUPS = "contact_groups"
    """A citizen's contact groups over time."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Sealed value and its place; `name` is the field of a hash, or empty."""

    kind: Kind
    key: str
    name: str
    content: bytes = field(repr=False)

    @property
    def bound_to(self) -> str:
        """The place that the value was sealed for."""
        return f"{self.key}#{self.name}" if self.name else self.key

    @property
    def key_id(self) -> bytes | None:
        """Id of the key that sealed the value; None when it is no sealed value."""
        return sealed_with(self.content)


class Resealing:
    """Sealed values of an installation's cache and ledger. Every method raises REDIS_DOWN errors."""

    def __init__(self, cache: Redis, ledger: Redis, sealer: Sealer) -> None:
        self._sealer = sealer
        self._places: tuple[tuple[Kind, Redis, str, tuple[str, ...]], ...] = (
            (Kind.CITIZEN, cache, citizen_key(ANY), ()),
            (Kind.STANDING, cache, standing_key(ANY), ()),
            (Kind.ENTRY, cache, entry_key(ANY, ANY), ("data",)),
            (Kind.EMPLOYER, cache, employer_key(ANY), ()),
            (Kind.REPORT, ledger, reports_key(f"report:{ANY}"), ("content", "answer")),
            (Kind.SUBSCRIPTION, ledger, subscription_key(ANY, ANY), ("number",)),
            (Kind.CONTACT_GROUPS, ledger, contact_groups_key(ANY), ()),
        )
        self._put = {redis: Scripts(redis, __file__).load("reseal_put") for redis in (cache, ledger)}

    async def values(self) -> AsyncIterator[Sealed]:
        """Every sealed value. A value that changes meanwhile may come twice; a new value may be missing."""
        for kind, redis, pattern, fields in self._places:
            async for sealed in _values(kind, redis, pattern, fields):
                yield sealed

    async def renew(self, sealed: Sealed) -> bool:
        """Seals a value again with the newest key, in its place. False when another process has changed it.

        Raises Unreadable.
        """
        content = self._sealer.seal(self._sealer.open(sealed.content, sealed.bound_to), sealed.bound_to)
        redis = next(redis for kind, redis, _, _ in self._places if kind is sealed.kind)
        put = self._put[redis]
        return bool(await put(place=sealed.key, field=sealed.name, before=sealed.content, after=content))

    async def renew_all(self) -> AsyncIterator[bool]:
        """Renews every value that the newest key did not seal. Yields whether each value opened."""
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
            # The vendor's answer may be empty.
            if content and (kind is not Kind.EMPLOYER or sealed_with(content)):
                yield Sealed(kind, key, name, content)
