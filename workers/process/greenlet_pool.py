"""Greenlet pool for Celery: tasks that only wait for the process's event loop take turns in one thread.

Celery's threads pool has a thread for each, and hundreds of threads that wake together keep the interpreter from the
event loop. Here a task runs as a greenlet until it waits for a coroutine (`wait`), and goes on when that has ended; it
is Celery's own tracer that runs it, so signals, events, acknowledgements and revoking are as in the threads pool. As
there, nothing ends a task that takes too long, so each has a deadline of its own. A task that blocked in any other way
would hold up the others: what blocks belongs on the event loop, or in `asyncio.to_thread`.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import structlog
from celery.concurrency.base import BasePool, apply_target
from greenlet import getcurrent, greenlet

log = structlog.get_logger()

T = TypeVar("T")
Turn = Callable[[], object]


class _Here(threading.local):
    turns: "SimpleQueue[Turn] | None" = None
    """The turns of the pool whose thread this is; None in any other."""


_here = _Here()


def wait(future: "Future[T]") -> T:
    """The future's result, or its error. A task of this pool lets the others go on meanwhile."""
    turns, task = _here.turns, getcurrent()
    if turns is not None and task.parent is not None:
        future.add_done_callback(lambda _: turns.put(task.switch))
        task.parent.switch()
    return future.result()


class TaskPool(BasePool):
    """Runs at most `limit` tasks at a time; further tasks wait for their turn."""

    body_can_be_buffer = True
    signal_safe = False
    limit: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(*args, **kwargs)
        self._turns: SimpleQueue[Turn] = SimpleQueue()
        self._held: deque[Turn] = deque()
        self._running = 0
        self._is_ending = False
        # A daemon, so that the exit does not wait for it: a task that is cut off there was not to be waited for.
        self._thread = threading.Thread(target=self._run_turns, name="tasks", daemon=True)

    def on_start(self) -> None:
        """Celery's."""
        self._thread.start()

    def on_stop(self) -> None:
        """Returns when the tasks that run have ended; those that have not begun never do: their messages come back."""
        self._turns.put(self._end)
        self._thread.join()

    def on_apply(
        self,
        target: Callable[..., object],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        **_: object,
    ) -> None:
        """Has a task carried out, soon."""
        self._turns.put(partial(self._begin, partial(apply_target, target, args, kwargs, callback, accept_callback)))

    def _get_info(self) -> dict[str, Any]:
        """Figures for `celery inspect stats`."""
        return {**super()._get_info(), "running": self._running, "held": len(self._held)}

    # The rest runs in the pool's thread alone.

    def _run_turns(self) -> None:
        _here.turns = self._turns
        while self._running or not self._is_ending:
            self._turns.get()()

    def _end(self) -> None:
        self._is_ending = True
        self._held.clear()

    def _begin(self, work: Turn) -> None:
        if self._is_ending:
            return
        if self._running >= self.limit:
            self._held.append(work)
            return
        self._running += 1
        greenlet(self._run_task).switch(work)

    def _run_task(self, work: Turn) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - no error may end the thread that all tasks share
            log.critical("task_not_ended", detail=type(error).__name__)
        finally:
            self._running -= 1
        if self._held:
            self._turns.put(partial(self._begin, self._held.popleft()))
