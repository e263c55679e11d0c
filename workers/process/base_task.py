"""Base task class: runs a coroutine function, and lets no error's message out of it.

Celery publishes a failed task's error message and traceback as events, and Flower shows them. A library's message may
quote anything, also a CPR number or a citizen's text. So an error is logged by its type and stack locations alone.

A task is `async def`. Within it `self.request` (`bind=True`) and `task.request` are its own, since they go by context,
also in `asyncio.to_thread`; `celery.current_task`, which goes by thread, is None. What publishes (`delay`, `retry`)
blocks, and belongs in `asyncio.to_thread`.
"""

import asyncio
import traceback
from contextvars import ContextVar
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import celery
import structlog
from celery.exceptions import TaskPredicate

from workers.process import coroutine_pool

log = structlog.get_logger()

PLACES = 8
"""How many of the innermost places are named."""


class TaskDefect(Exception):
    """A task ended in an unexpected error; the message is that error's type."""


class RequestStack:
    """Celery's stack of a task's requests, one in each context, as coroutines that take turns in a thread need it."""

    def __init__(self) -> None:
        self._requests: ContextVar[tuple[Any, ...]] = ContextVar("requests", default=())

    @property
    def stack(self) -> tuple[Any, ...]:
        """The requests, innermost last."""
        return self._requests.get()

    @property
    def top(self) -> Any:  # noqa: ANN401 - Celery's Context
        """The innermost request; None outside a task."""
        return self.stack[-1] if self.stack else None

    def push(self, request: Any) -> None:  # noqa: ANN401
        """Celery's."""
        self._requests.set((*self.stack, request))

    def pop(self) -> Any:  # noqa: ANN401
        """Celery's."""
        *outer, request = self.stack
        self._requests.set(tuple(outer))
        return request

    def __len__(self) -> int:
        return len(self.stack)


class Task(celery.Task):
    """The base of every task: an error that leaves it is logged by its kind and places, and goes no further."""

    Strategy = "workers.process.coroutine_request:strategy"

    @classmethod
    def on_bound(cls, app: celery.Celery) -> None:  # noqa: ARG003 - Celery's
        """Celery's: called when the task has its app."""
        if not isinstance(cls.request_stack, RequestStack):
            cls.request_stack = RequestStack()

    async def carry_out(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the task takes and gives
        """Awaits the task. Raises TaskDefect, Celery's own TaskPredicate, and CancelledError when it was cancelled."""
        try:
            return await self.run(*args, **kwargs)
        except TaskPredicate:
            raise
        except asyncio.CancelledError as error:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise
            kind = self._log_defect(error)
        # An event loop ends with one of the last two.
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - no error may pass as it is
            kind = self._log_defect(error)
        # Out here, so that the error is not the other's context.
        raise TaskDefect(kind)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Runs the task, and waits: for Celery's own tracer and for tests. Raises TaskDefect and TaskPredicate."""
        if iscoroutinefunction(self.run):
            return coroutine_pool.wait(self.carry_out(*args, **kwargs))
        try:
            return self.run(*args, **kwargs)
        except TaskPredicate:
            raise
        except Exception as error:  # noqa: BLE001
            kind = self._log_defect(error)
        raise TaskDefect(kind)

    def _log_defect(self, error: BaseException) -> str:
        kind = type(cause := _innermost(error)).__name__
        log.critical("task_defect", task=self.name, detail=kind, places=_places(cause))
        return kind


def _innermost(error: BaseException) -> BaseException:
    """The first error of a group of them, however deep."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _places(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
