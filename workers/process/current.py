"""The event loop of this worker process: opened when the worker starts, closed when it ends."""

from config.settings import Settings
from registerbro.event_loop import EventLoop

_current: EventLoop | None = None


def open(settings: Settings) -> EventLoop:  # noqa: A001 - reads as `current.open`
    """Opens this process's event loop, unless it is open."""
    global _current  # noqa: PLW0603 - a process has one, as it has one Celery app
    if _current is None:
        _current = EventLoop(settings)
    return _current


def event_loop() -> EventLoop:
    """The process's event loop. Raises RuntimeError before it was opened."""
    if _current is None:
        raise RuntimeError("the event loop is opened with the worker, and is not open")
    return _current


def close() -> None:
    """Closes this process's event loop, if it is open."""
    global _current  # noqa: PLW0603
    if _current is not None:
        _current.close()
        _current = None
