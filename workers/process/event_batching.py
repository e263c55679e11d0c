"""Event batching: publishes a worker's task events a few times a second, many at a time.

Each publication costs a round trip to the broker, and Celery makes one at each turn of its loop.
"""

from typing import Any

from celery import bootsteps
from kombu.common import ignore_errors

FLUSH_AFTER_SECONDS = 0.1
"""How long an event waits for others."""
FLUSH_AT_EVENTS = 500
"""Number of waiting events at which they are published at once."""


class EventBatcher(bootsteps.StartStopStep):
    """Celery's worker step that batches the events which Flower shows."""

    requires = ("celery.worker.consumer.events:Events",)

    def start(self, parent: Any) -> None:  # noqa: ANN401 - Celery's consumer
        """Called at each new connection to the broker, which brings a new dispatcher."""
        dispatcher, hub = parent.event_dispatcher, parent.hub
        if hub is None or dispatcher is None or dispatcher.on_send_buffered is None:
            return
        publishing: list[object] = []

        def flush() -> None:
            publishing.clear()
            dispatcher.flush()

        def soon() -> None:
            if not publishing:
                publishing.append(hub.call_later(FLUSH_AFTER_SECONDS, flush))

        dispatcher.buffer_limit = FLUSH_AT_EVENTS
        dispatcher.on_send_buffered = soon

    def shutdown(self, parent: Any) -> None:  # noqa: ANN401 - Celery's consumer
        """Publishes the events of the tasks that ended last: the hub calls nothing any more."""
        if parent.event_dispatcher is not None:
            ignore_errors(parent, parent.event_dispatcher.flush)  # type: ignore[no-untyped-call]
