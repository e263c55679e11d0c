"""Which queues are long already: what happens by itself is not sent to those, so that none grows without end.

A queue that nobody consumes would get what the schedule sends for as long as nobody starts its worker: up to 107 MiB a
day, until the broker has no room for anybody's messages. Each message of the schedule is one of many that are alike,
and the next comes by itself, so none is missed. What citizens ask for is sent all the same.

A message has no time by which it expires: that would be told by the sender's clock and looked at by the receiver's,
and where one of them is wrong by ten minutes, everything is too late. How long a queue is needs no clock.
"""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

from contextlib import suppress
from typing import Any

import structlog
from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from workers import metrics

log = structlog.get_logger()

LONG = 1000
"""Messages at which a queue is long. Beat sends a queue at most 1.2 a second, so no restart of a worker, nor an update
of a quarter of an hour, comes to it; a worker that is back has carried so many runs out within seconds; and at a KiB
each, all eleven queues together are 12 MiB of the broker."""
SHORT_AGAIN = LONG // 2
"""Messages at which it no longer is: so much less that a queue about as long as that is told of once."""

GIVES_UP_AFTER = 1.0
"""Seconds within which a connection that has failed is closed, or is left as it is."""


class Backlog:
    """What this process has found long: told of once when it begins and once when it ends, what is not sent counted."""

    def __init__(self) -> None:
        self._not_sent: dict[str, int] = {}

    def holds_back(self, queue: str, waiting: int) -> bool:
        """Whether a message for a queue, in which so many wait, is not to be sent."""
        is_long = waiting >= (SHORT_AGAIN if queue in self._not_sent else LONG)
        if is_long and queue not in self._not_sent:
            self._not_sent[queue] = 0
            log.warning("queue_long", queue=queue, messages=waiting)
        if is_long:
            self._not_sent[queue] += 1
            metrics.NOT_SENT.labels(queue).inc()
        elif queue in self._not_sent:
            log.warning("queue_short_again", queue=queue, messages=waiting, not_sent=self._not_sent.pop(queue))
        return is_long


def waiting(connection: Connection, queue: str) -> int:
    """How many messages wait in a queue of this system. Raises OperationalError, within the connection's time limits.

    After that the connection is one to be made anew.
    """
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        channel: Any = connection.default_channel
        declared = current_app.amqp.queues[queue]
        # Not passively: an empty queue is none to Redis, and RabbitMQ closes the channel over one that was never used.
        found = channel.queue_declare(
            queue=queue, durable=declared.durable, exclusive=declared.exclusive, auto_delete=declared.auto_delete,
            arguments=declared.queue_arguments,
        )  # fmt: skip
        return int(found.message_count)
    except Exception as error:
        # Whatever kombu and the clients below it raise here is that the broker did not tell.
        abandon(connection)
        if isinstance(error, OperationalError):
            raise
        raise OperationalError(type(error).__name__) from error


def abandon(connection: Connection) -> None:
    """Closes a connection that has failed, without waiting for who is at its other end; it may be used again."""
    with suppress(Exception):
        connection.collect(GIVES_UP_AFTER)
