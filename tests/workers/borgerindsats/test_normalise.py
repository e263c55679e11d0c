"""Activities and joblog: what becomes an entry of the calendar, on which days, and with which id."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.overview import CalendarEntry, EntryKind, LeftOut, Normalised, sections_of
from registerbro.upstreams.messages import validated
from registerbro.upstreams.wire_types import Identifier
from tests.workers.borgerindsats.conftest import activities, entry, joblog
from workers.borgerindsats.normalise import normalise
from workers.borgerindsats.wire import AktivitetSvar, JoblogSvar

NOTHING: dict[str, list[object]] = {section.id: [] for section in sections_of("borgerindsats")}


def activity(
    key: str = "a-1", start: str = "2023-03-01", end: str | None = "2023-03-31", **own: object
) -> dict[str, Any]:
    return {"aktivitetIdentifier": key, "navn": "Praktik", "startdato": start, "slutdato": end, **own}


def task(key: str = "t-1", day: str = "2023-03-08", text: str = "Søgt job") -> dict[str, Any]:
    return {
        "joblogopgaveIdentifier": key,
        "opgavedetajler": {"beskrivelse": text, "EventDate": day, "erGennemfoert": False, "erPrimaer": True},
    }


def listed(*items: object) -> AktivitetSvar:
    return validated(AktivitetSvar, activities(*items))


def logged(*entries: object) -> JoblogSvar:
    return validated(JoblogSvar, joblog(*entries))


@pytest.mark.parametrize("activities_", [None, listed(), validated(AktivitetSvar, {})])
@pytest.mark.parametrize("joblog_", [None, logged(), logged(entry())])
def test_no_data_leaves_every_section_empty(activities_: AktivitetSvar | None, joblog_: JoblogSvar | None) -> None:
    assert normalise(activities_, joblog_) == Normalised(NOTHING)


@pytest.mark.parametrize(("end", "expected"), [("2023-03-31", date(2023, 3, 31)), (None, None)])
def test_an_activity_is_an_entry_on_its_days_and_stays_open_without_an_end(
    end: str | None, expected: date | None
) -> None:
    item = CalendarEntry(
        id="a-1", kind=EntryKind.ACTIVITY, title="Praktik", start=date(2023, 3, 1), end=expected, held=False, text=None
    )
    assert normalise(listed(activity(end=end)), None) == Normalised(NOTHING | {"activities": [item]})


def test_an_activity_without_a_title_has_the_name_of_its_kind() -> None:
    assert [
        one.model_dump()["title"] for one in normalise(listed(activity(navn=None)), None).sections["activities"]
    ] == ["Indsats"]


def test_each_task_of_the_joblog_is_an_entry_of_its_one_day() -> None:
    result = normalise(None, logged(entry(task("t-2", "2023-03-09"), task()), entry(task("t-3", "2023-03-07"))))
    assert result == Normalised(
        NOTHING
        | {
            "joblog": [
                CalendarEntry(
                    id=key, kind=EntryKind.JOBLOG, title="Søgt job", start=day, end=day, held=False, text=None
                )
                for key, day in [("t-3", date(2023, 3, 7)), ("t-1", date(2023, 3, 8)), ("t-2", date(2023, 3, 9))]
            ]
        }
    )


def test_an_open_activity_is_the_last_of_those_that_begin_with_it_in_whatever_order_they_come() -> None:
    items = [activity("b", end=None), activity("c", end="2023-03-02"), activity("a", start="2023-03-02")]
    for order in permutations(items):
        found = normalise(listed(*order), None).sections["activities"]
        assert [one.model_dump()["id"] for one in found] == ["c", "b", "a"]


def test_what_cannot_be_read_is_told_of_both_answers_with_its_place() -> None:
    entries = [{}, entry(task(), {}), entry("x", task("t-2"))]
    result = normalise(listed(7, activity()), logged(*entries))
    assert result.left_out == (
        LeftOut("aktivitet", "aktivitet 1"),
        LeftOut("joblogOpgaver", "jobsoegningslogning 1"),
        LeftOut("joblogopgaveIdentifier", "jobsoegningslogning 2, joblogopgave 2"),
        LeftOut("joblogopgave", "jobsoegningslogning 3, joblogopgave 1"),
    )
    assert [len(items) for items in result.sections.values()] == [1, 2]


KEYS = st.sampled_from(["a", "a-2", "b", "9" * 100])
DAYS = st.integers(1, 3).map(lambda day: f"2023-03-0{day}")


@given(
    st.lists(st.builds(activity, KEYS, DAYS, st.none() | st.just("2023-03-04")), max_size=6),
    st.lists(st.lists(st.builds(task, KEYS, DAYS), max_size=3).map(lambda tasks: entry(*tasks)), max_size=4),
)
def test_nothing_is_hidden_and_every_id_is_one_of_its_own_in_its_section(
    items: list[dict[str, Any]], entries: list[dict[str, Any]]
) -> None:
    tasks = [one for log in entries for one in log["joblogOpgaver"]["joblogopgave"]]
    result = normalise(listed(*items), logged(*entries))
    for section, given_in in (("activities", items), ("joblog", tasks)):
        ids = [TypeAdapter(Identifier).validate_python(one.model_dump()["id"]) for one in result.sections[section]]
        assert len(ids) == len(set(ids)) == len({repr(one) for one in given_in})
