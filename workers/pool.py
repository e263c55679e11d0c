"""Celery's pool for tasks that do nothing but wait for the process's event loop: they take turns in one thread.

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
from celery import bootsteps
from celery.concurrency.base import BasePool, apply_target
from greenlet import getcurrent, greenlet

log = structlog.get_logger()

T = TypeVar("T")
Turn = Callable[[], object]

EVENTS_TOGETHER_SECONDS = 0.1
"""How long an event for Flower waits for others to go with: each publication costs a round trip to the broker."""
EVENTS_TOGETHER_MOST = 500
"""Events at which they go at once."""


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
    """At most `limit` tasks at a time; what is more waits for its turn."""

    body_can_be_buffer = True
    signal_safe = False
    limit: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(*args, **kwargs)
        self._turns: SimpleQueue[Turn] = SimpleQueue()
        self._held: deque[Turn] = deque()
        self._running = 0
        self._is_ending = False
        # No thread to wait for at exit: a task that is cut off there is one that the worker was told not to wait for.
        self._thread = threading.Thread(target=self._take_turns, name="tasks", daemon=True)

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
        """What `celery inspect stats` shows."""
        return {**super()._get_info(), "running": self._running, "held": len(self._held)}

    # What follows runs in the pool's thread alone.

    def _take_turns(self) -> None:
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
        greenlet(self._carry_out).switch(work)

    def _carry_out(self, work: Turn) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - none may end the thread, in which all the others are
            log.critical("task_not_ended", detail=type(error).__name__)
        finally:
            self._running -= 1
        if self._held:
            self._turns.put(partial(self._begin, self._held.popleft()))


class EventsTogether(bootsteps.StartStopStep):
    """Publishes what a worker tells Flower of its tasks a few times a second, and not at each turn of Celery's loop."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Any) -> None:  # noqa: ANN401 - Celery's consumer
        """At each new connection to the broker, with which the dispatcher is a new one too."""
        dispatcher, hub = parent.event_dispatcher, parent.hub
        if hub is None or dispatcher is None or dispatcher.on_send_buffered is None:
            return
        publishing: list[object] = []

        def flush() -> None:
            publishing.clear()
            dispatcher.flush()

        def soon() -> None:
            if not publishing:
                publishing.append(hub.call_later(EVENTS_TOGETHER_SECONDS, flush))

        dispatcher.buffer_limit = EVENTS_TOGETHER_MOST
        dispatcher.on_send_buffered = soon
