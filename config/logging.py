"""Logging: one JSON object per line on stderr, for our own events and every library's, without a CPR number.

Python's own output on stderr goes the same way: warnings, uncaught errors, and invalid log calls, whose arguments it
would print.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

import structlog

from domain.cpr import LOOKS_LIKE_CPR
from domain.hidden_characters import to_json

log = structlog.get_logger(__name__)

REDACTED = "[redacted]"
DEEPEST = 6
"""Levels of nested values that the redaction reads; deeper values are replaced altogether."""

QUIET = (
    *("httpx", "httpcore", "aiohttp", "asyncio", "redis", "amqp"),
    *("celery.worker.strategy", "celery.app.trace", "celery.beat", "celery.worker.consumer.mingle"),
)
"""Loggers that log every call, task and tick, and are limited to warnings."""

MINUTE = 60.0
PER_MINUTE = 60
"""Maximum lines of one kind per minute, in a process whose lines are limited."""
TRACEBACKS_PER_MINUTE = 10
"""The same for lines with a traceback, which are a hundred times as long."""
ANSWERS_PER_MINUTE = 6000
"""The same for requests that succeeded: 100 a second, more than a process gets from people."""
MOST_KINDS = 1000
"""Maximum kinds with a count of their own. The rest share one, because a library may put its input into an event."""
LEFT_OUT = "log_lines_left_out"
_OTHERS = ("", "others", "")
_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()}

Facts = Mapping[str, Any]
Kind = tuple[str, str, str]
"""The lines that are counted together: logger, event, and the status of requests."""


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor, the last before rendering: replaces whatever looks like a CPR number, in every spelling."""
    return {name: _redacted(value, DEEPEST) for name, value in event.items()}


def redacted_text(text: str) -> str:
    """The text with whatever looks like a CPR number replaced."""
    return LOOKS_LIKE_CPR.sub(REDACTED, text)


def _redacted(value: object, depth: int) -> object:
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, bool | None):
        return value
    if isinstance(value, float):
        return REDACTED if value.is_integer() and LOOKS_LIKE_CPR.fullmatch(str(int(value))) else value
    if isinstance(value, int):
        return REDACTED if LOOKS_LIKE_CPR.fullmatch(str(value)) else value
    if depth == 0:
        return REDACTED
    if isinstance(value, dict):
        return {_redacted(name, 1): _redacted(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, depth - 1) for item in value]
    return redacted_text(repr(value))


def configure(level: str = "INFO") -> None:
    """Configures logging: all log lines of this process, ours and the libraries', pass the same processors.

    Ours go from structlog to the stream, since `logging` on the way took two thirds of the time of a line.
    """
    _lines.begin(sys.stderr, logging.getLevelNamesMapping()[level])
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.JSONRenderer(to_json),
    ]
    structlog.configure(
        # The level first, so that a line below it costs next to nothing.
        processors=[_lines.at_level, *shared, _lines.limited, *rendering],
        logger_factory=_LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
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
    """Limits this process's log lines per kind and minute: for a process whose lines strangers can cause.

    The lines above the limit become one line, `log_lines_left_out`, with their number, at the end of the minute.
    """
    _lines.repeats = Repeats()


def tell_left_out() -> None:
    """Logs the number of lines left out so far, before a signal ends the process."""
    _lines.tell_left_out()


def facts_of(record: logging.LogRecord) -> Facts:
    """What Repeats counts a library's line by: its text before the arguments are put into it."""
    return {"event": record.msg, "exc_info": record.exc_info}


class Repeats:
    """Counter of lines per kind and minute. `clock` gives seconds; tests set it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._minutes: dict[Kind, _Minute] = {}

    def take(self, logger: str, facts: Facts) -> bool:
        """Counts a line, of which `facts` has at least the event. Returns whether it is to be written."""
        kind, most = _kind(logger, facts), _most(facts)
        if kind not in self._minutes and len(self._minutes) >= MOST_KINDS:
            kind = _OTHERS
        minute = self._minutes.get(kind)
        if minute is None:
            minute = self._minutes[kind] = _Minute(self._clock() + MINUTE)
        minute.lines += 1
        minute.left_out += minute.lines > most
        return minute.lines <= most

    def ended(self, *, all_: bool = False) -> Iterator[tuple[Kind, int]]:
        """Ends the minutes that are over, or all of them. Yields each kind with its number of lines left out."""
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


def _kind(logger: str, facts: Facts) -> Kind:
    return logger, str(facts.get("event"))[:200], str(facts.get("status", ""))


def _most(facts: Facts) -> int:
    if facts.get("exc_info"):
        return TRACEBACKS_PER_MINUTE
    if facts.get("event") == "request_answered":
        return ANSWERS_PER_MINUTE if facts.get("status", 500) < 400 else PER_MINUTE
    return PER_MINUTE


class _Lines:
    """The lines of this process on their stream, one at a time.

    There is one for the process, since a logger that was used before keeps what it was configured with.
    """

    def __init__(self) -> None:
        self._stream = sys.stderr
        self._level = logging.INFO
        self._lock = threading.RLock()
        self._telling: threading.Timer | None = None
        self.repeats: Repeats | None = None
        """The counter, in a process whose lines are limited."""

    def begin(self, stream: TextIO, level: int) -> None:
        """Writes lines of this level and above to a stream from now on, without limits."""
        self._stream, self._level, self.repeats = stream, level, None

    def at_level(self, _: object, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Processor. Raises DropEvent for a line below the level."""
        if _LEVELS[level] < self._level:
            raise structlog.DropEvent
        return event

    def write(self, line: str) -> None:
        """Writes a line. Raises nothing: one that cannot be written is lost."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def limited(self, logger: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's
        """Processor. Raises DropEvent for a line that is above the limit."""
        if self.repeats is not None and not self.take(logger.name, event):
            raise structlog.DropEvent
        return event

    def take(self, logger: str, facts: Facts) -> bool:
        """Counts a line, and tells of the minutes that are over. Returns whether it is to be written."""
        if self.repeats is None or facts.get("event") == LEFT_OUT:
            return True
        with self._lock:
            self._tell(self.repeats.ended())
            if self.repeats.take(logger, facts):
                return True
            if self._telling is None:
                # Logs the number even when no other line follows.
                self._telling = threading.Timer(MINUTE, self.tell_left_out)
                self._telling.daemon = True
                self._telling.start()
        return False

    def tell_left_out(self) -> None:
        """Logs the number of lines left out so far, and counts anew."""
        with self._lock:
            self._telling = None
            if self.repeats is not None:
                self._tell(self.repeats.ended(all_=True))

    def _tell(self, left_out: Iterator[tuple[Kind, int]]) -> None:
        for (logger, event, status), count in list(left_out):
            facts = {"status": status} if status else {}
            log.warning(LEFT_OUT, of=event, by=logger, lines=count, **facts)


_lines = _Lines()


class _Logger:
    """Where structlog gives a line of ours when it is rendered; `name` is the logger's."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = _lines.write


class _LoggerFactory:
    def __init__(self) -> None:
        self._named = structlog.stdlib.LoggerFactory()

    def __call__(self, *args: Any) -> _Logger:  # noqa: ANN401 - structlog's
        return _Logger(self._named(*args).name)


def _add_logger_name(logger: Any, _: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's
    record = event.get("_record")
    event["logger"] = logger.name if record is None else record.name
    return event


class _Handler(logging.Handler):
    """Handler of the libraries' lines; reports an invalid log call by its place and never by its arguments."""

    def emit(self, record: logging.LogRecord) -> None:
        """logging's: writes a line."""
        try:
            if _lines.take(record.name, facts_of(record)):
                _lines.write(self.format(record))
        except Exception:  # noqa: BLE001 - logging's own way: no log line ends what it tells of
            self.handleError(record)

    def close(self) -> None:
        """logging's, at the end of the process."""
        _lines.tell_left_out()
        super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """logging's: a line that cannot be made."""
        if record.name == __name__:
            return
        kind, where = type(sys.exc_info()[1]).__name__, f"{record.pathname}:{record.lineno}"
        logging.getLogger(__name__).error("log line not written: %s at %s", kind, where)


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
