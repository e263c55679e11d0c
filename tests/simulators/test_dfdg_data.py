"""Builders of DFDG's data: relative days become days, moments are of the Danish day that they say, ids stay."""

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.dfdg_data import (
    JOBSAMTALE,
    At,
    absence,
    activity,
    contact_group,
    deadline,
    deadline_id,
    former_title,
    identifier,
    job_log,
    job_title,
    meeting,
    on,
    task,
    told,
)
from simulators.register_data import InDays, month_end

TODAY = date(2026, 11, 23)
DAYS = st.dates(date(2000, 1, 1), date(2090, 1, 1))
# Where the clock is put forward there is no such hour, and where it is put back there are two.
CLOCKS = st.times().map(lambda at: at.replace(microsecond=0)).filter(lambda at: at.hour not in {2, 3})


def test_a_day_is_a_text_or_counted_from_today_or_from_the_end_of_the_month():
    assert [on(day, TODAY) for day in ("2022-05-01", InDays(-3), month_end(2))] == [
        date(2022, 5, 1),
        date(2026, 11, 20),
        date(2026, 12, 2),
    ]


@given(DAYS, CLOCKS, st.sampled_from(["offset", "utc", "bare"]))
def test_a_moment_however_it_is_written_is_of_the_danish_day_and_hour_that_it_says(day, clock, written):
    text = At(day.isoformat(), clock.isoformat(), written).told(TODAY)
    moment = datetime.fromisoformat(text)
    assert (moment.tzinfo is None, text.endswith("Z")) == (written == "bare", written == "utc")
    danish = moment if written == "bare" else moment.astimezone(ZoneInfo("Europe/Copenhagen"))
    assert (danish.date(), danish.time()) == (day, clock)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("offset", "2023-07-01T00:30:00+02:00"),
        ("utc", "2023-06-30T22:30:00Z"),
        ("bare", "2023-07-01T00:30:00"),
    ],
)
def test_a_moment_of_a_summer_night(written, text):
    assert At("2023-07-01", "00:30:00", written).told(TODAY) == text


def test_what_is_told_has_no_day_that_is_relative_and_no_name_of_its_list():
    entry = told(job_log("a", task("b", "Søgt job", InDays(1), at="10:00:00")), TODAY)
    (one,) = entry["joblogOpgaver"]["joblogopgave"]
    assert one["opgavedetajler"] == {
        "beskrivelse": "Søgt job", "EventDate": "2026-11-24", "haendelsestidspunkt": "2026-11-24T10:00:00+01:00",
        "erGennemfoert": False, "erPrimaer": False,
    }  # fmt: skip
    assert "_in" not in entry
    assert entry["oprettelsestidspunkt"] == "2026-11-24T07:45:00+01:00"


def test_an_id_is_a_guid_that_stays():
    assert UUID(identifier("a"))
    assert identifier("a") == identifier("a") != identifier("b")


@pytest.mark.parametrize(
    ("item", "lacking"),
    [
        (contact_group(7, "2020-01-01"), "Sluttidspunkt"),
        (absence("a", 11, InDays(0)), "slutDato"),
        (absence("a", 11, InDays(0)), "fravaersAfslutningsAarsag"),
        (meeting("a", 7, At(InDays(0))), "sluttidspunkt"),
        (meeting("a", 7, At(InDays(0))), "varighed"),
        (activity("a", None, InDays(0)), "slutdato"),
        (activity("a", None, InDays(0)), "navn"),
        (job_title("http://a"), "oprettelsestidspunkt"),
        (former_title("http://a"), "ophoerstidspunkt"),
        (task("a", "b", InDays(0))["opgavedetajler"], "haendelsestidspunkt"),
    ],
)
def test_what_is_not_said_is_no_field(item, lacking):
    assert lacking not in item
    assert None not in item.values()


def test_a_deadline_is_named_by_its_type_and_day_before_and_after_it_is_told():
    item = deadline(JOBSAMTALE, InDays(17))
    assert deadline_id(item, TODAY) == deadline_id(told(item, TODAY), TODAY) == "7-2026-12-10"
    assert told(item, TODAY) == {
        "FriststatusType": 1, "SamtaleType": 7, "Fristdato": "2026-12-10", "SidsteAfholdelsesdato": "2026-12-20",
    }  # fmt: skip
