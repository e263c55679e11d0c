"""What the ledger knows of each chain: where it has come to, and from where on it is still kept.

A chain shows by itself that a line of it was changed, or taken out of its middle. That its end was cut off, or that all
of it is gone, shows by its head on another machine.

Each service that writes chains has two hashes of its own there, by chain, named after the user that it signs in to the
ledger as: so no service can change or delete what the ledger knows of another's. Releases before had two for
all, without a name behind them; what stands there is taken over by whoever has the chain's files (`adopt`).
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from redis.exceptions import NoPermissionError
from redis.typing import EncodableT

from config.celery import REGISTERS, service_of
from workers.audit.record import Position
from workers.cache.ledger import Ledger

HEADS, FLOORS = "audit:heads", "audit:floors"
"""Two hashes, by chain, of each writer: its name stands behind them, after a colon. Without one, those of before."""
NOBODY = "default"
"""The writer where services do not sign in, or as somebody that is not known here."""
WRITERS = (NOBODY, "portal", "operator", *map(service_of, REGISTERS))
"""Who writes chains, by the user's name on the ledger."""
READERS = (NOBODY, "portal", "operator")
"""Who may read those of all: the others see their own, which are all that their folders have."""

# KEYS: heads. ARGV: chain, number of the line, its hash, whether the chain is closed. A head never goes back.
_PUT = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and tonumber(cjson.decode(known).seq) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1],
  '{"seq":' .. ARGV[2] .. ',"hash":"' .. ARGV[3] .. '","closed":' .. ARGV[4] .. '}')
return 1
"""
# KEYS: floors. ARGV: chain, the same of the last line that is no longer kept.
_RAISE = """
redis.call('HSET', KEYS[1], ARGV[1], '{"seq":' .. ARGV[2] .. ',"hash":"' .. ARGV[3] .. '"}')
return 1
"""
_FORGET = "return redis.call('HDEL', KEYS[1], ARGV[1]) + redis.call('HDEL', KEYS[2], ARGV[1])"


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain had come for certain; `floor` is its last line that is no longer kept."""

    position: Position
    closed: bool
    """Whether it was closed in order: then there is nothing behind its head."""
    floor: Position


class Heads:
    """Reads and writes them. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._writer = ledger.user if ledger.user in WRITERS else NOBODY
        self._seen = WRITERS if self._writer in READERS else (self._writer,)
        self._put = ledger.redis.register_script(_PUT)
        self._raise = ledger.redis.register_script(_RAISE)
        self._forget = ledger.redis.register_script(_FORGET)

    async def read(self) -> Mapping[str, Head]:
        """By chain, those of every writer; where this is a worker that signs in as itself, its own service's.

        Should two writers claim a chain, the higher head and the lower floor are believed: more is looked for then.
        """
        told = await self._told((*self._seen, ""))
        before = told.pop("", {})
        found: dict[str, Head] = {}
        for heads in told.values():
            for chain, head in heads.items():
                found[chain] = _both(head, found[chain]) if chain in found else head
        for chain, head in before.items():
            if chain not in found or found[chain].position.seq < head.position.seq:
                found[chain] = head
        return found

    async def own(self) -> Mapping[str, Head]:
        """Those of this process's own service."""
        return (await self._told((self._writer,)))[self._writer]

    async def adopt(self, chains: Collection[str]) -> None:
        """Takes over what the ledger knows of these chains from before writers had hashes of their own.

        Whoever may also write there takes out what has been taken over, by whomever.
        """
        told = await self._told((*self._seen, ""))
        before = told.pop("", {})
        for chain in before.keys() & set(chains) - told[self._writer].keys():
            head = before[chain]
            if head.floor.seq:
                await self.raise_floor(chain, head.floor)
            await self.put(chain, head.position, closed=head.closed)
            told[self._writer] = {**told[self._writer], chain: head}
        taken = [
            chain
            for chain, head in before.items()
            if any(chain in heads and heads[chain].position.seq >= head.position.seq for heads in told.values())
        ]
        if taken:
            try:
                await self._ledger.redis.hdel(HEADS, *taken)
                await self._ledger.redis.hdel(FLOORS, *taken)
            except NoPermissionError:
                # The portal does it, at its next start.
                return

    async def today(self) -> date:
        """The day, in UTC, by the ledger's clock."""
        seconds, _ = await self._ledger.redis.time()
        return datetime.fromtimestamp(seconds, UTC).date()

    async def put(self, chain: str, position: Position, *, closed: bool) -> bool:
        """Moves a chain's head forward. False when it is further already: then this is not that chain any more."""
        args: list[EncodableT] = [chain, position.seq, position.hash, "true" if closed else "false"]
        return bool(await self._ledger.durably(self._put, [_key(HEADS, self._writer)], args, repeatable=True))

    async def raise_floor(self, chain: str, floor: Position) -> None:
        """Notes that a chain is no longer kept up to there."""
        args: list[EncodableT] = [chain, floor.seq, floor.hash]
        await self._ledger.durably(self._raise, [_key(FLOORS, self._writer)], args, repeatable=True)

    async def forget(self, chain: str) -> None:
        """Notes that nothing of a chain is kept any longer."""
        keys = [_key(name, self._writer) for name in (HEADS, FLOORS)]
        await self._ledger.durably(self._forget, keys, [chain], repeatable=True)

    async def _told(self, writers: Collection[str]) -> dict[str, dict[str, Head]]:
        """Of each writer that this process may read, its heads by chain; of nobody (""), those of before."""
        async with self._ledger.redis.pipeline(transaction=False) as pipeline:
            # The heads last: what they know of is on the disks by then, and no floor is older than its head.
            for name in (FLOORS, HEADS):
                for writer in writers:
                    pipeline.hgetall(_key(name, writer))
            answers = await pipeline.execute(raise_on_error=False)
        told = {}
        for writer, floors, heads in zip(writers, answers[: len(writers)], answers[len(writers) :], strict=True):
            for answer in (floors, heads):
                if isinstance(answer, Exception) and not isinstance(answer, NoPermissionError):
                    raise answer
            if not isinstance(floors, Exception) and not isinstance(heads, Exception):
                told[writer] = dict(_read(floors, heads))
        return told


def _key(name: str, writer: str) -> str:
    return f"{name}:{writer}" if writer else name


def _read(floors: dict[Any, Any], heads: dict[Any, Any]) -> Iterator[tuple[str, Head]]:
    for chain, text in heads.items():
        head, floor = json.loads(text), json.loads(floors.get(chain, b"{}"))
        yield (
            chain.decode(),
            Head(
                Position(head["seq"], head["hash"]),
                head["closed"],
                Position(floor["seq"], floor["hash"]) if floor else Position(),
            ),
        )


def _both(one: Head, other: Head) -> Head:
    higher = max(one, other, key=lambda head: head.position.seq)
    return Head(higher.position, higher.closed, min(one.floor, other.floor, key=lambda floor: floor.seq))
