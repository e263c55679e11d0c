"""The table of answers that all upstreams share."""

from datetime import UTC, datetime, timedelta

import pytest

from registerbro.upstreams import errors
from registerbro.upstreams.errors import Again, from_status, parse_retry_after

NOW = datetime(2023, 3, 13, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, errors.UpstreamUnavailable),
        (502, errors.UpstreamUnavailable),
        (503, errors.UpstreamUnavailable),
        (504, errors.UpstreamUnavailable),
        (429, errors.RateLimited),
        (401, errors.NotAuthorised),
        (403, errors.NotAuthorised),
        (400, errors.BadRequest),
        (422, errors.BadRequest),
        (418, errors.BadRequest),
        (404, errors.NotFound),
        (412, errors.RequestIdUsed),
        (204, errors.InvalidResponse),
        (302, errors.InvalidResponse),
    ],
)
def test_a_status_means_the_same_for_every_upstream(status, kind):
    assert type(from_status(status)) is kind


@pytest.mark.parametrize("status", [302, 401, 404, 418, 429, 503])
def test_an_error_tells_the_status_and_how_long_to_wait(status):
    error = from_status(status, timedelta(seconds=7))
    assert (str(error), error.retry_after) == (f"HTTP {status}", timedelta(seconds=7))
    assert from_status(status).retry_after is None


def test_an_error_without_a_message_tells_its_reason():
    assert str(errors.ConnectionLost()) == "unavailable"


def test_200_is_no_error_by_itself():
    assert from_status(200) is None


@pytest.mark.parametrize(
    ("kind", "again", "counts", "alarm", "outcome_unknown", "is_replaced"),
    [
        (errors.UpstreamUnavailable, Again.YES, True, False, True, False),
        (errors.ConnectionLost, Again.YES, True, False, True, False),
        (errors.UpstreamTimeout, Again.YES, True, False, True, False),
        (errors.RateLimited, Again.YES, False, False, False, False),
        (errors.RequestIdUsed, Again.ONCE, False, False, False, True),
        (errors.AlreadyReceived, Again.NEVER, False, False, False, False),
        (errors.InvalidResponse, Again.ONCE, True, False, True, False),
        (errors.TooLong, Again.NEVER, False, False, False, False),
        (errors.TokenRefused, Again.ONCE, False, False, False, True),
        (errors.NotAuthorised, Again.NEVER, False, True, False, False),
        (errors.NotThisCitizen, Again.NEVER, False, False, False, False),
        (errors.BadRequest, Again.NEVER, False, True, False, False),
        (errors.NotFound, Again.NEVER, False, False, False, False),
        (errors.WrongPerson, Again.NEVER, True, True, False, False),
    ],
)
def test_what_each_error_means_for_the_next_call(kind, again, counts, alarm, outcome_unknown, is_replaced):
    assert (kind.again, kind.counts, kind.alarm) == (again, counts, alarm)
    assert (kind.outcome_unknown, kind.is_replaced) == (outcome_unknown, is_replaced)


@pytest.mark.parametrize(("kind", "reason"), [(errors.RequestIdUsed, "request_id_used"), (errors.TooLong, "too_long")])
def test_what_is_told_of_an_error_tells_it_from_the_others(kind, reason):
    assert kind.reason == reason
    assert kind.__mro__[1] is errors.CallFailed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        (" 7 ", timedelta(seconds=7)),
        ("-5", None),
        ("1.5", None),
        ("999999999999", timedelta(days=1)),
        ("Mon, 13 Mar 2023 09:01:00 GMT", timedelta(minutes=1)),
        ("Mon, 13 Mar 2023 08:00:00 GMT", timedelta(0)),
        ("Mon, 13 Mar 2033 08:00:00 GMT", timedelta(days=1)),
        ("Mon, 13 Mar 2023 10:01:00 +0100", timedelta(minutes=1)),
        ("Mon, 13 Mar 2023 09:01:00 -0000", timedelta(minutes=1)),
        ("86401", timedelta(days=1)),
        (f"13 Mar {'9' * 30} 08:00:00 GMT", None),
        (f"13 Mar 2023 08:00:00 +{'9' * 40}", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", timedelta(days=1)),
        ("Mon, 01 Jan 0001 00:00:00 +2359", timedelta(0)),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_absurd(value, expected):
    assert parse_retry_after(value, NOW) == expected
