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
from workers.cache.keyring import Peppers
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
    """Makes citizen ids, and remembers for a while whose they are. `peppers` gives the peppers of now, newest first."""

    def __init__(self, redis: Redis, sealer: Sealer, peppers: Peppers, kept_for: timedelta) -> None:
        self._redis = redis
        self._sealer = sealer
        self._peppers = peppers
        self._kept_for = kept_for
        self._known_ids = lru_cache(KNOWN_IDS)(_ids_of)

    def id_of(self, cpr: Cpr) -> str:
        """The citizen id: HMAC-SHA-256 of the ten digits under the pepper, as lower-case base32 without padding."""
        return self.ids_of(cpr)[0]

    def ids_of(self, cpr: Cpr) -> tuple[str, ...]:
        """The citizen id, and behind it those by the other peppers that are known, newest first."""
        return self._known_ids(cpr, self._peppers())

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

    async def forget(self, citizen_id: str) -> bool:
        """There is no way back from this id any more. False when there was none."""
        return bool(await self._redis.delete(_key(citizen_id)))


def _ids_of(cpr: Cpr, peppers: tuple[bytes, ...]) -> tuple[str, ...]:
    digests = (hmac.digest(pepper, cpr.digits.encode(), hashlib.sha256) for pepper in peppers)
    return tuple(base64.b32encode(digest).decode().rstrip("=").lower() for digest in digests)


def _key(citizen_id: str) -> str:
    return f"citizen:{{{citizen_id}}}"
