"""Which deadlines a citizen has just booked a meeting for: DFDG hears of it later, and they are not shown meanwhile."""

import asyncio
from datetime import UTC, datetime

import structlog

from portal.reader import ANSWER_WITHIN
from workers.cache.scripts import NOW, ms
from workers.connections import REDIS_DOWN
from workers.domain.overview import DFDG
from workers.refresh import Citizen
from workers.runtime import Services

log = structlog.get_logger()

# KEYS: the citizen's. ARGV: deadline, how long it is kept. In the hash: deadline → when, by the cache server's clock.
_NOTE = f"""{NOW}
redis.call('HSET', KEYS[1], ARGV[1], now)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
# KEYS: the citizen's. What was booked at a time that has not come was booked before the clock was set back: now, at the
# latest, or the deadline would be hidden for as much longer.
_READ = f"""{NOW}
local found = redis.call('HGETALL', KEYS[1])
for i = 2, #found, 2 do
  if tonumber(found[i]) > now then
    found[i] = string.format('%d', now)
    redis.call('HSET', KEYS[1], found[i - 1], found[i])
  end
end
return found
"""


class Booked:
    """Kept beside the entries, and as long as one may be shown: what DFDG says goes before it after that."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.register(DFDG)
        self._note = services.cache.register_script(_NOTE)
        self._read = services.cache.register_script(_READ)

    async def note(self, citizen: Citizen, deadline: str) -> None:
        """A meeting was booked: what is kept of DFDG is out of date from now. Raises nothing."""
        ids = self._services.citizens.ids_of(citizen.cpr)
        try:
            await self._note(keys=[booked_key(ids[0])], args=[deadline, ms(self._settings.usable_for)])
            for who in ids:
                await self._services.entries.outdate(who, DFDG)
        except REDIS_DOWN as error:
            log.warning("booking_not_noted", detail=type(error).__name__)

    async def of(self, citizen: Citizen) -> dict[str, datetime]:
        """Deadline → when a meeting was booked for it; none while the cache does not answer. Raises nothing."""
        found: list[bytes] = []
        try:
            async with asyncio.timeout(ANSWER_WITHIN.total_seconds()):
                # The newest id comes last, and what it says counts.
                for who in reversed(self._services.citizens.ids_of(citizen.cpr)):
                    found += await self._read(keys=[booked_key(who)])
        except REDIS_DOWN as error:
            log.warning("bookings_not_known", detail=type(error).__name__)
            return {}
        pairs = zip(found[::2], found[1::2], strict=True)
        return {name.decode(): datetime.fromtimestamp(int(at) / 1000, UTC) for name, at in pairs}

    def hides(self, booked_at: datetime | None, fetched_at: datetime | None) -> bool:
        """Whether a deadline is booked although DFDG does not say so: what was fetched before it can have heard."""
        if booked_at is None or fetched_at is None:
            return False
        return fetched_at < booked_at + self._settings.fresh_for


def booked_key(citizen_id: str) -> str:
    """The key on the cache of what this citizen has just booked."""
    return f"booked:{{{citizen_id}}}"
