"""A time's id is all that a booking takes: it holds the offer and both moments, and no other text is one."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from registerbro.meetings.model import InvalidTimeId, Time
from registerbro.upstreams.wire_types import Identifier

OFFER = "4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f"
ID = f"{OFFER}.20230315T080000Z.20230315T084500Z"
TIME = Time(OFFER, datetime(2023, 3, 15, 8, tzinfo=UTC), datetime(2023, 3, 15, 8, 45, tzinfo=UTC))

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.builds(
    lambda seconds, zone: (datetime(1, 1, 3, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(0, 315_000_000_000),
    ZONES,
)
OFFERS = st.uuids().flatmap(lambda one: st.sampled_from([str(one), str(one).upper()]))


def test_an_id_is_the_offer_and_two_moments_in_utc():
    danish = Time(OFFER, *(one.astimezone(timezone(timedelta(hours=1))) for one in (TIME.start, TIME.end)))
    assert (TIME.id, danish.id, Time.parse(ID)) == (ID, ID, TIME)


@given(OFFERS, MOMENTS, st.integers(1, 86_400))
def test_an_id_gives_the_time_back_and_is_an_identifier(offer, start, seconds):
    time = Time(offer, start, start + timedelta(seconds=seconds))
    assert Time.parse(time.id) == time
    assert TypeAdapter(Identifier).validate_python(time.id) == time.id


@given(st.text(alphabet="0123456789abcdefTZ.-:", max_size=80) | st.just(ID).flatmap(lambda one: st.sampled_from(
    [one[:at] + new + one[at + 1:] for at in range(len(one)) for new in "xA9.\n"]
)))  # fmt: skip
def test_a_text_that_is_read_as_a_time_is_the_id_of_that_time_alone(text):
    with suppress(InvalidTimeId):
        time = Time.parse(text)
        assert time.id == text
        assert time.end > time.start


@pytest.mark.parametrize(
    "text",
    [
        "", "tid-1", OFFER, f"{ID}\n", f" {ID}", ID.lower(), ID.replace("0315", "0230"), ID.replace("0845", "0800"),
        ID.replace("0845", "0759"), ID.replace("2023", "0000"), ID.replace("2", "\u0662"), f"{ID}.20230315T084500Z",
    ],
)  # fmt: skip
def test_what_is_not_of_the_form_is_no_time(text):
    with pytest.raises(InvalidTimeId) as refused:
        Time.parse(text)
    assert not text or text not in str(refused.value)
