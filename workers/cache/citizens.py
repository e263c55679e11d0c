"""Citizen ids: opaque names that tasks and keys may hold, and the way back to the CPR number, sealed."""

import base64
import hashlib
import hmac
import re
from datetime import timedelta
from functools import lru_cache

import structlog
from redis.asyncio import Redis

from workers import metrics
from workers.cache.sealing import Sealer, Unreadable
from workers.domain.cpr import Cpr

log = structlog.get_logger()

KNOWN_IDS = 4096
"""How many ids are remembered in the process: making one costs a tenth of a page."""

_CITIZEN_ID = re.compile(r"[a-z2-7]{52}")


def is_citizen_id(text: object) -> bool:
    """Whether `text` has the form of a citizen id: 52 characters of lower-case base32."""
    return isinstance(text, str) and _CITIZEN_ID.fullmatch(text) is not None


class Citizens:
    """Makes citizen ids, and remembers for a while whose they are."""

    def __init__(self, redis: Redis, sealer: Sealer, pepper: str, kept_for: timedelta) -> None:
        self._redis = redis
        self._sealer = sealer
        self._pepper = pepper.encode()
        self._kept_for = kept_for
        self._known_ids = lru_cache(KNOWN_IDS)(self._id_of)

    def id_of(self, cpr: Cpr) -> str:
        """The citizen id: HMAC-SHA-256 of the ten digits under the pepper, as lower-case base32 without padding."""
        return self._known_ids(cpr)

    def _id_of(self, cpr: Cpr) -> str:
        digest = hmac.digest(self._pepper, cpr.digits.encode(), hashlib.sha256)
        return base64.b32encode(digest).decode().rstrip("=").lower()

    async def remember(self, cpr: Cpr) -> str:
        """Keeps the way back from the citizen's id for as long as citizens are kept. Returns the id."""
        citizen_id = self.id_of(cpr)
        key = _key(citizen_id)
        await self._redis.set(key, self._sealer.seal(cpr.digits.encode(), key), px=self._kept_for)
        return citizen_id

    async def recall(self, citizen_id: str) -> Cpr | None:
        """Whose id this is; None when that is no longer known."""
        key = _key(citizen_id)
        sealed = await self._redis.get(key)
        if not isinstance(sealed, bytes):
            return None
        try:
            return Cpr.parse(self._sealer.open(sealed, key).decode())
        except Unreadable as error:
            metrics.UNREADABLE.labels("citizen").inc()
            log.error("citizen_unreadable", citizen=citizen_id, detail=str(error))
            return None


def _key(citizen_id: str) -> str:
    return f"citizen:{{{citizen_id}}}"
