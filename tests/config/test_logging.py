"""Log lines: JSON, one each, and never a CPR number."""

import io
import json
import logging
import sys
import threading
import warnings

import pytest
import structlog

from config import logging as module
from config.logging import (
    MOST_KINDS,
    PER_MINUTE,
    REDACTED,
    TRACEBACKS_PER_MINUTE,
    Repeats,
    configure,
    limit,
    redact,
    tell_left_out,
)
from demo.installation import wait_for

NUMBER = "6102991234"


@pytest.fixture
def written(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    for of, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(of, hook, getattr(of, hook))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("DEBUG")
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        "610299-1234",
        "610299 1234",
        "610299%2D1234",
        "610299%201234",
        6102991234.0,
        f"cpr={NUMBER}.",
        6102991234,
        [NUMBER],
        {"deep": {"er": (NUMBER,)}},
        {NUMBER: 1},
        ValueError(NUMBER),
        NUMBER.encode(),
    ],
)
def test_whatever_looks_like_a_cpr_number_is_replaced(value):
    cleaned = redact(None, "info", {"event": "x", "value": value})
    assert REDACTED in str(cleaned["value"])
    assert "1234" not in str(cleaned["value"])


@pytest.mark.parametrize("value", ["2026-11-23T07:36:00Z", 176388336, "a" * 52, 3.14, True, None, "12345678901"])
def test_other_values_stay_as_they_are(value):
    assert redact(None, "info", {"value": value})["value"] == value


def test_our_events_and_the_libraries_are_json_lines(written):
    structlog.get_logger("ours").info("something_happened", register="udb")
    logging.getLogger("kombu").warning("broker %s", "gone")
    ours, theirs = (json.loads(line) for line in written.getvalue().splitlines())
    assert (ours["event"], ours["register"], ours["level"]) == ("something_happened", "udb", "info")
    assert (theirs["event"], theirs["logger"]) == ("broker gone", "kombu")


def test_a_traceback_with_a_cpr_number_is_redacted_on_its_one_line(written):
    try:
        raise ValueError(f"about {NUMBER}")
    except ValueError:
        structlog.get_logger().exception("it_broke", who=f"{NUMBER[:6]}-{NUMBER[6:]}")
    (line,) = written.getvalue().splitlines()
    assert "Traceback" in json.loads(line)["exception"]
    assert "1234" not in line


def test_a_log_call_that_is_wrong_in_itself_says_where_it_is_and_not_what_it_was_given(written):
    # Given to our own handler alone, since pytest's raises at such a record.
    (ours,) = [handler for handler in logging.getLogger().handlers if type(handler).__module__ == "config.logging"]
    ours.handle(logging.LogRecord("theirs", logging.ERROR, __file__, 7, "%d was refused", (NUMBER,), None))
    (line,) = map(json.loads, written.getvalue().splitlines())
    assert line["event"].startswith("log line not written: TypeError at ")
    assert line["event"].endswith("test_logging.py:7")
    assert NUMBER not in written.getvalue()


def uncaught():
    sys.excepthook(ValueError, ValueError(NUMBER), None)


def uncaught_in_a_thread():
    thread = threading.Thread(target=int, args=(f"{NUMBER}x",))
    thread.start()
    thread.join()


def unraisable():
    class Broken:
        def __del__(self):
            raise ValueError(NUMBER)

    Broken()


def warned():
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn(f"about {NUMBER}", stacklevel=1)


@pytest.mark.parametrize("happens", [uncaught, uncaught_in_a_thread, unraisable, warned])
def test_what_python_itself_would_write_is_a_log_line_and_redacted(written, happens):
    happens()
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert lines
    assert REDACTED in written.getvalue()
    assert NUMBER not in written.getvalue()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def line(event, name="theirs", **facts):
    return name, {"event": event, **facts}


def taken(repeats, record, times):
    return sum(repeats.take(*record) for _ in range(times))


@pytest.mark.parametrize(
    ("record", "most"),
    [
        (line("Invalid HTTP request received."), PER_MINUTE),
        (line("form_refused", reason="Refused"), PER_MINUTE),
        (line("page_defect", exc_info=True), TRACEBACKS_PER_MINUTE),
        (line("request_answered", status=401), PER_MINUTE),
        (line("request_answered", status=200), module.ANSWERS_PER_MINUTE),
    ],
    ids=["library", "ours", "traceback", "refusals", "answers"],
)
def test_of_one_kind_so_many_lines_are_written_within_a_minute(record, most):
    clock = Clock()
    repeats = Repeats(clock)
    assert taken(repeats, record, most + 7) == most
    assert list(repeats.ended()) == []
    clock.now = 60.0
    assert [lines for _, lines in repeats.ended()] == [7]
    assert taken(repeats, record, most) == most


def test_no_kind_of_line_takes_from_another():
    repeats = Repeats(Clock())
    taken(repeats, line("request_answered", status=401), 100)
    for other in (line("request_answered", status=200), line("request_answered", status=500), line("key_set_read")):
        assert repeats.take(*other)


def test_lines_of_endless_kinds_share_one_count():
    repeats = Repeats(Clock())
    assert taken(repeats, line("first"), 1) == 1
    written = sum(repeats.take(*line(f"no such thing: {number}")) for number in range(10 * MOST_KINDS))
    assert written == MOST_KINDS - 1 + PER_MINUTE
    assert repeats.take(*line("first"))


def test_what_was_left_out_is_one_line_with_its_number(written, monkeypatch):
    monkeypatch.setattr(module, "MINUTE", 1.0)
    limit()
    log = structlog.get_logger("ours")
    for _ in range(PER_MINUTE + 5):
        log.warning("form_refused", reason="Refused")
    wait_for(lambda: module.LEFT_OUT in written.getvalue(), "the line that nobody else causes")
    told = [json.loads(line) for line in written.getvalue().splitlines()]
    (summary,) = [one for one in told if one["event"] == module.LEFT_OUT]
    assert (summary["of"], summary["by"]) == ("form_refused", "ours")
    assert len(told) - 1 + summary["lines"] == PER_MINUTE + 5


def test_a_process_that_ends_tells_what_it_has_left_out(written):
    limit()
    for _ in range(PER_MINUTE + 5):
        logging.getLogger("theirs").warning("Invalid HTTP request received.")
    tell_left_out()
    last = json.loads(written.getvalue().splitlines()[-1])
    assert (last["event"], last["of"], last["lines"]) == (module.LEFT_OUT, "Invalid HTTP request received.", 5)


def test_where_lines_are_not_limited_each_is_written(written):
    for _ in range(PER_MINUTE + 5):
        logging.getLogger("theirs").warning("again")
    assert len(written.getvalue().splitlines()) == PER_MINUTE + 5
