"""Batched calls: what many callers ask for while one batch is under way is sent as the next one.

It knows neither Redis nor scripts: `registerbro/storage/lua.py` gives it a script over many items.
"""

import asyncio
import contextvars
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_ITEMS = 100
"""Items of one batch at the most: a script over so many holds Redis up for about a millisecond."""
_ENDS = "the event loop ends, and with it what it was sending"


class Batched(Generic[Item, Answer]):
    """Call of one item that is sent with those of others: in order, and one batch at a time.

    `send` is given some items, at least one and at most `most`, and returns an answer for each, in order; an exception
    among them is the error of that item alone. What `send` raises is the error of all its items, and each caller gets
    an exception of its own. An item whose caller has given up is not sent; when it is sent already, its answer is
    dropped. A single item is sent in the next turn of the event loop.
    """

    def __init__(
        self, send: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]], most: int = MOST_ITEMS
    ) -> None:
        self._send = send
        self._most = most
        self._asked: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def __call__(self, item: Item) -> "asyncio.Future[Answer]":
        """Asks for an item. The future has its answer, or its error."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._asked.append((item, answer))
        if self._sending is None:
            # In a context of its own: it outlives its first caller, whose trace is not that of the others.
            self._sending = asyncio.create_task(self._send_all(), context=contextvars.Context())
        return answer

    async def _send_all(self) -> None:
        try:
            while self._asked:
                await self._send_some()
        finally:
            self._sending = None
            # Something is left only when the task was cancelled.
            _fail([answer for _, answer in self._asked], ConnectionAbortedError(_ENDS))
            self._asked.clear()

    async def _send_some(self) -> None:
        items: list[Item] = []
        waiting: list[asyncio.Future[Answer]] = []
        while self._asked and len(items) < self._most:
            item, answer = self._asked.popleft()
            if not answer.done():
                items.append(item)
                waiting.append(answer)
        if not items:
            return
        try:
            answers = await self._send(items)
            if len(answers) != len(items):
                raise RuntimeError(f"{len(items)} items have {len(answers)} answers")
        except Exception as error:  # noqa: BLE001 - every caller gets it
            _fail(waiting, error)
            return
        except BaseException:
            _fail(waiting, ConnectionAbortedError(_ENDS))
            raise
        for one, found in zip(waiting, answers, strict=True):
            if one.done():
                continue
            if isinstance(found, Exception):
                one.set_exception(found)
            else:
                one.set_result(found)


def _fail(waiting: Sequence[asyncio.Future[Answer]], error: Exception) -> None:
    """Gives each who still waits an exception like `error`, since a shared one would gather the traces of all."""
    for one in waiting:
        if not one.done():
            one.set_exception(like(error))


def like(error: Exception) -> Exception:
    """An exception of the same kind and content, caused by `error`, for one of several who meet it."""
    try:
        own = copy.copy(error)
    except Exception:  # noqa: BLE001 - a class that cannot be copied: a shared error is better than none
        return error
    own.__cause__ = error
    return own
