"""What the ledger knows of each chain: where it has come to, and from where on it is still kept.

A chain shows by itself that a line of it was changed, or taken out of its middle. That its end was cut off, or that all
of it is gone, shows by its head on another machine.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from redis.typing import EncodableT

from workers.audit.record import Position
from workers.cache.ledger import Ledger

HEADS, FLOORS = "audit:heads", "audit:floors"
"""Two hashes, by chain."""

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
        self._put = ledger.redis.register_script(_PUT)
        self._raise = ledger.redis.register_script(_RAISE)
        self._forget = ledger.redis.register_script(_FORGET)

    async def read(self) -> Mapping[str, Head]:
        """All of them, by chain."""
        # The heads last: what they know of is on the disks by then, and no floor is older than its head.
        floors: dict[Any, Any] = await self._ledger.redis.hgetall(FLOORS)
        heads: dict[Any, Any] = await self._ledger.redis.hgetall(HEADS)
        found = {}
        for chain, text in heads.items():
            head, floor = json.loads(text), json.loads(floors.get(chain, b"{}"))
            found[chain.decode()] = Head(
                Position(head["seq"], head["hash"]),
                head["closed"],
                Position(floor["seq"], floor["hash"]) if floor else Position(),
            )
        return found

    async def today(self) -> date:
        """The day, in UTC, by the ledger's clock."""
        seconds, _ = await self._ledger.redis.time()
        return datetime.fromtimestamp(seconds, UTC).date()

    async def put(self, chain: str, position: Position, *, closed: bool) -> bool:
        """Moves a chain's head forward. False when it is further already: then this is not that chain any more."""
        args: list[EncodableT] = [chain, position.seq, position.hash, "true" if closed else "false"]
        return bool(await self._ledger.durably(self._put, [HEADS], args, repeatable=True))

    async def raise_floor(self, chain: str, floor: Position) -> None:
        """Notes that a chain is no longer kept up to there."""
        await self._ledger.durably(self._raise, [FLOORS], [chain, floor.seq, floor.hash], repeatable=True)

    async def forget(self, chain: str) -> None:
        """Notes that nothing of a chain is kept any longer."""
        await self._ledger.durably(self._forget, [HEADS, FLOORS], [chain], repeatable=True)
