"""Values that the registers share are read in one form each, and everything else is refused."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.service_windows import DENMARK
from registerbro.upstreams.wire_types import DanishDay, Identifier, IsoDate, Many, Moment, Name, WireModel

MOMENT = TypeAdapter(Moment)
DAY = TypeAdapter(DanishDay)
ISO_DATE = TypeAdapter(IsoDate)

DANISH = [
    ("2023-03-15T09:00:00+01:00", "2023-03-15T09:00:00+01:00"),
    ("2023-03-15T08:00:00Z", "2023-03-15T09:00:00+01:00"),
    ("2023-07-15T08:00:00+00:00", "2023-07-15T10:00:00+02:00"),
    ("2023-03-15T23:30:00Z", "2023-03-16T00:30:00+01:00"),
    ("2023-07-15T22:00:00Z", "2023-07-16T00:00:00+02:00"),
    ("2023-03-15T09:00+01:00", "2023-03-15T09:00:00+01:00"),
    ("2023-03-15T09:00:00.1234567+01:00", "2023-03-15T09:00:00.123456+01:00"),
    ("2023-03-15T09:00:00", "2023-03-15T09:00:00+01:00"),
    ("2023-07-15T00:00:00", "2023-07-15T00:00:00+02:00"),
    ("2023-10-29T01:30:00+00:00", "2023-10-29T02:30:00+01:00"),
    ("2023-10-29T02:30:00", "2023-10-29T02:30:00+02:00"),
    ("2023-03-26T02:30:00", "2023-03-26T03:30:00+02:00"),
]

MOMENTS = st.builds(datetime.combine, st.dates(date(1, 1, 3), date(9999, 12, 29)), st.times(), st.just(UTC))

NO_MOMENTS = [
    "2023-03-15 09:00:00+01:00",
    "20230315T090000",
    "2023-W11-3T09:00:00",
    "2023-02-29T09:00:00+01:00",
    "2023-03-15T24:30:00",
    "2023-03-15T09:00:00+0100",
    "2023-03-15T09:00:00,5Z",
    "2023-03-15T09:00:00Z ",
    "2023-03-15T09:00:00Z\n",
    "2023-03-15T09",
    "2023-03-15T",
    "٢023-03-15T09:00:00Z",
    "0000-01-01T00:00:00+01:00",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00",
    "9999-12-31T23:59:59-14:00",
    "soon",
    "",
    1678867200,
    1.5,
    True,
    None,
    ["2023-03-15T09:00:00Z"],
]


@pytest.mark.parametrize(("text", "danish"), DANISH)
def test_a_moment_is_told_in_danish_time(text, danish):
    assert MOMENT.validate_python(text).isoformat() == danish


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_a_moment_of_any_zone_stays_the_moment_that_it_is(moment, minutes):
    written = moment.astimezone(timezone(timedelta(minutes=minutes)))
    read = MOMENT.validate_python(written.isoformat())
    assert (read.astimezone(UTC), read.tzinfo) == (moment, DENMARK)


@pytest.mark.parametrize("value", NO_MOMENTS)
@pytest.mark.parametrize("wire_type", [MOMENT, DAY])
def test_what_is_no_moment_is_refused(wire_type, value):
    with pytest.raises(ValidationError):
        wire_type.validate_python(value)


def test_a_day_is_no_moment():
    with pytest.raises(ValidationError):
        MOMENT.validate_python("2023-03-15")


@pytest.mark.parametrize(("text", "danish"), DANISH)
def test_the_day_of_a_moment_is_the_danish_one(text, danish):
    assert DAY.validate_python(text) == date.fromisoformat(danish[:10])


@pytest.mark.parametrize("wire_type", [DAY, ISO_DATE])
@given(st.dates())
def test_a_day_is_read_as_it_is_written(wire_type, day):
    assert wire_type.validate_python(day.isoformat()) == day


@pytest.mark.parametrize(
    "value", ["20230315", "2023-W11-3", "2023-02-29", "2023-3-15", " 2023-03-15", "", 19431, None, date(2023, 3, 15)]
)
@pytest.mark.parametrize("wire_type", [DAY, ISO_DATE])
def test_what_is_no_day_is_refused(wire_type, value):
    with pytest.raises(ValidationError):
        wire_type.validate_python(value)


def test_a_moment_is_no_iso_date():
    with pytest.raises(ValidationError):
        ISO_DATE.validate_python("2023-03-15T09:00:00Z")


@pytest.mark.parametrize(
    ("wire_type", "value", "expected"),
    [(Name, " Jobcenter\n", "Jobcenter"), (Identifier, "a-1:2.3_4", "a-1:2.3_4"), (Identifier, "9" * 100, "9" * 100)],
)
def test_a_name_is_trimmed_and_an_identifier_is_kept(wire_type, value, expected):
    assert TypeAdapter(wire_type).validate_python(value) == expected


@pytest.mark.parametrize(
    ("wire_type", "value"),
    [
        (Name, " "),
        (Name, "x" * 301),
        (Identifier, ""),
        (Identifier, "-a"),
        (Identifier, "a/b"),
        (Identifier, "a\n"),
        (Identifier, "å"),
        (Identifier, "9" * 101),
    ],
)
def test_what_is_no_name_or_identifier_is_refused(wire_type, value):
    with pytest.raises(ValidationError):
        TypeAdapter(wire_type).validate_python(value)


def test_of_many_items_only_the_first_wrong_one_is_told():
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Many[int]).validate_python([1, "x", "y"])
    assert [error["loc"] for error in caught.value.errors()] == [(1,)]


class Part(WireModel):
    name: Name


def test_a_message_shows_no_value_in_its_repr_nor_in_its_errors():
    assert "secret" not in repr(Part(name="secret"))
    with pytest.raises(ValidationError) as caught:
        Part.model_validate({"name": ["secret"]})
    assert "secret" not in str(caught.value)
