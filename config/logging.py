"""Logging: one JSON object a line on stderr, for our own events and every library's, and no CPR number in any.

What Python itself would write to stderr goes the same way: warnings, errors that nobody caught, and log calls that are
wrong in themselves, of which it would show the arguments.
"""

import logging
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from config.visible import to_json

log = structlog.get_logger(__name__)

_CPR_LIKE = re.compile(r"(?<!\d)\d{6}(?:[-\s]|%2[dD0])?\d{4}(?!\d)")
REDACTED = "[redacted]"
DEEPEST = 6
"""How far into nested values the redaction looks; what lies deeper is left out altogether."""

QUIET = (
    *("httpx", "httpcore", "aiohttp", "asyncio", "redis", "amqp"),
    *("celery.worker.strategy", "celery.app.trace", "celery.beat", "celery.worker.consumer.mingle"),
)
"""Loggers that tell of every call, every task and every tick: only their warnings are of use."""

MINUTE = 60.0
PER_MINUTE = 60
"""Lines of one kind that are written within a minute where lines are limited: one a second, in whatever bursts."""
TRACEBACKS_PER_MINUTE = 10
"""Of a kind that brings a traceback, which is a hundred times as long."""
ANSWERS_PER_MINUTE = 6000
"""Of requests that were answered as asked for: 100 a second are more than a process gets from people."""
MOST_KINDS = 1000
"""Kinds that are counted apart; a library may make its events of what it was given, and those share one count."""
LEFT_OUT = "log_lines_left_out"
_OTHERS = ("", "others", "")

Kind = tuple[str, str, str]
"""What lines have in common that count together: logger, event, and of requests the status."""


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


def limit() -> None:
    """From now on the log of this process repeats nothing without end: for where strangers can cause its lines.

    Of each kind of line a number is written within a minute. The rest of them is one line, `log_lines_left_out`, with
    their number, at the end of that minute.
    """
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.repeats = Repeats()


def tell_left_out() -> None:
    """Writes down now how many lines were left out: for the end of a process that a signal ends."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Handler):
            handler.tell_left_out()


class Repeats:
    """Counts the lines of each kind within a minute. `clock` is in seconds, for tests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[Kind, _Minute] = {}

    def take(self, record: logging.LogRecord) -> bool:
        """Counts a line; whether it is to be written."""
        kind, most = _kind(record), _most(record)
        if kind not in self._minutes and len(self._minutes) >= MOST_KINDS:
            kind = _OTHERS
        minute = self._minutes.get(kind)
        if minute is None:
            minute = self._minutes[kind] = _Minute(self._clock() + MINUTE)
        minute.lines += 1
        minute.left_out += minute.lines > most
        return minute.lines <= most

    def ended(self, *, all_: bool = False) -> Iterator[tuple[Kind, int]]:
        """Forgets the minutes that are over, or all; gives the kinds of which lines were left out, with how many."""
        now = self._clock()
        for kind, minute in list(self._minutes.items()):
            if all_ or now >= minute.ends:
                del self._minutes[kind]
                if minute.left_out:
                    yield kind, minute.left_out


class _Minute:
    __slots__ = ("ends", "left_out", "lines")

    def __init__(self, ends: float) -> None:
        self.ends = ends
        self.lines = 0
        self.left_out = 0


def _kind(record: logging.LogRecord) -> Kind:
    # structlog hands over the event with its facts, and a library the text before anything was put into it.
    facts = record.msg if isinstance(record.msg, dict) else {"event": record.msg}
    return record.name, str(facts.get("event"))[:200], str(facts.get("status", ""))


def _most(record: logging.LogRecord) -> int:
    if record.exc_info or (isinstance(record.msg, dict) and record.msg.get("exc_info")):
        return TRACEBACKS_PER_MINUTE
    if isinstance(record.msg, dict) and record.msg.get("event") == "request_answered":
        return ANSWERS_PER_MINUTE if record.msg.get("status", 500) < 400 else PER_MINUTE
    return PER_MINUTE


class _Handler(logging.StreamHandler[TextIO]):
    """Says of a log call that is wrong in itself where it is, and not what it was given; leaves out what repeats."""

    repeats: Repeats | None = None
    """Counts the lines, where they are limited."""
    _telling: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """logging's: writes a line, under the handler's lock."""
        if self.repeats is None or (record.name == __name__ and _kind(record)[1] == LEFT_OUT):
            super().emit(record)
            return
        self._tell(self.repeats.ended())
        if self.repeats.take(record):
            super().emit(record)
        elif self._telling is None:
            # When no other line comes, the number is told all the same.
            self._telling = threading.Timer(MINUTE, self.tell_left_out)
            self._telling.daemon = True
            self._telling.start()

    def close(self) -> None:
        """logging's, at the end of the process."""
        self.tell_left_out()
        super().close()

    def tell_left_out(self) -> None:
        """Writes down how many lines were left out so far, and begins to count anew."""
        self.acquire()
        try:
            self._telling = None
            if self.repeats is not None:
                self._tell(self.repeats.ended(all_=True))
        finally:
            self.release()

    def _tell(self, left_out: Iterator[tuple[Kind, int]]) -> None:
        for (logger, event, status), lines in list(left_out):
            facts = {"status": status} if status else {}
            log.warning(LEFT_OUT, of=event, by=logger, lines=lines, **facts)

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
