"""Which sessions of the reference portal were ended by a log-out, for all its processes together."""

import time

import structlog

from config.settings import Settings
from portal.web.session import EndedHere
from workers.connections import REDIS_DOWN, connect, server_within

log = structlog.get_logger()

ANSWER_WITHIN_SECONDS = 0.1
"""Without a sign of life from Redis (`server_within`), whose answer every page of who is logged in waits for."""
AGAIN_AFTER_SECONDS = 1.0
"""How soon a Redis that did not answer is asked again."""


class EndedSessions:
    """Keeps the mark of each session that ended, on the coordination Redis and in this process, until its time is over.

    While Redis is away a process knows of its own log-outs alone: a page is there whatever fails (§3.1).
    """

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings.coordination)
        self._here = EndedHere()
        self._down_until = 0.0

    async def note(self, mark: str, seconds: int) -> None:
        """The session with this mark has ended, and would have lasted so many seconds more. Raises nothing."""
        await self._here.note(mark, seconds)
        try:
            async with server_within(ANSWER_WITHIN_SECONDS, self._redis):
                await self._redis.set(ended_key(mark), 1, ex=max(1, seconds))
        except REDIS_DOWN as error:
            log.warning("session_end_not_shared", detail=type(error).__name__)

    async def has(self, mark: str) -> bool:
        """Whether the session with this mark has ended, as far as that can be known. Raises nothing."""
        if await self._here.has(mark):
            return True
        if time.monotonic() < self._down_until:
            return False
        try:
            async with server_within(ANSWER_WITHIN_SECONDS, self._redis):
                return bool(await self._redis.exists(ended_key(mark)))
        except REDIS_DOWN as error:
            self._down_until = time.monotonic() + AGAIN_AFTER_SECONDS
            log.warning("ended_sessions_not_known", detail=type(error).__name__)
            return False

    async def close(self) -> None:
        """Closes the connection."""
        await self._redis.aclose()


def ended_key(mark: str) -> str:
    """The key on the coordination Redis that says: the session with this mark has ended."""
    return f"ended:{mark}"
