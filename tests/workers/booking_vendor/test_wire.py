"""The body of a fault report, its code, and what each status says of it."""

import json
from datetime import UTC, datetime

import pytest

from config.settings import FaultCode
from config.settings.types import parse_fault_codes
from registerbro.fault_reports.model import Content
from workers.booking_vendor.wire import Taken, fejlkode, fejlmelding, taken

CODES = parse_fault_codes("/booking 4769/9018=4; 4769/9018=3; /booking=2; *=1")
ANY = (FaultCode(None, None, 1),)


@pytest.mark.parametrize(
    ("page", "error", "code"),
    [
        ("/booking", "4769/9018", 4),
        ("/another", "4769/9018", 3),
        (None, "4769/9018", 3),
        ("/booking", "9303/9329", 2),
        ("/booking", None, 2),
        ("/booking/2", None, 1),
        ("/another", "9303/9329", 1),
        (None, None, 1),
    ],
)
def test_the_first_rule_that_fits_gives_the_code(page, error, code):
    assert fejlkode(CODES, page, error) == code


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        (datetime(2023, 3, 13, 8, 15, 0, 123_000, tzinfo=UTC), "2023-03-13T09:15:00.123+01:00"),
        (datetime(2023, 7, 13, 8, 15, 0, tzinfo=UTC), "2023-07-13T10:15:00.000+02:00"),
        (datetime(2023, 10, 29, 0, 30, 0, tzinfo=UTC), "2023-10-29T02:30:00.000+02:00"),
        (datetime(2023, 10, 29, 1, 30, 0, tzinfo=UTC), "2023-10-29T02:30:00.000+01:00"),
    ],
)
def test_the_time_is_danish_and_the_hour_that_comes_twice_is_told_apart(accepted, sent):
    assert json.loads(fejlmelding(accepted, Content("x"), ANY))["FejlTidspunkt"] == sent


def test_the_same_report_is_the_same_body_in_every_attempt():
    accepted = datetime(2023, 3, 13, 8, 15, tzinfo=UTC)
    content = Content("æøå 😀", "/booking", None, "an-offer", "a-meeting")
    first, second = (fejlmelding(accepted, content, CODES) for _ in range(2))
    assert first == second
    assert json.loads(first) == {
        "MoedetilbudId": "an-offer", "IndkaldelseId": "a-meeting", "Fejlkode": 2, "Fejltekst": "æøå 😀",
        "FejlOphav": 32, "FejlTidspunkt": "2023-03-13T09:15:00.000+01:00",
    }  # fmt: skip


UNKNOWN = {300, 302, 303, 304, 305, 306, 309, 399, 502, 504, 506, 520, 524, 599}


@pytest.mark.parametrize(
    ("statuses", "meaning"),
    [
        ({200, 201, 202, 204, 206, 299}, Taken.YES),
        ({301, 307, 308, 400, 401, 403, 404, 408, 409, 412, 422, 429, 499, 500, 501, 503, 505}, Taken.NO),
        (UNKNOWN, Taken.UNKNOWN),
    ],
)
def test_each_status_says_whether_the_report_was_taken(statuses, meaning):
    assert {taken(status) for status in statuses} == {meaning}
