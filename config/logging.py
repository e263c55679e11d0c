"""Logging: one JSON object a line on stderr, for our own events and every library's, and no CPR number in any."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_CPR_LIKE = re.compile(r"(?<!\d)\d{6}[-\s]?\d{4}(?!\d)")
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


def _redacted(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _CPR_LIKE.sub(REDACTED, value)
    if isinstance(value, bool | float | None):
        return value
    if isinstance(value, int):
        return REDACTED if _CPR_LIKE.fullmatch(str(value)) else value
    if depth == 0:
        return REDACTED
    if isinstance(value, dict):
        return {_redacted(name, 1): _redacted(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, depth - 1) for item in value]
    return _CPR_LIKE.sub(REDACTED, repr(value))


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
