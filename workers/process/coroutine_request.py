"""Celery strategy and request by which a message becomes a coroutine on the process's event loop.

`Task.Strategy` is Celery's extension point for what a worker does with a message. This one puts neither a thread nor
Celery's tracer between the message and the coroutine, whose speed depends on it. To Celery and its users nothing is
different: the request stands in `celery.worker.state`, is acknowledged, revoked, expires and is limited as Celery's
own, of which it is a subclass, and sends the same signals and events.

Which thread does what: the consumer's thread, which owns the connection to the broker, accepts a request, settles it
and keeps all of Celery's state. The event loop runs the coroutine and sends the signals of its run (`task_prerun`,
`task_success`, `task_retry`, `task_failure`, `task_postrun`) in the coroutine's own context, so that a receiver may
set a context variable. Each context is new: no task sees another's variables.

`terminate`, a time limit and a shutdown cancel the coroutine. A soft limit is the failure SoftTimeLimitExceeded.

What is rare goes Celery's own way, which `coroutine_pool.TaskPool` makes possible for a coroutine function: an ETA,
protocol 1, callbacks, chains, groups and chords, a result backend, and a task with hooks of its own.
"""

import asyncio
import os
from collections.abc import Callable
from contextvars import Context as Variables
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any

import structlog
from billiard.einfo import ExceptionInfo
from celery import Celery, signals, states
from celery.app.task import Context
from celery.app.trace import TraceInfo, task_has_custom, traceback_clear
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore, InvalidTaskError, Reject, Retry, SoftTimeLimitExceeded
from celery.utils.saferepr import saferepr
from celery.worker import state
from celery.worker.request import Request
from celery.worker.strategy import default

from workers.process import current
from workers.process.base_task import Task, TaskDefect
from workers.process.coroutine_pool import TaskPool

log = structlog.get_logger()

HOOKS = ("before_start", "on_success", "after_return")
"""Methods of a task that Celery's tracer calls where a task overrides them."""
EMBEDDED = ("callbacks", "errbacks", "chain", "chord")
"""What a message may have carried out after its task."""

Handler = Callable[[Any, Any, Any, Any, Any], Any]
Outcome = tuple[int, Any, float | None]
"""What Celery's `Request.on_success` takes: whether it failed, the result's text or the error, and the seconds."""


def strategy(task: Task, app: Celery, consumer: Any) -> Handler:  # noqa: ANN401 - Celery's consumer
    """Makes the handler of a task's messages, at each new connection to the broker: Celery's `Task.Strategy`."""
    celerys: Handler = default(task, app, consumer)
    pool = consumer.pool
    if not isinstance(pool, TaskPool):
        return celerys
    pool.attach(consumer.call_soon)
    keeps_results = not isinstance(task.backend, DisabledBackend)
    if not iscoroutinefunction(task.run) or keeps_results or any(task_has_custom(task, hook) for hook in HOOKS):
        return celerys

    eventer = consumer.event_dispatcher
    controller = consumer.controller
    has_rate_limits = not consumer.disable_rate_limits

    def handle(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> Any:  # noqa: ANN401 - kombu's
        headers, payload = message.headers, message.payload
        # An earlier protocol has the task's name in the body.
        if body is not None or isinstance(payload, dict):
            return celerys(message, body, ack, reject, callbacks)
        _check(headers, payload)
        embedded = payload[2]
        if headers.get("eta") or headers.get("group") or (embedded and any(map(embedded.get, EMBEDDED))):
            return celerys(message, body, ack, reject, callbacks)
        request = CoroutineRequest(
            message, on_ack=ack, on_reject=reject, app=app, hostname=consumer.hostname, eventer=eventer, task=task,
            connection_errors=consumer.connection_errors, body=message.body, headers=headers, utc=True, pool=pool,
            limits=(controller.time_limit, controller.soft_time_limit),
        )  # fmt: skip
        if request.revoked():
            return None
        if signals.task_received.receivers:
            signals.task_received.send(sender=consumer, request=request)
        request.send_event(
            "task-received",
            name=request.name, args=request.argsrepr, kwargs=request.kwargsrepr, root_id=request.root_id,
            parent_id=request.parent_id, retries=headers.get("retries", 0), eta=None,
            expires=request.expires and request.expires.isoformat(),
        )  # fmt: skip
        if has_rate_limits and (bucket := consumer.task_buckets[task.name]):
            return consumer._limit_task(request, bucket, 1)  # noqa: SLF001 - as Celery's own strategy does
        state.task_reserved(request)
        for callback in callbacks or ():
            callback(request)
        return consumer.on_task_request(request)

    return handle


def _check(headers: dict[str, Any], payload: object) -> None:
    """Raises InvalidTaskError, by which a worker rejects a message, unless this one has the form of a task."""
    limits = headers.get("timelimit") or (None, None)
    if not (
        isinstance(headers.get("id"), str)
        and isinstance(payload, list | tuple)
        and len(payload) == 3
        and isinstance(payload[0], list | tuple)
        and isinstance(payload[1], dict)
        and isinstance(payload[2] or {}, dict)
        and isinstance(limits, list | tuple)
        and len(limits) == 2
        and all(limit is None or isinstance(limit, int | float) for limit in limits)
    ):
        raise InvalidTaskError("the message has not the form of a task")


class CoroutineRequest(Request):
    """Celery's request of one message, whose task is a coroutine on the event loop; the pool's job."""

    def __init__(self, message: Any, *, pool: TaskPool, limits: tuple[float | None, float | None], **more: Any) -> None:  # noqa: ANN401 - Celery's own
        super().__init__(message, **more)
        hard, soft = self.time_limits
        self._hard_limit = hard or self.task.time_limit or limits[0]
        self._soft_limit = soft or self.task.soft_time_limit or limits[1]
        self._pool = pool
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._outcome: Outcome | None = None
        self._is_cancelled = False
        self._is_timed_out = False
        self._has_ended = False

    # In the consumer's thread.

    def execute_using_pool(self, pool: TaskPool, **_: object) -> None:
        """Celery's: has the task carried out."""
        pool.take(self)

    def begin(self) -> bool:
        """As Job: accepts the request, unless it was revoked, or has expired, while it waited."""
        if self.revoked():
            return False
        self.on_accepted(os.getpid(), monotonic())
        self._pool.start_soon(self._start)
        return True

    def settle(self) -> None:
        """As Job: acknowledges the message and tells of the outcome. A message whose task was cancelled comes back."""
        if self._outcome is not None:
            self.on_success(self._outcome)
        elif self._is_timed_out:
            self.on_timeout(soft=False, timeout=self._hard_limit)
        else:
            state.task_ready(self)

    def terminate(self, pool: TaskPool, signal: str | int | None = None) -> None:
        """Celery's: `revoke` with `terminate`. A task that waits is found to be revoked when it is its turn."""
        if not self._has_ended:
            super().terminate(pool, signal)
            if self.time_start:
                self.abort()

    def cancel(self, pool: TaskPool, signal: str | int | None = None, emit_retry: bool = True) -> None:  # noqa: FBT001, FBT002 - Celery's
        """Celery's: at a cold shutdown. The message is not acknowledged."""
        if not self._has_ended:
            super().cancel(pool, signal, emit_retry=emit_retry)
            self.abort()

    def abort(self) -> None:
        """As Job: cancels the coroutine."""
        self._is_cancelled = True
        current.event_loop().call_soon(self._cancel)

    # On the event loop.

    def _start(self) -> None:
        if self._is_cancelled:
            self._end()
            return
        loop = asyncio.get_running_loop()
        self._running = loop.create_task(self._run(), context=Variables())
        self._running.add_done_callback(self._on_done)
        if self._hard_limit:
            self._timer = loop.call_later(self._hard_limit, self._time_out)

    def _cancel(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _time_out(self) -> None:
        if not self._is_cancelled:
            self._is_timed_out = True
            self._cancel()

    def _on_done(self, ended: asyncio.Task[None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not ended.cancelled() and (error := ended.exception()) is not None:
            # A defect of Celery's handling or of ours, outside the task.
            log.critical("task_not_ended", task=self.name, detail=type(error).__name__)
            self._outcome = (1, _einfo_of(TaskDefect(type(error).__name__)), None)
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        self._running = None
        self._pool.ended(self)

    async def _run(self) -> None:
        """Carries the task out, with the signals that Celery's tracer sends."""
        task, args, kwargs = self.task, self.args, self.kwargs
        request = Context(self.request_dict, args=args, kwargs=kwargs, called_directly=False)
        task.request_stack.push(request)
        began = monotonic()
        ended, result = None, None
        try:
            if signals.task_prerun.receivers:
                signals.task_prerun.send(sender=task, task_id=self.id, task=task, args=args, kwargs=kwargs)
            try:
                result = await self._within_soft_limit(task.carry_out(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - TaskDefect, and Celery's TaskPredicate
                if isinstance(error, TaskDefect) and _is_being_cancelled():
                    # It came of the cancelling, and the message of a cancelled task is not settled.
                    raise asyncio.CancelledError from None
                ended, result = _state_of(error), error
                self._outcome = (1, _handled(task, request, ended, error), None)
            else:
                ended, took = states.SUCCESS, monotonic() - began
                if signals.task_success.receivers:
                    signals.task_success.send(sender=task, result=result, runtime=took)
                self._outcome = (0, saferepr(result, task.resultrepr_maxsize), took)
        finally:
            if signals.task_postrun.receivers:
                signals.task_postrun.send(
                    sender=task, task_id=self.id, task=task, args=args, kwargs=kwargs, retval=result, state=ended
                )

    async def _within_soft_limit(self, work: Any) -> Any:  # noqa: ANN401 - whatever the task gives
        if not self._soft_limit:
            return await work
        try:
            async with asyncio.timeout(self._soft_limit):
                return await work
        except TimeoutError:
            self.on_timeout(soft=True, timeout=self._soft_limit)
        raise TaskDefect(SoftTimeLimitExceeded.__name__)


def _is_being_cancelled() -> bool:
    running = asyncio.current_task()
    return running is not None and running.cancelling() > 0


def _state_of(error: Exception) -> str:
    """Celery's name of the state in which an error leaves a task."""
    kinds = {Reject: states.REJECTED, Ignore: states.IGNORED, Retry: states.RETRY}
    return next((name for kind, name in kinds.items() if isinstance(error, kind)), str(states.FAILURE))


def _handled(task: Task, request: Context, ended: str, error: Exception) -> ExceptionInfo:
    """What Celery's tracer does when a task raises: hooks, signal and log line. Call it where `error` is handled."""
    info = TraceInfo(ended, error)
    if isinstance(error, Reject | Ignore):
        einfo = ExceptionInfo(internal=True)
        (info.handle_reject if isinstance(error, Reject) else info.handle_ignore)(task, request)
    else:
        einfo = info.handle_error_state(task, request, call_errbacks=False)
    traceback_clear(error)
    return einfo


def _einfo_of(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        einfo = ExceptionInfo()
    # Without the wrapper by which billiard sends a traceback to another process.
    einfo.exception = error
    return einfo
