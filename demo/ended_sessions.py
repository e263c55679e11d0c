"""Sessions of the reference portal that a log-out ended, shared by all its processes."""

import time

import structlog

from config.settings import Settings
from demo.reference_portal.session import EndedHere
from redis_admission.timeout import RedisTimeout
from registerbro.storage.keys import ended_key
from registerbro.storage.redis_client import REDIS_DOWN, connect

log = structlog.get_logger()

ANSWER_WITHIN_SECONDS = 0.1
"""Time limit of Redis (`RedisTimeout`), which every page of a signed-in citizen waits for."""
AGAIN_AFTER_SECONDS = 1.0
"""Time before a Redis that did not answer is asked again."""


class EndedSessions:
    """Store of the marks of ended sessions, on the coordination Redis and in this process, until each would expire.

    It fails open: without Redis a process knows of its own log-outs alone, because a page is always shown (§3.1).
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings.coordination)
        self._here = EndedHere()
        self._down_until = 0.0

    async def record(self, mark: str, seconds: int) -> None:
        """Records that the session with this mark has ended, `seconds` before its expiry. Raises nothing."""
        await self._here.record(mark, seconds)
        try:
            async with RedisTimeout(ANSWER_WITHIN_SECONDS, lambda: self._redis.answers):
                await self._redis.set(ended_key(mark), 1, ex=max(1, seconds))
        except REDIS_DOWN as error:
            log.warning("session_end_not_shared", detail=type(error).__name__)

    async def has(self, mark: str) -> bool:
        """Whether the session with this mark has ended; False where Redis does not answer. Raises nothing."""
        if await self._here.has(mark):
            return True
        if time.monotonic() < self._down_until:
            return False
        try:
            async with RedisTimeout(ANSWER_WITHIN_SECONDS, lambda: self._redis.answers):
                return bool(await self._redis.exists(ended_key(mark)))
        except REDIS_DOWN as error:
            self._down_until = time.monotonic() + AGAIN_AFTER_SECONDS
            log.warning("ended_sessions_not_known", detail=type(error).__name__)
            return False

    async def close(self) -> None:
        """Closes the connection."""
        await self._redis.aclose()
