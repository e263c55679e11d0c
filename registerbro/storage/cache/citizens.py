"""Citizen ids: opaque ids for tasks and keys, and the sealed way back to the CPR number.

Beside it is the citizen's standing, sealed too: what the target group (R1) is judged by between two visits.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis

from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro.storage.keys import ANY, citizen_key, standing_key
from registerbro.storage.sealing.keyring import Peppers
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from registerbro.telemetry import metrics

log = structlog.get_logger()

KNOWN_IDS = 4096
"""How many ids a process remembers: deriving one costs a tenth of a page."""

READ_AT_ONCE = 500
"""About how many citizens one round trip reads."""

_CITIZEN_ID = re.compile(r"[a-z2-7]{52}")


def is_citizen_id(text: object) -> bool:
    """Whether `text` has the form of a citizen id: 52 characters of lower-case base32."""
    return isinstance(text, str) and _CITIZEN_ID.fullmatch(text) is not None


class _Standing(BaseModel):
    """Contact groups and uddannelsespålæg, as the citizen's last token had them; its repr shows neither."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    contact_groups: frozenset[int]
    education_order: bool

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return []


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a citizen; `citizen` is None where the standing is not known, or does not open."""

    cpr: Cpr
    citizen: Citizen | None


class Citizens:
    """Derives citizen ids, and keeps the way back to the CPR number. `peppers` gives the current ones, newest first."""

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
        """The citizen id, and behind it the ids by the other known peppers, newest first."""
        return self._known_ids(cpr, self._peppers())

    async def remember(self, cpr: Cpr) -> str:
        """Stores the way back from the citizen's id, for as long as citizens are kept. Returns the id."""
        citizen_id = self.id_of(cpr)
        key = citizen_key(citizen_id)
        await self._redis.set(key, self._sealer.seal(cpr.digits.encode(), key), px=self._kept_for)
        return citizen_id

    async def recall(self, citizen_id: str) -> Cpr | None:
        """The CPR number behind an id; None when the server no longer has it."""
        return self._opened_cpr(citizen_id, await self._redis.get(citizen_key(citizen_id)))

    async def remember_standing(self, citizen_id: str, citizen: Citizen) -> None:
        """Stores the citizen's contact groups and uddannelsespålæg, for as long as citizens are kept."""
        key = standing_key(citizen_id)
        standing = _Standing(contact_groups=citizen.contact_groups, education_order=citizen.education_order)
        await self._redis.set(key, self._sealer.seal(standing.model_dump_json().encode(), key), px=self._kept_for)

    async def recall_with_standing(self, citizen_id: str) -> Known | None:
        """The citizen behind an id, with the standing; None when the server no longer has the CPR number."""
        return (await self._recall_many([citizen_id]))[0]

    async def all_known(self) -> AsyncIterator[Known]:
        """Every citizen who is kept, once for each id; one that changes meanwhile may be missing, or come twice."""
        cursor: int = 0
        keys: Any
        while True:
            cursor, keys = await self._redis.scan(cursor, match=citizen_key(ANY), count=READ_AT_ONCE)
            ids = [key.decode().partition("{")[2].rstrip("}") for key in keys]
            for known in await self._recall_many(ids) if ids else ():
                if known is not None:
                    yield known
            if cursor == 0:
                return

    async def forget(self, citizen_id: str) -> bool:
        """Deletes the way back from an id, and the standing. False when there was no way back."""
        found, _ = await asyncio.gather(
            self._redis.delete(citizen_key(citizen_id)), self._redis.delete(standing_key(citizen_id))
        )
        return bool(found)

    async def _recall_many(self, citizen_ids: list[str]) -> list[Known | None]:
        keys = [key for citizen_id in citizen_ids for key in (citizen_key(citizen_id), standing_key(citizen_id))]
        answers = await self._redis.mget(keys)
        return [
            self.opened(citizen_id, *answers[2 * place : 2 * place + 2]) for place, citizen_id in enumerate(citizen_ids)
        ]

    def opened(self, citizen_id: str, number: object, standing: object) -> Known | None:
        """The citizen behind an id, of what the server keeps: both sealed, or None; None without the CPR number."""
        cpr = self._opened_cpr(citizen_id, number)
        if cpr is None:
            return None
        key = standing_key(citizen_id)
        try:
            opened = self._sealer.open(standing, key) if isinstance(standing, bytes) else None
            found = _Standing.model_validate_json(opened) if opened is not None else None
        except (Unreadable, ValidationError) as error:
            metrics.UNREADABLE.labels("standing").inc()
            log.error("standing_unreadable", citizen=citizen_id, detail=type(error).__name__)
            found = None
        return Known(cpr, Citizen(cpr, found.contact_groups, found.education_order) if found else None)

    def _opened_cpr(self, citizen_id: str, sealed: object) -> Cpr | None:
        if not isinstance(sealed, bytes):
            return None
        try:
            return Cpr.parse(self._sealer.open(sealed, citizen_key(citizen_id)).decode())
        except Unreadable as error:
            metrics.UNREADABLE.labels("citizen").inc()
            log.error("citizen_unreadable", citizen=citizen_id, detail=str(error))
            return None


def _ids_of(cpr: Cpr, peppers: tuple[bytes, ...]) -> tuple[str, ...]:
    digests = (hmac.digest(pepper, cpr.digits.encode(), hashlib.sha256) for pepper in peppers)
    return tuple(base64.b32encode(digest).decode().rstrip("=").lower() for digest in digests)
