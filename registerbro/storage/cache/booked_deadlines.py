"""Booked deadlines: hides a deadline after a meeting is booked until the register reflects the booking."""

import asyncio
from datetime import UTC, datetime

import structlog
from redis.asyncio import Redis

from config.settings import RegisterSettings
from domain.cpr import Cpr
from domain.overview import KONTAKTFORLOEB
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries
from registerbro.storage.keys import booked_key
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.redis_client import ANSWER_WITHIN, REDIS_DOWN

log = structlog.get_logger()


class BookedDeadlines:
    """Deadlines that citizens booked a meeting for, kept for as long as an entry of kontaktforloeb is usable.

    `settings` are those of that register, which has the deadlines.
    """

    def __init__(self, cache: Redis, citizens: Citizens, entries: Entries, settings: RegisterSettings) -> None:
        self._citizens = citizens
        self._entries = entries
        self._settings = settings
        scripts = Scripts(cache, __file__)
        self._record = scripts.load("booked_deadlines_record")
        self._read = scripts.load("booked_deadlines_read")

    async def record(self, cpr: Cpr, deadline: str) -> None:
        """Records that a meeting was booked, and outdates the register's entry. Raises nothing."""
        ids = self._citizens.ids_of(cpr)
        try:
            await self._record(booked=booked_key(ids[0]), deadline=deadline, kept_for=ms(self._settings.usable_for))
            for who in ids:
                await self._entries.outdate(who, KONTAKTFORLOEB)
        except REDIS_DOWN as error:
            log.warning("booking_not_noted", detail=type(error).__name__)

    async def of(self, cpr: Cpr) -> dict[str, datetime]:
        """Deadline → when the citizen booked for it. Empty while the cache does not answer. Raises nothing."""
        found: list[bytes] = []
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                # The newest id comes last, so that its booking wins.
                for who in reversed(self._citizens.ids_of(cpr)):
                    found += await self._read(booked=booked_key(who))
        except REDIS_DOWN as error:
            log.warning("bookings_not_known", detail=type(error).__name__)
            return {}
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(): datetime.fromtimestamp(int(at) / 1000, UTC) for name, at in pairs}

    def hides(self, booked_at: datetime | None, fetched_at: datetime | None) -> bool:
        """Whether to hide a deadline: its entry was fetched before the register can reflect the booking."""
        if booked_at is None or fetched_at is None:
            return False
        return fetched_at < booked_at + self._settings.fresh_for
