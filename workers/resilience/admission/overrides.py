"""Overrides on the ledger: what an operator decided outlives every other Redis and every process."""

import json
from dataclasses import asdict

from redis.asyncio import Redis

from workers.resilience.admission.shared import Ordered
from workers.resilience.admission.terms import Override

KEY = "overrides"


class Overrides:
    """Reads and writes them. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Redis) -> None:
        self._ledger = ledger

    async def get(self, upstream: str) -> Ordered | None:
        """The override of one upstream, if there is one."""
        found = await self._ledger.hget(KEY, upstream)
        if found is None:
            return None
        values = json.loads(found)
        user = values.get("user", "")
        return Ordered(Override(values["override"]), values["by"], values["at"], values["reason"], user)

    async def put(self, upstream: str, ordered: Ordered | None) -> None:
        """Sets it, or lifts it."""
        if ordered is None:
            await self._ledger.hdel(KEY, upstream)
        else:
            await self._ledger.hset(KEY, upstream, json.dumps(asdict(ordered), ensure_ascii=False))
