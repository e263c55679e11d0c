"""What is a time of the vendor's, and what is none."""

import pytest

from workers.booking_vendor.wire import Tider
from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse

TIME = {"id": "tid-1", "start": "2023-03-15T09:00:00+01:00", "slut": "2023-03-15T09:30:00+01:00", "sted": "Jobcenter"}


@pytest.mark.parametrize(
    ("text", "danish"),
    [
        ("2023-03-15T09:00:00+01:00", "2023-03-15T09:00:00+01:00"),
        ("2023-03-15T08:00:00Z", "2023-03-15T09:00:00+01:00"),
        ("2023-07-15T08:00:00+00:00", "2023-07-15T10:00:00+02:00"),
        ("2023-10-29T01:30:00+00:00", "2023-10-29T02:30:00+01:00"),
    ],
)
def test_a_moment_is_told_in_danish_time(text, danish):
    (time,) = validated(Tider, {"tider": [TIME | {"start": text}]}).tider
    assert time.start.isoformat() == danish


@pytest.mark.parametrize(
    "text",
    [
        "2023-03-15T09:00:00",
        "2023-02-29T09:00:00+01:00",
        "0000-01-01T00:00:00+01:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "soon",
        "",
        1678867200,
        None,
    ],
)
def test_a_time_without_a_zone_or_outside_the_calendar_is_none(text):
    with pytest.raises(InvalidResponse, match="start"):
        validated(Tider, {"tider": [TIME | {"start": text}]})


def test_of_many_times_that_are_wrong_the_first_is_told():
    with pytest.raises(InvalidResponse) as caught:
        validated(Tider, {"tider": [TIME, 1, 2, 3]})
    assert str(caught.value) == "not of the contract: tider.1 (model_type)"
