"""Logging: one JSON object a line on stderr, for our own events and every library's, and no CPR number in any.

What Python itself would write to stderr goes the same way: warnings, errors that nobody caught, and log calls that are
wrong in themselves, of which it would show the arguments.
"""

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from config.visible import to_json

_CPR_LIKE = re.compile(r"(?<!\d)\d{6}(?:[-\s]|%2[dD0])?\d{4}(?!\d)")
REDACTED = "[redacted]"
DEEPEST = 6
"""How far into nested values the redaction looks; what lies deeper is left out altogether."""

QUIET = (
    *("httpx", "httpcore", "aiohttp", "asyncio", "redis", "amqp"),
    *("celery.worker.strategy", "celery.app.trace", "celery.beat", "celery.worker.consumer.mingle"),
)
"""Loggers that tell of every call, every task and every tick: only their warnings are of use."""


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last processor before rendering: whatever looks like a CPR number, in either spelling, is replaced."""
    return {name: _redacted(value, DEEPEST) for name, value in event.items()}


def redacted_text(text: str) -> str:
    """The text with whatever looks like a CPR number replaced."""
    return _CPR_LIKE.sub(REDACTED, text)


def _redacted(value: object, depth: int) -> object:
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, float):
        return REDACTED if value.is_integer() and _CPR_LIKE.fullmatch(str(int(value))) else value
    if isinstance(value, int):
        return REDACTED if _CPR_LIKE.fullmatch(str(value)) else value
    if depth == 0:
        return REDACTED
    if isinstance(value, dict):
        return {_redacted(name, 1): _redacted(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, depth - 1) for item in value]
    return redacted_text(repr(value))


def configure(level: str = "INFO") -> None:
    """Sends every log line of this process, ours and the libraries', through the same processors."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    structlog.configure(
        # First of all, so that a line that nobody wants costs next to nothing.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


class _Handler(logging.StreamHandler[TextIO]):
    """Says of a log call that is wrong in itself where it is, and not what it was given."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        error = sys.exc_info()[1]
        if record.name == __name__ or isinstance(error, OSError):
            # Nothing can be written at the moment.
            return
        where = f"{record.pathname}:{record.lineno}"
        logging.getLogger(__name__).error("log line not written: %s at %s", type(error).__name__, where)


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger(__name__).critical("uncaught error", exc_info=(kind, error, traceback))


def _uncaught_in_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None and not isinstance(told.exc_value, SystemExit):
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)


def _unraisable(told: "sys.UnraisableHookArgs") -> None:
    if told.exc_value is not None:
        _uncaught(told.exc_type, told.exc_value, told.exc_traceback)
