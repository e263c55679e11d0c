"""Whether the front page shows the banner of §1.1: to the target group, until the citizen has had enough of it."""

import asyncio

import structlog

from portal.reader import ANSWER_WITHIN
from workers.connections import REDIS_DOWN
from workers.refresh import Citizen
from workers.runtime import Services

log = structlog.get_logger()

# KEYS: the citizen's mark.
_DISMISS = "redis.call('SET', KEYS[1], '1')\nreturn 1"


class Banner:
    """Keeps on the ledger who dismissed the banner, for good."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._dismiss = services.ledger.redis.register_script(_DISMISS)

    async def is_dismissed(self, citizen: Citizen) -> bool:
        """Whether this citizen wants to see no more of it; taken to be so while the ledger does not answer."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                return bool(await self._services.ledger.redis.exists(self._key(citizen)))
        except REDIS_DOWN as error:
            log.warning("banner_not_known", detail=type(error).__name__)
            return True

    async def dismiss(self, citizen: Citizen) -> None:
        """Hides it for good; returns once that is on the ledger's disk. Raises REDIS_DOWN errors."""
        await self._services.ledger.durably(self._dismiss, [self._key(citizen)], [], repeatable=True)

    def _key(self, citizen: Citizen) -> str:
        return f"banner:{{{self._services.citizens.id_of(citizen.cpr)}}}"
