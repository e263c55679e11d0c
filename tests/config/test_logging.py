"""Log lines: JSON, one each, and never a CPR number."""

import io
import json
import logging
import sys

import pytest
import structlog

from config.logging import REDACTED, configure, redact

NUMBER = "6102991234"


@pytest.fixture
def written(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure("DEBUG")
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "value",
    [
        NUMBER,
        "610299-1234",
        "610299 1234",
        f"cpr={NUMBER}.",
        6102991234,
        [NUMBER],
        {"deep": {"er": (NUMBER,)}},
        {NUMBER: 1},
        ValueError(NUMBER),
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
