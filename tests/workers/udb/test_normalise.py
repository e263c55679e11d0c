"""Sections A, B, D and E: what is in which, in what order, and what is in none (R2, R5, R8)."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.overview import (
    CompletedEducation,
    FguCourse,
    LeftOut,
    Normalised,
    StartedEducation,
    Status,
    StuCourse,
    UnknownValue,
    sections_of,
)
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from workers.udb.normalise import normalise
from workers.udb.wire import KNOWN, Haendelser

NOTHING: dict[str, list[object]] = {section.id: [] for section in sections_of("udb")}


def education(
    navn: str = "Htx",
    *,
    kompetence: str | None = "KOMPETENCEGIVENDE",
    status: str = "GENNEMFOERT",
    start: str | None = "2015-08-10",
    end: str | None = "2018-06-27",
    kind: str = "UDDANNELSE",
    place: str = "NEXT Uddannelse",
    nummer: str | None = None,
    **own: object,
) -> list[dict[str, Any]]:
    """The events of one course, as the register would tell it."""
    of = {"kode": f"k-{navn}", "navn": navn, "type": kind, "kompetence": kompetence}
    where = {"nummer": nummer or f"n-{place}", "navn": place}
    last = {"AFBRUDT": "AFBRUD", "GENNEMFOERT": "FULDFOERELSE"}.get(status)
    told = [("OPTAGELSE", start), *([(last, end)] if last else [])]
    return [
        {
            "haendelsesIdentifier": f"{haendelsestype}-{navn}-{place}-{nummer}",
            "haendelsestype": haendelsestype,
            "dato": dato,
            "uddannelse": of,
            "institution": where,
        }
        | own
        for haendelsestype, dato in told
    ]


def course(kind: str, **own: Any) -> list[dict[str, Any]]:
    return education(
        **{"navn": kind, "kind": kind, "status": "AFBRUDT", "place": "FGU Hovedstaden", "kompetence": None}
        | {"start": "2019-08-12", "end": "2020-02-01"}
        | own
    )


def haendelser(*courses: list[dict[str, Any]]) -> Haendelser:
    events = [event for one in courses for event in one]
    return validated(Haendelser, {"civilRegistrationIdentifier": "6102991234", "haendelser": events})


def normalised(*courses: list[dict[str, Any]]) -> Normalised:
    return normalise(haendelser(*courses))


def names(result: Normalised, section: str) -> list[Any]:
    return [item.name for item in result.sections[section]]


@pytest.mark.parametrize("answer", [None, haendelser()], ids=["unknown person", "no event"])
def test_no_data_leaves_every_section_empty(answer: Haendelser | None) -> None:
    assert normalise(answer) == Normalised(NOTHING)


@pytest.mark.parametrize("kompetence", ["ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE"])
def test_a_completed_education_with_a_competence_is_in_a_with_its_last_year(kompetence: str) -> None:
    result = normalised(education(kompetence=kompetence))
    assert result.sections == NOTHING | {"completed_educations": [CompletedEducation(name="Htx", year=2018)]}


def test_a_completed_education_without_a_competence_is_in_none() -> None:
    assert normalised(education(kompetence="INGEN")) == Normalised(NOTHING)


@pytest.mark.parametrize("kompetence", ["ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE", "INGEN"])
@pytest.mark.parametrize(
    ("status", "end", "shown"),
    [
        ("IGANGVAERENDE", None, StartedEducation(name="Htx", status=Status.ONGOING, year=2015)),
        ("AFBRUDT", "2018-06-27", StartedEducation(name="Htx", status=Status.INTERRUPTED, year=2018)),
        ("AFBRUDT", None, StartedEducation(name="Htx", status=Status.INTERRUPTED, year=None)),
    ],
)
def test_what_was_not_completed_is_in_b_with_its_first_or_last_year(
    kompetence: str, status: str, end: str | None, shown: StartedEducation
) -> None:
    result = normalised(education(kompetence=kompetence, status=status, end=end))
    assert result.sections == NOTHING | {"started_educations": [shown]}


def test_a_completed_education_without_an_end_has_an_unknown_year() -> None:
    result = normalised(education(end=None))
    assert result.sections["completed_educations"] == [CompletedEducation(name="Htx", year=None)]


STATUSES = [
    ("IGANGVAERENDE", Status.ONGOING),
    ("AFBRUDT", Status.INTERRUPTED),
    ("GENNEMFOERT", Status.COMPLETED),
]


@pytest.mark.parametrize(("status", "shown"), STATUSES)
@pytest.mark.parametrize("kompetence", [None, "KOMPETENCEGIVENDE", "INGEN"])
def test_fgu_is_in_d_alone(status: str, shown: Status, kompetence: str | None) -> None:
    result = normalised(course("FGU", status=status, speciale="Almen grunduddannelse", kompetence=kompetence))
    assert result.sections == NOTHING | {
        "fgu": [
            FguCourse(
                place="FGU Hovedstaden",
                speciality="Almen grunduddannelse",
                status=shown,
                start=date(2019, 8, 12),
                end=None if shown is Status.ONGOING else date(2020, 2, 1),
            )
        ]
    }


@pytest.mark.parametrize(("status", "shown"), STATUSES)
@pytest.mark.parametrize("kompetence", [None, "KOMPETENCEGIVENDE", "INGEN"])
def test_stu_is_in_e_alone(status: str, shown: Status, kompetence: str | None) -> None:
    result = normalised(course("STU", status=status, kompetence=kompetence))
    assert result.sections == NOTHING | {
        "stu": [
            StuCourse(
                place="FGU Hovedstaden",
                status=shown,
                start=date(2019, 8, 12),
                end=None if shown is Status.ONGOING else date(2020, 2, 1),
            )
        ]
    }


def test_an_unknown_speciale_or_end_of_fgu_stays_unknown() -> None:
    (fgu,) = normalised(course("FGU", end=None)).sections["fgu"]
    assert fgu == FguCourse(
        place="FGU Hovedstaden", speciality=None, status=Status.INTERRUPTED, start=date(2019, 8, 12), end=None
    )


COMPLETED_IN_ORDER = [
    education(navn="Latest end", end="2020-06-30"),
    education(navn="Earlier end in the same year", end="2020-06-29"),
    education(navn="Same end, later start", start="2016-08-10"),
    education(navn="A, same days"),
    education(navn="b, same days"),
    education(navn="C, same days"),
    education(navn="Unknown end", start="2019-01-01", end=None),
    education(navn="Unknown end, earlier start", start="2018-01-01", end=None),
]

STARTED_IN_ORDER = [
    education(navn="Ongoing, latest start", status="IGANGVAERENDE", start="2022-08-10", end=None),
    education(navn="Ongoing, began long ago", status="IGANGVAERENDE", start="2012-08-10"),
    education(navn="Interrupted last", status="AFBRUDT", end="2023-01-01"),
    education(navn="Interrupted first", status="AFBRUDT", end="2015-09-01"),
    education(navn="Interrupted, unknown end", status="AFBRUDT", start="2023-01-01", end=None),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("section", "in_order"),
    [("completed_educations", COMPLETED_IN_ORDER), ("started_educations", STARTED_IN_ORDER)],
)
def test_educations_are_newest_first_by_their_real_days(
    section: str, in_order: list[list[dict[str, Any]]], turned: bool
) -> None:
    given_order = in_order[::-1] if turned else in_order
    assert names(normalised(*given_order), section) == [events[0]["uddannelse"]["navn"] for events in in_order]


@pytest.mark.parametrize("kind", ["FGU", "STU"])
def test_courses_of_the_same_days_are_in_the_order_of_their_places(kind: str) -> None:
    places = ["FGU Fyn", "FGU Hovedstaden", "FGU Vest"]
    items = [course(kind, navn=str(9 - n), place=place) for n, place in enumerate(places)]
    for in_any_order in permutations(items):
        assert [item.place for item in normalised(*in_any_order).sections[kind.lower()]] == places


@pytest.mark.parametrize(
    "differences",
    [
        [{"speciale": "Agu"}, {"speciale": "Egu"}, {"speciale": None}],
        [{"status": "AFBRUDT"}, {"status": "GENNEMFOERT"}],
        [{"end": "9999-12-31"}, {"end": None}],
    ],
)
def test_courses_that_sort_alike_have_one_order_all_the_same(differences: list[dict[str, Any]]) -> None:
    items = [course("FGU", nummer=str(number), **difference) for number, difference in enumerate(differences)]
    orders = {tuple(normalised(*in_any_order).sections["fgu"]) for in_any_order in permutations(items)}
    assert [len(order) for order in orders] == [len(items)]


def test_the_same_education_said_twice_is_one() -> None:
    assert names(normalised(education(), education()), "completed_educations") == ["Htx"]


def test_an_education_at_two_institutions_is_two() -> None:
    assert names(normalised(education(), education(place="Et andet sted")), "completed_educations") == ["Htx", "Htx"]


def test_institutions_and_educations_are_told_apart_by_their_numbers_and_without_them_by_name() -> None:
    renamed = education(place="NEXT", nummer="1", status="IGANGVAERENDE")
    done = education(place="NEXT Uddannelse", nummer="1")[1:]
    assert names(normalised(renamed, done), "completed_educations") == ["Htx"]
    nameless = [
        event | {"uddannelse": event["uddannelse"] | {"kode": None}, "institution": {"navn": "NEXT"}}
        for event in education()
    ]
    assert names(normalised(nameless), "completed_educations") == ["Htx"]


def test_several_admissions_to_fgu_are_one_course_with_the_latest_speciality() -> None:
    at = {"haendelsesIdentifier": None, "place": "FGU Midt", "status": "IGANGVAERENDE"}
    told = [
        course("FGU", start="2023-08-14", **at),
        course("FGU", start="2024-01-08", speciale="AGU", skoleperiode="US", **at),
        course("FGU", start="2024-08-12", speciale="PGU", skoleperiode="US", **at),
    ]
    for in_any_order in permutations(told):
        assert normalised(*in_any_order).sections["fgu"] == [
            FguCourse(
                place="FGU Midt", speciality="PGU", status=Status.ONGOING, start=date(2023, 8, 14), end=None
            )
        ]  # fmt: skip


@pytest.mark.parametrize("aarsag", ["Ej mødt", "ej mødt", " EJ MØDT "])
def test_an_interruption_of_who_never_met_leaves_nothing(aarsag: str) -> None:
    admitted, interrupted = education(status="AFBRUDT")
    assert normalised([admitted, interrupted | {"aarsag": aarsag}]) == Normalised(NOTHING)
    assert names(normalised([admitted, interrupted | {"aarsag": "Andet"}]), "started_educations") == ["Htx"]


def test_a_completion_after_an_interruption_wins() -> None:
    told = [education(status="AFBRUDT", end="2017-01-01"), education(end="2018-06-27")[1:]]
    result = normalised(*told)
    assert result.sections == NOTHING | {"completed_educations": [CompletedEducation(name="Htx", year=2018)]}


def test_danger_of_dropping_out_changes_nothing() -> None:
    told = education(status="IGANGVAERENDE")
    danger = told[0] | {"haendelsesIdentifier": "d", "haendelsestype": "FARE_FOR_AFBRUD", "dato": "2016-01-01"}
    assert normalised(told, [danger]) == normalised(told)


def strange(field: str, **own: Any) -> list[dict[str, Any]]:
    """A course with a value that the contract does not know."""
    events = education(navn="Strange", **own)
    if field == "haendelsestype":
        return [events[0] | {"haendelsestype": "NYT"}]
    return [event | {"uddannelse": event["uddannelse"] | {field: "NYT"}} for event in events]


@pytest.mark.parametrize("field", ["type", "kompetence", "haendelsestype"])
@pytest.mark.parametrize("status", ["GENNEMFOERT", "IGANGVAERENDE"])
def test_an_event_with_an_unknown_value_is_left_out_and_named(field: str, status: str) -> None:
    result = normalised(education(), strange(field, status=status))
    assert result.sections == NOTHING | {"completed_educations": [CompletedEducation(name="Htx", year=2018)]}
    assert set(result.unknown) == {UnknownValue(field, "NYT")}


@pytest.mark.parametrize("field", ["type", "kompetence", "haendelsestype"])
@pytest.mark.parametrize("beside", [[], [education(kompetence="INGEN")]], ids=["alone", "beside what is not shown"])
def test_an_answer_with_nothing_to_show_but_unknown_values_is_not_no_data(
    field: str, beside: list[list[dict[str, Any]]]
) -> None:
    with pytest.raises(InvalidResponse, match=field):
        normalised(*beside, strange(field))


def test_an_event_that_cannot_be_read_is_left_out_by_its_field_and_place() -> None:
    odd = [{"haendelsestype": "AFBRUD", "dato": "i går"}, None]
    result = normalise(haendelser(education(), odd, education("Hf")))  # type: ignore[arg-type]
    assert names(result, "completed_educations") == ["Hf", "Htx"]
    assert result.left_out == (LeftOut("dato", "event 3"), LeftOut("event", "event 4"))


def test_nothing_to_show_beside_an_unreadable_event_is_not_no_data() -> None:
    with pytest.raises(InvalidResponse, match="dato"):
        normalised(education(kompetence="INGEN"), [education()[0] | {"dato": "i går"}])


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("status", ["IGANGVAERENDE", "AFBRUDT", "GENNEMFOERT"])
def test_the_ends_of_the_calendar_are_years_like_others(day: str, status: str) -> None:
    result = normalised(education(start=day, end=day, status=status))
    (item,) = (item for items in result.sections.values() for item in items)
    assert item.year == int(day[:4])


def values_of(field: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*sorted(KNOWN[field]), "NYT", ""])


FEW_DAYS = st.sampled_from([None, "0001-01-01", "2019-08-12", "2019-08-13", "9999-12-31"])
EVENTS = st.lists(
    st.none()
    | st.fixed_dictionaries(
        {
            "haendelsesIdentifier": st.sampled_from([None, "1", "2", "3"]),
            "haendelsestype": values_of("haendelsestype"),
            "uddannelse": st.fixed_dictionaries({
                "kode": st.sampled_from([None, "1", "2"]),
                "navn": st.sampled_from(["Htx", "hTx", "Hf"]),
                "type": values_of("type"),
                "kompetence": values_of("kompetence"),
            }),
            "institution": st.fixed_dictionaries({
                "nummer": st.sampled_from([None, "1"]), "navn": st.sampled_from(["Her", "Der"])
            }),
            "dato": FEW_DAYS | st.dates().map(str),
        },
        optional={
            "speciale": st.sampled_from([None, "Agu", "Egu"]), "aarsag": st.sampled_from([None, "Ej mødt", "Andet"])
        },
    ),
    max_size=7,
)  # fmt: skip


def outcome(events: list[dict[str, Any]]) -> object:
    """The sections, and what was left out in any order; or that there is nothing usable."""
    try:
        result = normalised(events)
    except InvalidResponse:
        return InvalidResponse
    unknown = sorted((unknown.field, unknown.value) for unknown in result.unknown)
    return result.sections, unknown, sorted(one.kind for one in result.left_out)


@given(EVENTS.flatmap(lambda events: st.tuples(st.just(events), st.permutations(events))))
def test_the_order_of_the_register_never_shows(orders: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    as_given, shuffled = orders
    assert outcome(as_given) == outcome(shuffled)


@given(EVENTS)
def test_every_answer_fills_all_sections_with_their_items_or_is_invalid(events: list[dict[str, Any]]) -> None:
    try:
        result = normalised(events)
    except InvalidResponse:
        return
    for section in sections_of("udb"):
        assert all(type(item) is section.item for item in result.sections[section.id])
    assert result.sections.keys() == NOTHING.keys()
    assert sum(map(len, result.sections.values())) <= len(events)
