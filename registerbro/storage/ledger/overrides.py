"""Overrides of breakers on the ledger: an operator's decision outlives every other Redis and every process.

Each upstream has a key of its own, so that a worker's user is granted the keys of the upstreams that it calls only.
"""

import asyncio
import json
from dataclasses import asdict
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from redis_admission import Override, OverrideOrder
from registerbro.storage.keys import FORMER_OVERRIDES_KEY, override_key
from registerbro.storage.lua import Scripts
from registerbro.storage.redis_client import REDIS_DOWN

MOVE_AGAIN_AFTER = 5.0
"""Seconds."""


class Overrides:
    """Overrides by upstream. Every method raises REDIS_DOWN errors."""

    def __init__(self, ledger: Redis) -> None:
        self._ledger = ledger
        self._move = Scripts(ledger, __file__).load("overrides_move")

    async def get(self, upstream: str) -> OverrideOrder | None:
        """The override of one upstream, if there is one."""
        found = await self._ledger.get(override_key(upstream))
        if found is None:
            return None
        values = json.loads(found)
        user = values.get("user", "")
        return OverrideOrder(Override(values["override"]), values["by"], values["at"], values["reason"], user)

    async def put(self, upstream: str, order: OverrideOrder | None) -> None:
        """Sets the override of one upstream, or lifts it (None)."""
        if order is None:
            # In this order, or the lifted override would come back from the former key.
            await self.move()
            await self._ledger.delete(override_key(upstream))
        else:
            await self._ledger.set(override_key(upstream), json.dumps(asdict(order), ensure_ascii=False))

    async def keep_moving(self) -> None:
        """Runs `move` once the ledger answers. Raises nothing."""
        while True:
            try:
                return await self.move()
            except REDIS_DOWN:
                await asyncio.sleep(MOVE_AGAIN_AFTER)

    async def move(self) -> None:
        """Gives overrides of former releases keys of their own. Without the right to, leaves that to the portal."""
        try:
            before: list[Any] = await self._ledger.hkeys(FORMER_OVERRIDES_KEY)
        except NoPermissionError:
            return
        for name in before:
            await self._move(former=FORMER_OVERRIDES_KEY, override=override_key(name.decode()), upstream=name)
