"""Dismissed banners: citizens who dismissed the banner of §1.1 on the front page."""

import asyncio

import structlog

from domain.cpr import Cpr
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.keys import banner_key
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.lua import Scripts
from registerbro.storage.redis_client import ANSWER_WITHIN, REDIS_DOWN

log = structlog.get_logger()


class DismissedBanners:
    """Dismissals, which the ledger keeps without an end."""

    def __init__(self, ledger: Ledger, citizens: Citizens) -> None:
        self._ledger = ledger
        self._citizens = citizens
        self._dismiss = Scripts(ledger.redis, __file__).load("dismissed_banners_dismiss")

    async def is_dismissed(self, cpr: Cpr) -> bool:
        """Whether the citizen dismissed the banner; True while the ledger does not answer."""
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                marks = self._ledger.redis.pipeline(transaction=False)
                for key in self._keys(cpr):
                    marks.exists(key)
                return any(await marks.execute())
        except REDIS_DOWN as error:
            log.warning("banner_not_known", detail=type(error).__name__)
            return True

    async def dismiss(self, cpr: Cpr) -> None:
        """Records the dismissal; returns once it is on the ledger's disk. Raises REDIS_DOWN errors."""
        await self._ledger.durably(self._dismiss.call(banner=self._keys(cpr)[0]), repeatable=True)

    def _keys(self, cpr: Cpr) -> list[str]:
        return [banner_key(citizen_id) for citizen_id in self._citizens.ids_of(cpr)]
