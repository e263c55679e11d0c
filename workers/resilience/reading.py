"""How an answer is read: a long one in a thread, so that the event loop goes on while megabytes are parsed.

lxml lets the interpreter go while it parses, and Python code is interrupted every 5 ms. The JSON parsers keep it for
one call each, which of as many values as are taken lasts some tens of milliseconds. A thread cannot be ended: what an
answer may hold is limited before it is read, so that its reading ends by itself (docs/decisions/0034-…).
"""

import asyncio
import concurrent.futures
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cache
from typing import TypeVar

from workers.resilience.client import Answer
from workers.resilience.errors import UpstreamTimeout

T = TypeVar("T")

LONGEST_READ_AT_ONCE = 64 * 1024
"""How many bytes are read where they came in: some milliseconds, 30 of the worst that they can hold. A thread costs a
tenth of one for each answer."""
THREADS = 2
"""Of each upstream: one that takes for ever holds up none of the others; of more, each is slower for the rest."""


async def apart(work: Callable[[], T], extent: int) -> T:
    """What `work` comes to, or raises: for what is made of an answer that was read, in a thread when that is long.

    `extent` is how much it is made of, in characters. There are two threads for the whole process. Work that nobody
    waits for any more goes on to its end, which the limits of an answer bound.
    """
    if extent <= LONGEST_READ_AT_ONCE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_apart(), copy_context().run, work)


@cache
def _apart() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="apart")


class Reader:
    """Reads the answers of one upstream. A thread cannot be ended: what it comes to after its time goes to `late`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: ThreadPoolExecutor | None = None

    async def read(
        self, read: Callable[[Answer], T], answer: Answer, within: float, late: Callable[[BaseException], None]
    ) -> T:
        """What `read` makes of `answer`, in the context of the caller, or raises.

        A long answer has `within` seconds: then the caller is no longer kept, by UpstreamTimeout. Whoever stopped
        waiting, for that or for being cancelled, may have begun what ends in an error that must not be lost: `late` is
        told of it, by the event loop. What has not begun by then is not.
        """
        if len(answer.body) <= LONGEST_READ_AT_ONCE:
            return read(answer)
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"read {self._name}")
        under_way = self._threads.submit(copy_context().run, read, answer)
        result = asyncio.wrap_future(under_way)
        try:
            done, _ = await asyncio.wait((result,), timeout=max(0.0, within))
        except asyncio.CancelledError:
            _leave(under_way, result, late)
            raise
        if not done:
            _leave(under_way, result, late)
            raise UpstreamTimeout(f"the answer was not read within {within:.1f} s")
        return result.result()

    def close(self) -> None:
        """Begins nothing more, and waits for nothing."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def _leave(
    under_way: "concurrent.futures.Future[T]", result: "asyncio.Future[T]", late: Callable[[BaseException], None]
) -> None:
    if under_way.cancel():
        return

    def told(ended: "asyncio.Future[T]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            late(error)

    result.add_done_callback(told)
