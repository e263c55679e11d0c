"""Celery pool whose jobs are coroutines on the process's event loop, at most as many at a time as `--concurrency` says.

Further jobs wait, in order. A job that was begun is settled (acknowledged, reported) in the consumer's thread, which
owns the connection to the broker. A warm shutdown returns when all of them are settled; a cold one cancels them.

Most jobs are `CoroutineRequest`s, which `coroutine_request.strategy` hands over. What that leaves to Celery's own
strategy and tracer runs as in Celery's threads pool: a thread waits while the task's coroutine runs on the loop.
"""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import timedelta
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Protocol, TypeVar

import structlog
from celery.concurrency import thread
from celery.concurrency.base import apply_target
from celery.exceptions import WorkerTerminate
from celery.worker import state

from workers.process import current

log = structlog.get_logger()

T = TypeVar("T")

CANCELLED_WITHIN = timedelta(seconds=5)
"""How long a cold shutdown waits for cancelled tasks to hand their work back."""


class Job(Protocol):
    """Something that runs until it calls the pool's `ended`."""

    def begin(self) -> bool:
        """In the consumer's thread. False: it is not to be carried out any more."""

    def settle(self) -> None:
        """In the consumer's thread, after its end."""

    def abort(self) -> None:
        """Ends it early, and leaves its message to another worker."""


class TaskPool(thread.TaskPool):
    """Runs at most `limit` jobs at a time; further jobs wait for their turn."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(*args, **kwargs)
        self._call_soon: Callable[[Callable[[], None]], object] = lambda callback: callback()
        self._consumers_thread: int | None = None
        self._waiting: deque[Job] = deque()
        self._running: set[Job] = set()
        self._starting: list[Callable[[], None]] = []
        self._ended: SimpleQueue[Job | None] = SimpleQueue()
        self._is_settling = False
        self._is_ending = False

    def attach(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """Called in the consumer's thread at each new connection; `call_soon` has a function called in that thread."""
        self._call_soon = call_soon
        self._consumers_thread = threading.get_ident()
        # A connection that breaks may take with it what its thread was to call.
        self._hand_over()
        self._settle_ended()

    def take(self, job: Job) -> None:
        """Has a job carried out, as soon as it is its turn."""
        self._waiting.append(job)
        # A timer of Celery's, where it has no hub, is in another thread.
        if self._consumers_thread in {None, threading.get_ident()}:
            self._begin_waiting()
        else:
            self._call_soon(self._begin_waiting)

    def start_soon(self, start: Callable[[], None]) -> None:
        """Has the event loop call `start`, which begins a job's coroutine. For the consumer's thread."""
        self._starting.append(start)
        # Handed over at the consumer's next turn, all together: each call of the loop wakes its thread.
        if len(self._starting) == 1:
            self._call_soon(self._hand_over)

    def ended(self, job: Job) -> None:
        """Has a job settled that has ended. Any thread may call this."""
        self._ended.put(job)
        # The consumer's thread is called once for all that end before it comes to them.
        if not self._is_settling:
            self._is_settling = True
            self._call_soon(self._settle_ended)

    def on_apply(
        self,
        target: Callable[..., object],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        **_: object,
    ) -> "ThreadJob":
        """Has Celery's own tracer carry out a task, in a thread."""
        job = ThreadJob(self, lambda: apply_target(target, args, kwargs, callback, accept_callback))
        self.take(job)
        return job

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Celery's, for pools whose jobs are processes. Here the job is told: `terminate`."""

    def flush(self) -> None:
        """Forgets what has not begun: the connection that it came by is lost, and its message comes again."""
        self._waiting.clear()

    def on_stop(self) -> None:
        """Returns when the jobs that run are settled; those that wait never begin: their messages come back."""
        self._is_ending = True
        self.flush()
        self._hand_over()
        self._await_ends()
        # A signal may have begun a second stop within this one, and the first waits for an end that the second saw.
        self._ended.put(None)
        self.executor.shutdown(wait=not self._running, cancel_futures=True)

    def on_terminate(self) -> None:
        """Ends what still runs; its messages come back."""
        self._is_ending = True
        self.flush()
        self._hand_over()
        for job in tuple(self._running):
            job.abort()
        self._await_ends()

    def _get_info(self) -> dict[str, Any]:
        """Figures for `celery inspect stats`."""
        return {**super()._get_info(), "running": len(self._running), "held": len(self._waiting)}

    # The rest runs in the consumer's thread alone.

    def _hand_over(self) -> None:
        starting, self._starting = self._starting, []
        if starting:
            current.event_loop().call_soon(_call_all, starting)

    def _begin_waiting(self) -> None:
        while self._waiting and len(self._running) < self.limit and not self._is_ending:
            job = self._waiting.popleft()
            self._running.add(job)
            try:
                is_begun = job.begin()
            except Exception as error:  # noqa: BLE001 - no job may hold up the others
                log.critical("task_not_begun", detail=type(error).__name__)
                is_begun = False
            if not is_begun:
                self._running.discard(job)

    def _settle_ended(self) -> None:
        self._is_settling = False
        while True:
            try:
                self._settle(self._ended.get_nowait())
            except Empty:
                break
        self._begin_waiting()

    def _settle(self, job: Job | None) -> None:
        if job is None:
            return
        self._running.discard(job)
        try:
            job.settle()
        except Exception as error:  # noqa: BLE001 - no job may hold up the others
            log.critical("task_not_settled", detail=type(error).__name__)

    def _await_ends(self) -> None:
        until: float | None = None
        while self._running:
            if until is None and (_is_set(state.should_terminate) or self._state == self.TERMINATE):
                until = monotonic() + CANCELLED_WITHIN.total_seconds()
            try:
                self._settle(self._ended.get(timeout=None if until is None else max(0.0, until - monotonic())))
            except Empty:
                log.error("tasks_left_running", tasks=len(self._running))
                return


class ThreadJob:
    """A task that Celery's own tracer runs in a thread of the pool."""

    def __init__(self, pool: TaskPool, work: Callable[[], object]) -> None:
        self._pool = pool
        self._work = work
        self._is_cancelled = False
        self._coroutine: concurrent.futures.Future[Any] | None = None

    def begin(self) -> bool:
        """As Job."""
        self._pool.executor.submit(self._run).add_done_callback(self._on_done)
        return True

    def settle(self) -> None:
        """As Job: Celery's own request has done it, in the thread, as in Celery's threads pool."""

    def terminate(self, signal: int | None = None) -> None:  # noqa: ARG002 - Celery's
        """Celery's: cancels the task's coroutine."""
        self._is_cancelled = True
        if self._coroutine is not None:
            self._coroutine.cancel()

    def abort(self) -> None:
        """As Job."""
        self.terminate()

    def waits_for(self, coroutine: "concurrent.futures.Future[Any]") -> None:
        """Notes what its thread waits for."""
        self._coroutine = coroutine
        if self._is_cancelled:
            coroutine.cancel()

    def _on_done(self, ended: "concurrent.futures.Future[None]") -> None:
        error = None if ended.cancelled() else ended.exception()
        if error is not None and not isinstance(error, WorkerTerminate):
            # A defect of Celery's handling, outside the task, whose message is not settled.
            log.critical("task_not_ended", detail=type(error).__name__)
        self._pool.ended(self)

    def _run(self) -> None:
        _job.set(self)
        try:
            self._work()
        finally:
            # The thread is used again, and so is its context.
            _job.set(None)


_job: ContextVar[ThreadJob | None] = ContextVar("job", default=None)


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """The coroutine's result, or its error, after it has run on the process's event loop.

    Raises RuntimeError where it would block an event loop, and where the process's own is not open. Raises
    WorkerTerminate when it was cancelled: this alone Celery's tracer passes on without settling the message.
    """
    try:
        _outside_any_loop()
        future = current.event_loop().submit(coroutine)
    except RuntimeError:
        coroutine.close()
        raise
    if (job := _job.get()) is not None:
        job.waits_for(future)
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise WorkerTerminate from None


def _call_all(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()


def _outside_any_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("a task that is called blocks the event loop: await its `run`")


def _is_set(flag: object) -> bool:
    """Whether Celery has set a flag of its state, whose value is the exit code."""
    return flag is not None and flag is not False
