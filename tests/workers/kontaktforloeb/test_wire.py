"""What is an answer about meetings or booking deadlines, what is left out of one, and what is none."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import Items, left_out, readable
from registerbro.upstreams.messages import validated
from workers.kontaktforloeb.wire import Borgerstatus, Code, Frist, Indkaldelse, Indkaldelser

MEETING: dict[str, Any] = {
    "indkaldelseId": "0f7c2a5e-6f1b-4f0e-9a57-1d2c3b4a5e61",
    "SamtaleType": 7,
    "starttidspunkt": "2023-03-08T09:00:00+01:00",
    "sluttidspunkt": "2023-03-08T10:00:00+01:00",
    "varighed": 60,
    "samtaleform": [8],
    "sted": "Jobcenter",
    "afholdt": True,
    "aftaletekst": "<p>Aftalt</p>",
}
NEEDED = {"indkaldelseId", "SamtaleType", "starttidspunkt"}
DEADLINE: dict[str, Any] = {
    "FriststatusType": 1, "SamtaleType": 7, "Fristdato": "2023-03-17", "SidsteAfholdelsesdato": "2023-03-27",
}  # fmt: skip
STATUS: dict[str, Any] = {"KanSelvbooke": True, "Frister": {"Frist": [DEADLINE]}, "StraksbookingPaakraevet": False}


def meetings(*items: object) -> Items[Indkaldelse]:
    return validated(Indkaldelser, {"indkaldelser": list(items)}).indkaldelser


def deadlines(*items: object) -> Items[Frist]:
    status = validated(Borgerstatus, STATUS | {"Frister": {"Frist": list(items)}})
    assert status.frister is not None
    return status.frister.frist


def days(**own: object) -> tuple[date, date]:
    bare = {name: value for name, value in MEETING.items() if name in NEEDED}
    (meeting,) = readable(meetings(bare | own))
    return meeting.first_day, meeting.last_day


def without(whole: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != field}


# --- Meetings ---------------------------------------------------------------------------------------------------------


def test_a_meeting_is_read_whole() -> None:
    (meeting,) = readable(meetings(MEETING))
    assert (meeting.indkaldelse_id, meeting.samtale_type) == (MEETING["indkaldelseId"], 7)
    assert (meeting.afholdt, meeting.aftaletekst) == (True, "<p>Aftalt</p>")
    assert "0f7c2a5e" not in repr(meeting)


@pytest.mark.parametrize("field", sorted(MEETING.keys() - NEEDED))
@pytest.mark.parametrize("how", ["missing", "null"])
def test_whatever_else_a_meeting_has_may_be_missing_or_null(field: str, how: str) -> None:
    assert not left_out(meetings(without(MEETING, field) if how == "missing" else MEETING | {field: None}))


@pytest.mark.parametrize(
    ("own", "last"),
    [
        ({}, "2023-03-08"),
        ({"varighed": 0}, "2023-03-08"),
        ({"varighed": 60}, "2023-03-08"),
        ({"varighed": 15 * 60}, "2023-03-08"),
        ({"varighed": 15 * 60 + 1}, "2023-03-09"),
        ({"sluttidspunkt": "2023-03-08T10:00:00+01:00", "varighed": 24 * 60}, "2023-03-08"),
        ({"sluttidspunkt": "2023-03-09T00:00:00+01:00"}, "2023-03-08"),
        ({"sluttidspunkt": "2023-03-08T23:00:00.1Z"}, "2023-03-09"),
        ({"sluttidspunkt": "2023-03-10T10:00:00"}, "2023-03-10"),
        ({"sluttidspunkt": MEETING["starttidspunkt"]}, "2023-03-08"),
        ({"starttidspunkt": "2023-03-08T00:00:00+01:00"}, "2023-03-08"),
    ],
)
def test_a_meeting_ends_by_its_end_else_by_its_duration_else_on_the_day_of_its_start(
    own: dict[str, object], last: str
) -> None:
    assert days(**own) == (date(2023, 3, 8), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("start", "minutes", "last"),
    [
        ("2023-03-26T00:30:00+01:00", 22 * 60 + 30, date(2023, 3, 26)),
        ("2023-03-26T00:30:00+01:00", 22 * 60 + 31, date(2023, 3, 27)),
        ("2023-10-29T00:30:00+02:00", 24 * 60 + 30, date(2023, 10, 29)),
        ("2023-10-29T00:30:00+02:00", 24 * 60 + 31, date(2023, 10, 30)),
    ],
)
def test_a_duration_is_time_that_passes_when_the_clocks_are_changed(start: str, minutes: int, last: date) -> None:
    assert days(starttidspunkt=start, varighed=minutes)[1] == last


DENMARK = ZoneInfo("Europe/Copenhagen")


@given(
    st.integers(631_152_000, 2_840_140_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(1, 7 * 24 * 60),
)
def test_the_days_of_a_meeting_are_those_of_its_minutes(start: datetime, minutes: int) -> None:
    passed = (start + timedelta(minutes=one) for one in range(0, minutes, 30))
    told = {moment.astimezone(DENMARK).date() for moment in (*passed, start + timedelta(minutes=minutes, seconds=-1))}
    assert days(starttidspunkt=start.isoformat(), varighed=minutes) == (min(told), max(told))


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        *((field, without(MEETING, field)) for field in sorted(NEEDED)),
        ("indkaldelseId", MEETING | {"indkaldelseId": "a b"}),
        ("indkaldelseId", MEETING | {"indkaldelseId": "<script>"}),
        ("indkaldelseId", MEETING | {"indkaldelseId": 7}),
        ("SamtaleType", MEETING | {"SamtaleType": True}),
        ("SamtaleType", MEETING | {"SamtaleType": -7}),
        ("SamtaleType", MEETING | {"SamtaleType": 7.0}),
        ("SamtaleType", MEETING | {"SamtaleType": "7 8"}),
        ("SamtaleType", MEETING | {"SamtaleType": [7]}),
        ("starttidspunkt", MEETING | {"starttidspunkt": "2023-03-08"}),
        ("starttidspunkt", MEETING | {"starttidspunkt": "8. marts"}),
        ("sluttidspunkt", MEETING | {"sluttidspunkt": ""}),
        ("indkaldelse", MEETING | {"sluttidspunkt": "2023-03-08T08:59:59+01:00"}),
        ("indkaldelse", MEETING | {"starttidspunkt": "9999-12-31T20:00:00Z", "sluttidspunkt": None, "varighed": 9_000}),
        ("indkaldelse", MEETING | {"starttidspunkt": "0001-01-01T00:00:00Z", "sluttidspunkt": None, "varighed": None}),
        ("varighed", MEETING | {"varighed": -1}),
        ("varighed", MEETING | {"varighed": 10_081}),
        ("varighed", MEETING | {"varighed": "60"}),
        ("afholdt", MEETING | {"afholdt": "ja"}),
        ("aftaletekst", MEETING | {"aftaletekst": "x" * 50_001}),
        ("indkaldelse", None),
        ("indkaldelse", [MEETING]),
    ],
)
def test_an_odd_meeting_is_left_out_and_named_and_refuses_no_other(kind: str, item: object) -> None:
    found = meetings(MEETING, item, MEETING)
    assert len(readable(found)) == 2
    assert left_out(found) == (LeftOut(kind, "indkaldelse 2"),)


@pytest.mark.parametrize(
    "body", [{}, {"indkaldelser": None}, {"indkaldelser": {}}, {"indkaldelser": [{}]}, {"Indkaldelser": []}, [], None]
)
def test_an_answer_without_a_list_or_without_a_meeting_that_can_be_read_is_invalid(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(Indkaldelser, body)


def test_no_meetings_are_an_answer() -> None:
    assert meetings() == ()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (7, 7),
        ("7", 7),
        ("007", 7),
        (0, 0),
        (999_999_999, 999_999_999),
        ("JOBSAMTALE", "JOBSAMTALE"),
        ("x" * 40, "x" * 40),
    ],
)
def test_a_code_is_a_number_however_it_is_written_or_a_word(value: object, code: object) -> None:
    assert TypeAdapter(Code).validate_python(value) == code


# --- Deadlines --------------------------------------------------------------------------------------------------------


def test_a_deadline_is_read_whole() -> None:
    assert deadlines(DEADLINE) == (Frist(FriststatusType=1, SamtaleType=7, Fristdato="2023-03-17"),)


@pytest.mark.parametrize("told", ["2023-03-17T00:00:00+01:00", "2023-03-16T23:00:00Z", "2023-03-17T12:00:00"])
def test_a_day_may_be_told_by_a_moment(told: str) -> None:
    assert [one.fristdato for one in readable(deadlines(DEADLINE | {"Fristdato": told}))] == [date(2023, 3, 17)]


@pytest.mark.parametrize("absent", [{}, {"Frister": None}])
def test_there_may_be_no_deadlines(absent: dict[str, None]) -> None:
    assert validated(Borgerstatus, {"KanSelvbooke": False, "StraksbookingPaakraevet": False, **absent}).frister is None
    assert deadlines() == ()


@pytest.mark.parametrize(
    "body",
    [
        {}, without(STATUS, "KanSelvbooke"), {"StraksbookingPaakraevet": False}, STATUS | {"KanSelvbooke": None},
        STATUS | {"KanSelvbooke": "ja"}, STATUS | {"Frister": []}, STATUS | {"Frister": {}},
        STATUS | {"Frister": {"Frist": None}}, STATUS | {"Frister": {"Frist": DEADLINE}},
        STATUS | {"Frister": {"frist": [DEADLINE]}}, [], None,
    ],
)  # fmt: skip
def test_what_is_another_answer_is_invalid_and_never_no_deadlines(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(Borgerstatus, body)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        *((field, without(DEADLINE, field)) for field in ("FriststatusType", "SamtaleType", "Fristdato")),
        ("Fristdato", DEADLINE | {"Fristdato": "17-03-2023"}),
        ("SamtaleType", DEADLINE | {"SamtaleType": "7/8"}),
        ("FriststatusType", DEADLINE | {"FriststatusType": None}),
        ("Frist", "7-2023-03-17"),
    ],
)
def test_an_odd_deadline_is_left_out_and_named_and_refuses_no_other(kind: str, item: object) -> None:
    found = deadlines(item, DEADLINE)
    assert len(readable(found)) == 1
    assert left_out(found) == (LeftOut(kind, "Frist 1"),)


def test_deadlines_of_which_none_can_be_read_are_invalid() -> None:
    with pytest.raises(InvalidResponse, match=r"Frister.Frist \(no_readable_item\)"):
        deadlines({}, "x")
