"""Overrides on the ledger: what an operator decided outlives every other Redis and every process.

Each upstream's has a key of its own, so that a worker's user can have the keys of what it calls, and no others.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from workers.connections import REDIS_DOWN
from workers.resilience.admission.shared import Ordered
from workers.resilience.admission.terms import Override

TOGETHER = "overrides"
"""The hash, by upstream, in which releases before had all of them."""
MOVE_AGAIN_AFTER = 5.0
"""Seconds."""

# KEYS: the hash, the upstream's key. ARGV: the upstream. Of two, the one that was ordered last is in force.
_MOVE = """
local before, now = redis.call('HGET', KEYS[1], ARGV[1]), redis.call('GET', KEYS[2])
if not before then return 0 end
if not now or cjson.decode(now).at < cjson.decode(before).at then redis.call('SET', KEYS[2], before) end
return redis.call('HDEL', KEYS[1], ARGV[1])
"""


class Overrides:
    """Reads and writes them. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Redis) -> None:
        self._ledger = ledger
        self._move = ledger.register_script(_MOVE)

    async def get(self, upstream: str) -> Ordered | None:
        """The override of one upstream, if there is one."""
        found = await self._ledger.get(key(upstream))
        if found is None:
            return None
        values = json.loads(found)
        user = values.get("user", "")
        return Ordered(Override(values["override"]), values["by"], values["at"], values["reason"], user)

    async def put(self, upstream: str, ordered: Ordered | None) -> None:
        """Sets it, or lifts it."""
        if ordered is None:
            # In this order, or what is lifted would come back from there.
            await self.move()
            await self._ledger.delete(key(upstream))
        else:
            await self._ledger.set(key(upstream), json.dumps(asdict(ordered), ensure_ascii=False))

    async def keep_moving(self) -> None:
        """Does `move`, once the ledger answers. Raises nothing."""
        while True:
            try:
                return await self.move()
            except REDIS_DOWN:
                await asyncio.sleep(MOVE_AGAIN_AFTER)

    async def move(self) -> None:
        """Gives those of the releases before keys of their own; without the right to, leaves that to who has it."""
        try:
            before: list[Any] = await self._ledger.hkeys(TOGETHER)
        except NoPermissionError:
            return
        for name in before:
            await self._move(keys=[TOGETHER, key(name.decode())], args=[name])


def key(upstream: str) -> str:
    """The ledger's key of an upstream's override."""
    return f"override:{upstream}"
