"""The queues as an operator sees them: how many messages wait in each, and for how long the oldest of them has.

A message says when it was published in a header of ours, since Celery's do not. That is read where the broker is a
Redis; RabbitMQ tells the numbers alone.
"""

# mypy: disallow-untyped-calls=False
# kombu says that it is typed, and hardly is.

import json
import threading
import time
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.celery import configuration
from config.settings import Settings

PUBLISHED_AT = "published_at"
"""The header: seconds since 1970, by the publisher's clock."""
WITHIN_SECONDS = 1.0
"""How long the broker may take for one answer: whoever asks, asks again soon."""
DEAD_LETTERS = "unacked_dead"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits in one queue; `oldest` in seconds, None when nothing does or nobody can tell."""

    messages: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Queued:
    """The queues at one moment; `dead_letters` is None where the broker keeps none for us."""

    queues: dict[str, Waiting]
    dead_letters: int | None


class BrokerDown(Exception):
    """The broker did not tell."""


def publish(task: str, arguments: list[Any], queue: str) -> None:
    """Publishes a task. Raises kombu's OperationalError whenever the broker did not take it.

    Whatever else kombu raises is that too: on a connection that is lost in that moment it fails with errors of its own.
    """
    try:
        current_app.send_task(task, args=arguments, queue=queue)
    except OperationalError:
        raise
    except Exception as error:
        raise OperationalError(type(error).__name__) from error


def stamp(headers: MutableMapping[str, Any]) -> None:
    """Notes in a message's headers that it is published now."""
    headers[PUBLISHED_AT] = round(time.time(), 3)


class Queues:
    """Looks at the broker over a connection of its own. Blocks; one look at a time."""

    def __init__(self, settings: Settings) -> None:
        options = configuration(settings)["broker_transport_options"]
        within = {"socket_timeout": WITHIN_SECONDS, "socket_connect_timeout": WITHIN_SECONDS}
        self._url = settings.broker_url.get_secret_value()
        self._options = {**options, **within} if "amqp" not in self._url.partition("://")[0] else {}
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def look(self, queues: Iterable[str]) -> Queued:
        """What waits in these queues. Raises BrokerDown."""
        with self._lock:
            try:
                return self._look(tuple(queues))
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

    def _look(self, queues: tuple[str, ...]) -> Queued:
        if self._connection is None:
            self._connection = Connection(
                self._url, transport_options=self._options, connect_timeout=WITHIN_SECONDS, heartbeat=0
            )
        channel: Any = self._connection.default_channel
        if self._connection.transport.driver_type != "redis":
            counted = {queue: channel.queue_declare(queue, passive=True).message_count for queue in queues}
            return Queued({queue: Waiting(count, None) for queue, count in counted.items()}, None)
        lists = [channel._q_for_pri(queue, step) for queue in queues for step in channel.priority_steps]  # noqa: SLF001
        with channel.client.pipeline(transaction=False) as pipeline:
            pipeline.hlen(DEAD_LETTERS)
            for name in lists:
                pipeline.llen(name)
                # Messages come in on the left and are taken on the right.
                pipeline.lindex(name, -1)
            dead, *found = pipeline.execute()
        steps = len(channel.priority_steps)
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
    """How long ago a message was published, in seconds; None when it does not say."""
    with suppress(ValueError, TypeError, KeyError):
        return max(0.0, time.time() - float(json.loads(text or b"")["headers"][PUBLISHED_AT]))
    return None
