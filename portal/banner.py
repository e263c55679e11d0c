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
                marks = self._services.ledger.redis.pipeline(transaction=False)
                for key in self._keys(citizen):
                    marks.exists(key)
                return any(await marks.execute())
        except REDIS_DOWN as error:
            log.warning("banner_not_known", detail=type(error).__name__)
            return True

    async def dismiss(self, citizen: Citizen) -> None:
        """Hides it for good; returns once that is on the ledger's disk. Raises REDIS_DOWN errors."""
        await self._services.ledger.durably(self._dismiss, self._keys(citizen)[:1], [], repeatable=True)

    def _keys(self, citizen: Citizen) -> list[str]:
        return [banner_key(citizen_id) for citizen_id in self._services.citizens.ids_of(citizen.cpr)]


def banner_key(citizen_id: str) -> str:
    """The key on the ledger that says: this citizen wants to see no more of the banner."""
    return f"banner:{{{citizen_id}}}"
