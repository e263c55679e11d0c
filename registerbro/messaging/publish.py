"""Publishing of tasks, with the time in a header of ours, since Celery has none."""

import time
from collections.abc import MutableMapping
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

PUBLISHED_AT = "published_at"
"""The header: seconds since 1970, by the publisher's clock."""


def publish(task: str, arguments: list[Any], queue: str) -> None:
    """Publishes a task. Raises kombu's OperationalError whenever the broker did not take it.

    Any other error of kombu becomes an OperationalError, too: a connection that is lost under way raises several kinds.
    """
    try:
        current_app.send_task(task, args=arguments, queue=queue)
    except OperationalError:
        raise
    except Exception as error:
        raise OperationalError(type(error).__name__) from error


def stamp(headers: MutableMapping[str, Any]) -> None:
    """Sets the time of publishing in a message's headers."""
    headers[PUBLISHED_AT] = round(time.time(), 3)
