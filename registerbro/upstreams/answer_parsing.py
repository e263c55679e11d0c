"""Answer parsing: reads long answers in a thread, so that the event loop goes on while megabytes are parsed.

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

from registerbro.upstreams.errors import UpstreamTimeout
from registerbro.upstreams.messages import Answer

T = TypeVar("T")

LONGEST_READ_AT_ONCE = 32 * 1024
"""Bytes that are parsed on the event loop: some milliseconds, 35 of the worst content. A thread costs 0.1 ms for each
answer."""
THREADS = 2
"""Threads per upstream: an answer that takes for ever holds up no other upstream. More threads slow each other down."""


async def apart(work: Callable[[], T], extent: int) -> T:
    """Runs `work` on an answer that was read, in a thread when the answer is long; returns or raises what it does.

    `extent` is the answer's length in characters. The process has two threads for this. Work whose caller has stopped
    waiting goes on to its end, which the limits of an answer bound.
    """
    if extent <= LONGEST_READ_AT_ONCE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_apart(), copy_context().run, work)


@cache
def _apart() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="apart")


class Reader:
    """Reads the answers of one upstream. A thread cannot be ended: its error after the time-out goes to `late`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: ThreadPoolExecutor | None = None

    async def read(
        self, read: Callable[[Answer], T], answer: Answer, within: float, late: Callable[[BaseException], None]
    ) -> T:
        """Calls `read` on `answer`, in the caller's context; returns or raises what it does.

        A long answer has `within` seconds, then UpstreamTimeout is raised. A reading that goes on after that, or after
        the caller was cancelled, may still end in an error that must not be lost: the event loop calls `late` with it.
        A reading that has not begun by then is dropped.
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
        """Drops the readings that have not begun; waits for none."""
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
