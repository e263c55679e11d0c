"""Base task class: logs an unexpected error's type and stack locations, never its message.

Celery publishes a failed task's error message and traceback as events, and Flower shows them. A library's message may
quote anything, also a CPR number or a citizen's text.
"""

import traceback
from pathlib import Path
from typing import Any

import celery
import structlog
from celery.exceptions import TaskPredicate

log = structlog.get_logger()

PLACES = 8
"""How many of the innermost places are named."""


class TaskDefect(Exception):
    """A task ended in an unexpected error; the message is that error's type."""


class Task(celery.Task):
    """The base of every task: an error that leaves it is logged by its kind and places, and goes no further."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the task takes and gives
        """Runs the task. Raises TaskDefect, and Celery's own TaskPredicate."""
        try:
            return self.run(*args, **kwargs)
        except TaskPredicate:
            raise
        except Exception as error:  # noqa: BLE001 - no error may pass as it is
            kind = type(cause := _innermost(error)).__name__
            log.critical("task_defect", task=self.name, detail=kind, places=_places(cause))
        # Out here, so that the error is not the other's context.
        raise TaskDefect(kind)


def _innermost(error: Exception) -> Exception:
    """The first error of a group of them, however deep."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _places(error: Exception) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
