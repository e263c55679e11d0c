"""Log limit for Celery's consumer: its repeated lines while it restarts are counted instead of written.

A broker that accepts connections and refuses commands, as a replica does (READONLY), makes the consumer restart several
times a second, each time with a critical line and a traceback. The first few of a minute are written; the rest is one
line, `log_lines_left_out`, as in the portal's log.
"""

import logging
from collections.abc import Callable
from time import monotonic

import structlog

from config.logging import LEFT_OUT, Repeats, facts_of

LOGGERS = ("celery.worker.consumer.consumer",)
"""Loggers whose lines a broker's state alone can repeat without end; none of them logs a task."""

log = structlog.get_logger()


class RestartLogLimit(logging.Filter):
    """Logging filter that lets a number of lines of each kind through per minute, by `config.logging.Repeats`.

    The number of lines that were left out is logged at the logger's first line after that minute: at the latest, the
    line that the broker is back. `clock` is in seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._repeats = Repeats(clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is to be written; counts it."""
        for (logger, event, _), lines in list(self._repeats.ended()):
            log.warning(LEFT_OUT, of=event, by=logger, lines=lines)
        return self._repeats.take(record.name, facts_of(record))


def limit() -> None:
    """Limits the lines of LOGGERS in this process."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(RestartLogLimit())
