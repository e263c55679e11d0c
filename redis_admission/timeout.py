"""Timeout for Redis commands that counts the server's own silence, and not a busy process's."""

import asyncio
from collections.abc import Callable
from types import TracebackType

LATE = 0.005
"""Seconds by which a timer of a process that has nothing else to do is late at the most."""


class RedisTimeout:
    """Async context manager like `asyncio.timeout`; the time begins anew as long as the server shows signs of life.

    A server that answers other commands of this client is alive: this command is on its way. And where the process was
    busy, an answer may have arrived that the event loop has not read yet. A command that is never answered is given up
    by the client's own `socket_timeout`.

    Args:
        seconds: the time without a sign of life after which the block is cancelled.
        answers: returns the number of commands that the server has answered so far.

    Raises:
        TimeoutError: the server was silent for that long.
    """

    def __init__(self, seconds: float, answers: Callable[[], int]) -> None:
        self._seconds = seconds
        self._answers = answers
        self._limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, where)

    def _begin(self) -> None:
        self._seen = self._answers()
        self._timer = self._loop.call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        is_late = self._loop.time() - self._timer.when() > LATE
        if is_late or self._answers() > self._seen:
            self._begin()
        else:
            self._limit.reschedule(self._loop.time())
