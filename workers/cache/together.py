"""Reads that are asked for while another is under way are made together: one command for a crowd of pages.

redis-py spends more on a command than everything else does on a page, and that is the same for one entry as for a
hundred. A read that nobody else is at goes out at once, so that alone it is no slower.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

MOST_KEYS = 400
"""Keys per command: a script is atomic, and this many hashes take Redis about a millisecond."""

Read = Callable[[Sequence[str]], Awaitable[tuple[int, Sequence[Any]]]]
"""Keys → the server's time in ms since 1970, and what each key holds, in the order of the keys."""

_Answer = asyncio.Future[tuple[int, Sequence[Any]]]


class Together:
    """Makes of many small reads few large ones. One event loop uses it; it needs no closing."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._asked: deque[tuple[Sequence[str], _Answer]] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def read(self, keys: Sequence[str]) -> tuple[int, Sequence[Any]]:
        """What `read` gives for these keys; raises what it raises."""
        answer: _Answer = asyncio.get_running_loop().create_future()
        self._asked.append((keys, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        return await answer

    async def _read_all(self) -> None:
        try:
            while self._asked:
                await self._read_some()
        finally:
            self._reading = None

    async def _read_some(self) -> None:
        taken, keys = self._take()
        if not keys:
            return
        answer: tuple[int, Sequence[Any]] | Exception
        try:
            answer = await self._read(keys)
            if len(answer[1]) != len(keys):
                answer = ValueError("the answer is not one for each key")
        except asyncio.CancelledError:
            for _, waiting in taken:
                waiting.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - told to everybody who asked
            answer = error
        for place, waiting in taken:
            _settle(waiting, answer, place)

    def _take(self) -> tuple[list[tuple[slice, _Answer]], list[str]]:
        """Who is served by the next command, each with the place of their keys in it."""
        taken: list[tuple[slice, _Answer]] = []
        keys: list[str] = []
        while self._asked and len(keys) < MOST_KEYS:
            wanted, answer = self._asked.popleft()
            # Who asked may have given up by now.
            if not answer.done():
                taken.append((slice(len(keys), len(keys) + len(wanted)), answer))
                keys += wanted
        return taken, keys


def _settle(waiting: _Answer, answer: tuple[int, Sequence[Any]] | Exception, place: slice) -> None:
    if waiting.done():
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result((answer[0], answer[1][place]))
