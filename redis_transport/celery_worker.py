"""Step of a Celery worker that makes dead letters of messages that no task of the worker can carry out.

This module alone needs Celery; `install` loads it where Celery is installed.
"""

# mypy: disallow-untyped-calls=False, disallow-any-unimported=False, disallow-subclassing-any=False
# Celery publishes no types.

import logging
from functools import partial
from typing import Any

from celery import bootsteps, signals
from celery.app.task import Context
from kombu import serialization
from kombu.serialization import prepare_accept_content

from redis_transport.channel import Channel

log = logging.getLogger("redis_transport")


class Unfit(Exception):
    """A message that no task of this worker can carry out."""


class DeadLetterStep(bootsteps.StartStopStep):
    """Step of a Celery worker's consumer: a message that would be dropped, held for ever, or end the worker is dead.

    Celery rejects a message for a task that it does not know, and shows all of it in the log; it leaves the body to the
    pool, where one that cannot be read is never acknowledged; and any other defect of a message ends the worker. This
    step inspects a message as the pool will read it, before it is handed over.

    Args:
        parent: Celery's consumer.
        kwargs: Celery's.
    """

    requires = ("celery.worker.consumer.connection:Connection",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Celery's consumer
        super().__init__(parent, **kwargs)
        self._app = parent.app
        self._accept = prepare_accept_content(parent.app.conf.accept_content)
        self._parent = parent
        for name, reason in {
            "on_unknown_message": "names no task",
            "on_unknown_task": "unknown task",
            "on_invalid_task": "invalid task",
        }.items():
            setattr(parent, name, partial(self._dead_letter, getattr(parent, name), reason))
        parent.on_decode_error = partial(self._undecodable, parent.on_decode_error)

    def start(self, parent: Any) -> None:  # noqa: ANN401
        """Inspects what a new connection to the broker brings.

        Args:
            parent: Celery's consumer.
        """
        transport = parent.connection.transport
        if issubclass(getattr(transport, "Channel", object), Channel):
            transport.inspector = self

    def _dead_letter(self, stock: Any, reason: str, body: Any, message: Any, *why: Any) -> None:  # noqa: ANN401
        if not self._is_held(message):
            stock(body, message, *why)
            return
        message.channel.qos.dead_letter(message.delivery_tag, reason)
        message._state = "REJECTED"  # noqa: SLF001 - as kombu does when a message is settled
        self.on_dead_letter(message, why[0] if why else None)

    def _undecodable(self, stock: Any, message: Any, why: Exception) -> None:  # noqa: ANN401
        if isinstance(message.channel, Channel) and not self._is_held(message):
            log.error("A broadcast message cannot be decoded (%s), and is gone", type(why).__name__)
            return
        self._dead_letter(lambda _, message, why: stock(message, why), "undecodable", None, message, why)

    @staticmethod
    def _is_held(message: Any) -> bool:  # noqa: ANN401
        channel = message.channel
        return isinstance(channel, Channel) and channel.ack_emulation and channel.qos.has(message.delivery_tag)

    def on_dead_letter(self, message: Any, error: Exception | None) -> None:  # noqa: ANN401
        """Marks the task as failed in the result backend, as Celery does, for callers that wait for its result.

        Args:
            message: kombu's message.
            error: what was raised, if anything was.
        """
        headers = message.headers
        if isinstance(headers, dict) and isinstance(id_ := headers.get("id"), str):
            request = Context(headers, id=id_, task=str(headers.get("task")), chord=None, errbacks=None)
            try:
                self._app.backend.mark_as_failure(id_, error or Unfit("names no task"), request=request)
            except Exception as failure:  # noqa: BLE001 - no caller can be told, and nothing more can be done
                log.warning("The failure of a dead letter cannot be told: %s", type(failure).__name__)
        signals.task_rejected.send(sender=self._parent, message=message, exc=error)

    def inspect(self, message: Any, queue: str) -> None:  # noqa: ANN401
        """Reads a message as Celery's tracer does, but before the pool.

        Args:
            message: kombu's message.
            queue: the queue that it came from.

        Raises:
            Unfit: the message has no form of a task.
            TypeError: the arguments do not fit the task.
            Exception: kombu cannot read the body.
        """
        consumer = self._parent.task_consumer
        if consumer is None or not consumer.consuming_from(queue) or "task" not in message.headers:
            return
        headers = message.headers
        limits = headers.get("timelimit")
        if not isinstance(headers.get("id"), str) or not (limits is None or len(limits) == 2):
            raise Unfit
        if not message.content_type:
            args, kwargs, embed = message.body
        else:
            args, kwargs, embed = serialization.loads(
                message.body, message.content_type, message.content_encoding, accept=self._accept
            )
        if not isinstance(args, list | tuple) or not isinstance(kwargs, dict) or not isinstance(embed or {}, dict):
            raise Unfit
        task = self._app.tasks.get(headers["task"])
        # Celery checks this where a task is published with its function: arguments that do not fit raise TypeError.
        fits = getattr(task, "__header__", None) if task is not None and task.typing else None
        if fits is not None:
            fits(*args, **kwargs)


def connect() -> None:
    """Adds the step to each worker of this process. A second call does nothing more."""
    signals.worker_init.connect(_add_step, dispatch_uid=__name__)


def _add_step(sender: Any, **_: object) -> None:  # noqa: ANN401 - Celery's worker
    sender.app.steps["consumer"].add(DeadLetterStep)
