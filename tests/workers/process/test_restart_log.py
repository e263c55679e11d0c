"""The lines of Celery's consumer while it restarts: a few a minute are written, and the rest are one line."""

import logging

import pytest

from config.logging import TRACEBACKS_PER_MINUTE
from workers.process import restart_log
from workers.process.restart_log import RestartLogLimit

CONSUMER = restart_log.LOGGERS[0]


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limited(clock):
    return RestartLogLimit(clock)


def restart():
    """Celery's line, as it logs it: with the error's traceback."""
    error = ConnectionError("READONLY")
    text, info = "Frequent restarts detected: %r", (type(error), error, None)
    return logging.LogRecord(CONSUMER, logging.CRITICAL, "consumer.py", 391, text, (error,), info)


def test_a_storm_of_restarts_is_a_few_lines_and_their_number(limited, clock, logged):
    assert sum(limited.filter(restart()) for _ in range(300)) == TRACEBACKS_PER_MINUTE
    assert not logged
    clock.now = 61.0
    assert limited.filter(restart())
    assert [(one["event"], one["of"], one["lines"]) for one in logged] == [
        ("log_lines_left_out", "Frequent restarts detected: %r", 300 - TRACEBACKS_PER_MINUTE)
    ]


def test_a_line_of_another_kind_is_written_all_the_same(limited):
    for _ in range(300):
        limited.filter(restart())
    back = logging.LogRecord(CONSUMER, logging.INFO, "consumer.py", 1, "Connected to %s", ("redis://",), None)
    assert limited.filter(back)


def test_celerys_own_logger_is_limited():
    logger = logging.getLogger(CONSUMER)
    before = list(logger.filters)
    try:
        restart_log.limit()
        assert any(isinstance(one, RestartLogLimit) for one in logger.filters)
    finally:
        logger.filters[:] = before
