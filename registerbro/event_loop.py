"""Event loop in a thread of its own, with the process's `Services`: tasks hand it their coroutines."""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from config.settings import Settings
from registerbro.services import Services

T = TypeVar("T")


class EventLoop:
    """Runs coroutines of other threads; `wait` is how such a thread waits for a result.

    The default blocks the thread. The workers' greenlet pool hands in one that lets other tasks run meanwhile.
    """

    def __init__(
        self,
        settings: Settings,
        wait: Callable[[concurrent.futures.Future[Any]], Any] = concurrent.futures.Future.result,
    ) -> None:
        self._wait = wait
        self._asked: deque[tuple[Coroutine[Any, Any, Any], concurrent.futures.Future[Any], Context]] = deque()
        self._is_called = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self.services = self.run(_services(settings))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs `coroutine` on the loop, and waits for nothing."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs `coroutine` on the loop and waits for its result; raises what it raises."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._asked.append((coroutine, future, copy_context()))
        # The loop is called once for all that it is handed before it comes to them: a call costs more than the rest.
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._begin_all)
        result: T = self._wait(future)
        return result

    def close(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Cancels running coroutines, so that they hand their work back, closes the connections and ends the thread."""
        self.run(_cancel_others(grace))
        self.run(self.services.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begin_all(self) -> None:
        self._is_called = False
        while self._asked:
            coroutine, future, context = self._asked.popleft()
            self._loop.create_task(coroutine, context=context).add_done_callback(partial(_tell, future))


def _tell(future: concurrent.futures.Future[Any], ended: asyncio.Task[Any]) -> None:
    if ended.cancelled():
        future.cancel()
    elif (error := ended.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(ended.result())


async def _services(settings: Settings) -> Services:
    return Services(settings)


async def _cancel_others(grace: timedelta) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=grace.total_seconds())
