"""What is an answer about activities or the joblog, what is left out of one, and what is none."""

from datetime import date
from typing import Any

import pytest

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import Items, left_out, readable
from registerbro.upstreams.messages import validated
from tests.workers.borgerindsats.conftest import ACTIVITY, ENTRY, TASK, activities, entry, joblog
from workers.borgerindsats.wire import Aktivitet, AktivitetSvar, JoblogSvar, Jobsoegningslogning

DETAILS: dict[str, Any] = TASK["opgavedetajler"]  # type: ignore[assignment]


def read(*items: object) -> Items[Aktivitet]:
    answer = validated(AktivitetSvar, activities(*items))
    assert answer.aktiviteter is not None
    return answer.aktiviteter.opsummering.aktivitet


def logged(*entries: object) -> Items[Jobsoegningslogning]:
    return validated(JoblogSvar, joblog(*entries)).jobsoegningslogning


def without(whole: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != field}


def detailed(**own: object) -> dict[str, Any]:
    return TASK | {"opgavedetajler": DETAILS | own}


# --- Activities -------------------------------------------------------------------------------------------------------


def test_an_activity_is_read_whole() -> None:
    (activity,) = readable(read(ACTIVITY))
    assert (activity.aktivitet_identifier, activity.navn) == (ACTIVITY["aktivitetIdentifier"], "Praktik")
    assert (activity.startdato, activity.slutdato) == (date(2023, 3, 1), date(2023, 3, 31))
    assert "Praktik" not in repr(activity)


@pytest.mark.parametrize("field", ["navn", "slutdato"])
@pytest.mark.parametrize("how", ["missing", "null"])
def test_title_and_end_may_be_missing_or_null(field: str, how: str) -> None:
    item = without(ACTIVITY, field) if how == "missing" else ACTIVITY | {field: None}
    assert [getattr(one, field) for one in readable(read(item))] == [None]


@pytest.mark.parametrize("told", ["2023-03-01T00:00:00+01:00", "2023-02-28T23:00:00Z", "2023-03-01T12:00:00"])
def test_a_day_may_be_told_by_a_moment(told: str) -> None:
    assert [one.startdato for one in readable(read(ACTIVITY | {"startdato": told}))] == [date(2023, 3, 1)]


@pytest.mark.parametrize(
    "body", [{}, {"aktiviteter": None}, {"civilRegistrationIdentifier": "6102991234"}, {"aktiviteter": None, "x": 1}]
)
def test_there_may_be_no_activities(body: object) -> None:
    assert validated(AktivitetSvar, body).aktiviteter is None
    assert read() == ()


@pytest.mark.parametrize(
    "body",
    [
        {"Aktiviteter": activities(ACTIVITY)["aktiviteter"]}, {"AktivitetOpsummering": {"aktivitet": []}},
        {"aktivitet": []}, {"status": "OK"}, {"aktiviteter": {}}, {"aktiviteter": []}, {"aktiviteter": [ACTIVITY]},
        {"aktiviteter": {"AktivitetOpsummering": None}}, {"aktiviteter": {"AktivitetOpsummering": {}}},
        {"aktiviteter": {"AktivitetOpsummering": {"aktivitet": None}}},
        {"aktiviteter": {"AktivitetOpsummering": {"aktivitet": ACTIVITY}}}, activities({}), [], None, "",
    ],
)  # fmt: skip
def test_what_is_another_answer_is_invalid_and_never_no_activities(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(AktivitetSvar, body)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("aktivitetIdentifier", without(ACTIVITY, "aktivitetIdentifier")),
        ("aktivitetIdentifier", ACTIVITY | {"aktivitetIdentifier": "a b"}),
        ("navn", ACTIVITY | {"navn": " "}),
        ("navn", ACTIVITY | {"navn": "x" * 301}),
        ("startdato", without(ACTIVITY, "startdato")),
        ("startdato", ACTIVITY | {"startdato": "snarest"}),
        ("slutdato", ACTIVITY | {"slutdato": ""}),
        ("aktivitet", ACTIVITY | {"slutdato": "2023-02-28"}),
        ("aktivitet", "Praktik"),
    ],
)
def test_an_odd_activity_is_left_out_and_named_and_refuses_no_other(kind: str, item: object) -> None:
    found = read(ACTIVITY, item)
    assert len(readable(found)) == 1
    assert left_out(found) == (LeftOut(kind, "aktivitet 2"),)


# --- The joblog -------------------------------------------------------------------------------------------------------


def test_an_entry_is_read_with_its_tasks() -> None:
    (read_entry,) = readable(logged(entry(TASK, detailed(EventDate="2023-03-09"))))
    tasks = readable(read_entry.joblog_opgaver.joblogopgave)
    assert [one.opgavedetaljer.event_date.day for one in tasks] == [8, 9]
    assert tasks[0].opgavedetaljer.beskrivelse == "Søgt job"


def test_there_may_be_no_entries_and_no_tasks() -> None:
    assert logged() == ()
    (read_entry,) = readable(logged(entry()))
    assert read_entry.joblog_opgaver.joblogopgave == ()


@pytest.mark.parametrize("field", sorted(ENTRY.keys() - {"joblogOpgaver"}))
def test_of_an_entry_the_tasks_alone_are_needed(field: str) -> None:
    assert not left_out(logged(without(ENTRY, field)))


@pytest.mark.parametrize("field", sorted(DETAILS.keys() - {"beskrivelse", "EventDate"}))
def test_of_a_task_the_text_and_the_day_alone_are_needed(field: str) -> None:
    (read_entry,) = readable(logged(entry(TASK | {"opgavedetajler": without(DETAILS, field)})))
    assert not left_out(read_entry.joblog_opgaver.joblogopgave)


@pytest.mark.parametrize(
    ("kind", "task"),
    [
        ("joblogopgaveIdentifier", without(TASK, "joblogopgaveIdentifier")),
        ("joblogopgaveIdentifier", TASK | {"joblogopgaveIdentifier": "/"}),
        ("opgavedetajler", without(TASK, "opgavedetajler")),
        ("opgavedetajler", {**without(TASK, "opgavedetajler"), "opgavedetaljer": DETAILS}),
        ("opgavedetajler", detailed(EventDate="i går")),
        ("opgavedetajler", detailed(EventDate=None)),
        ("opgavedetajler", detailed(beskrivelse="")),
        ("joblogopgave", None),
    ],
)
def test_an_odd_task_is_left_out_and_named_and_refuses_no_other(kind: str, task: object) -> None:
    (read_entry,) = readable(logged(entry(TASK, task)))
    found = read_entry.joblog_opgaver.joblogopgave
    assert len(readable(found)) == 1
    assert left_out(found) == (LeftOut(kind, "joblogopgave 2"),)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("joblogOpgaver", without(ENTRY, "joblogOpgaver")),
        ("joblogOpgaver", ENTRY | {"joblogOpgaver": []}),
        ("joblogOpgaver", ENTRY | {"joblogOpgaver": {}}),
        ("joblogOpgaver", entry({})),
        ("jobsoegningslogning", [ENTRY]),
    ],
)
def test_an_entry_of_which_no_task_can_be_read_is_left_out_and_named(kind: str, item: object) -> None:
    found = logged(item, ENTRY)
    assert len(readable(found)) == 1
    assert left_out(found) == (LeftOut(kind, "jobsoegningslogning 1"),)


@pytest.mark.parametrize(
    "body",
    [
        {}, {"jobsoegningslogning": None}, {"jobsoegningslogning": ENTRY}, joblog({}), joblog(entry({})),
        {"joblog": [ENTRY]}, [], None,
    ],
)  # fmt: skip
def test_a_joblog_without_a_list_or_without_an_entry_that_can_be_read_is_invalid(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(JoblogSvar, body)
