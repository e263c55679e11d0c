"""Inspection of queues: how many messages wait in each, and how long the oldest has waited.

A header of ours says when a message was published, since Celery has none. It is read where the broker is a Redis;
RabbitMQ gives only the numbers.
"""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

import json
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.celery import configuration
from config.settings import Settings
from redis_transport.store import Names
from registerbro.messaging.publish import PUBLISHED_AT

WITHIN_SECONDS = 1.0
"""How long the broker may take for one answer: callers ask again soon."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages that wait in one queue. `oldest` is in seconds; None for an empty queue, and when it is unknown."""

    messages: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Queued:
    """Queues at one moment. `dead_letters` is None where the broker keeps none for us."""

    queues: dict[str, Waiting]
    dead_letters: int | None


class BrokerDown(Exception):
    """The broker did not answer."""


class Queues:
    """Inspects the broker over a connection of its own. Blocks; one inspection at a time."""

    def __init__(self, settings: Settings) -> None:
        options = configuration(settings)["broker_transport_options"]
        within = {"socket_timeout": WITHIN_SECONDS, "socket_connect_timeout": WITHIN_SECONDS}
        self._url = settings.broker_url.get_secret_value()
        self._options = {**options, **within} if "amqp" not in self._url.partition("://")[0] else {}
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def inspect(self, queues: Iterable[str]) -> Queued:
        """The messages that wait in these queues. Raises BrokerDown."""
        with self._lock:
            try:
                return self._inspect(tuple(queues))
            except (OperationalError, RedisError, OSError) as error:
                self._close()
                raise BrokerDown(type(error).__name__) from None
            except Exception as error:
                connection = self._connection
                self._close()
                if connection is not None and isinstance(
                    error, connection.connection_errors + connection.channel_errors
                ):
                    raise BrokerDown(type(error).__name__) from None
                raise

    def close(self) -> None:
        """Closes the connection."""
        with self._lock:
            self._close()

    def _inspect(self, queues: tuple[str, ...]) -> Queued:
        if self._connection is None:
            self._connection = Connection(
                self._url, transport_options=self._options, connect_timeout=WITHIN_SECONDS, heartbeat=0
            )
        channel: Any = self._connection.default_channel
        if self._connection.transport.driver_type != "redis":
            counted = {queue: channel.queue_declare(queue, passive=True).message_count for queue in queues}
            return Queued({queue: Waiting(count, None) for queue, count in counted.items()}, None)
        names = Names.of(channel)
        lists = [name for queue in queues for name in names.lists(queue)]
        with channel.client.pipeline(transaction=False) as pipeline:
            pipeline.hlen(names.dead_letters)
            for name in lists:
                pipeline.llen(name)
                # Publishers push on the left, and workers take on the right.
                pipeline.lindex(name, -1)
            dead, *found = pipeline.execute()
        steps = len(names.steps)
        lengths = {queue: sum(found[2 * steps * n : 2 * steps * (n + 1) : 2]) for n, queue in enumerate(queues)}
        oldest = {
            queue: [
                age for text in found[2 * steps * n + 1 : 2 * steps * (n + 1) : 2] if (age := _age(text)) is not None
            ]
            for n, queue in enumerate(queues)
        }
        return Queued({queue: Waiting(lengths[queue], max(oldest[queue], default=None)) for queue in queues}, dead)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.release()


def _age(text: bytes | None) -> float | None:
    """How long ago a message was published, in seconds; None without the header."""
    with suppress(ValueError, TypeError, KeyError):
        return max(0.0, time.time() - float(json.loads(text or b"")["headers"][PUBLISHED_AT]))
    return None
