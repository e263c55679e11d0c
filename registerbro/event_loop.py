"""Event loop in a thread of its own, with the process's `Services`: other threads hand it their coroutines."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from config.settings import Settings
from registerbro.services import Services

T = TypeVar("T")


class EventLoop:
    """Runs coroutines of other threads, each in a copy of its caller's context."""

    def __init__(self, settings: Settings) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self.services = self.run(_services(settings))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs `coroutine` on the loop, and waits for nothing. Cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs `coroutine` on the loop and waits for its result; raises what it raises. Not for the loop's thread."""
        return self.submit(coroutine).result()

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        """Has the loop call `callback`, after the callbacks of earlier calls. Any thread may call this."""
        self._loop.call_soon_threadsafe(callback, *args)

    def close(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Cancels running coroutines, so that they hand their work back, closes the connections and ends the thread."""
        self.run(_cancel_others(grace))
        self.run(self.services.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _services(settings: Settings) -> Services:
    return Services(settings)


async def _cancel_others(grace: timedelta) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=grace.total_seconds())
