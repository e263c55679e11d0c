"""Backlog: holds the schedule's messages back from long queues, so that no queue grows without end.

A queue without a worker would get the schedule's messages for as long as its worker is down: up to 107 MiB a day, until
the broker has no room for any message. Each message of the schedule is one of many that are alike, and the next comes
by itself, so none is missed. Citizens' requests are sent all the same.

Messages have no expiry: the sender's clock would set it and the receiver's would check it, and where one of them is
wrong by ten minutes, every message is too late. The length of a queue needs no clock.
"""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

from contextlib import suppress
from typing import Any

import structlog
from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from registerbro.telemetry import metrics

log = structlog.get_logger()

LONG = 1000
"""Messages at which a queue is long. Beat sends a queue at most 1.2 a second, so neither a restart of a worker nor an
update of a quarter of an hour reaches it; a worker that is back runs so many within seconds; and at a KiB each, all
eleven queues together take 12 MiB of the broker."""
SHORT_AGAIN = LONG // 2
"""Messages at which a queue is no longer long: so much less that a queue of about LONG messages is logged once."""

GIVES_UP_AFTER = 1.0
"""Seconds that closing a failed connection may take."""


class Backlog:
    """Long queues that this process has seen: it logs the begin and the end of each, and counts messages not sent."""

    def __init__(self) -> None:
        self._not_sent: dict[str, int] = {}

    def holds_back(self, queue: str, waiting: int) -> bool:
        """Whether to hold a message back from a queue in which `waiting` messages wait."""
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
    """The number of messages in a queue of ours. Raises OperationalError, within the connection's time limits.

    After an error, the caller must open a new connection.
    """
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        channel: Any = connection.default_channel
        declared = current_app.amqp.queues[queue]
        # Not passively: Redis has no empty queues, and RabbitMQ closes the channel over a queue that was never used.
        found = channel.queue_declare(
            queue=queue, durable=declared.durable, exclusive=declared.exclusive, auto_delete=declared.auto_delete,
            arguments=declared.queue_arguments,
        )  # fmt: skip
        return int(found.message_count)
    except Exception as error:
        # Any error of kombu or of the clients below it means that the broker did not answer.
        abandon(connection)
        if isinstance(error, OperationalError):
            raise
        raise OperationalError(type(error).__name__) from error


def abandon(connection: Connection) -> None:
    """Closes a failed connection without waiting for its other end. The connection may be used again."""
    with suppress(Exception):
        connection.collect(GIVES_UP_AFTER)
