"""Sections A, B, D and E: what is in which, in what order, and what is in none (R2, R5, R8)."""

from datetime import date
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.domain.overview import (
    CompletedEducation,
    FguCourse,
    Normalised,
    StartedEducation,
    Status,
    StuCourse,
    UnknownValue,
    sections_of,
)
from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse
from workers.udb.normalise import normalise
from workers.udb.wire import KNOWN, Ungedata

NOTHING: dict[str, list[object]] = {section.id: [] for section in sections_of("udb")}


def education(**own: object) -> dict[str, object]:
    return {
        "type": "UDDANNELSE",
        "navn": "Htx",
        "kompetence": "KOMPETENCEGIVENDE",
        "status": "GENNEMFOERT",
        "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
        "startdato": "2015-08-10",
        "slutdato": "2018-06-27",
    } | own


def course(kind: str, **own: object) -> dict[str, object]:
    return {
        "type": kind,
        "navn": kind,
        "status": "AFBRUDT",
        "institution": {"nummer": "101497", "navn": "FGU Hovedstaden"},
        "startdato": "2019-08-12",
        "slutdato": "2020-02-01",
    } | own


def ungedata(*items: dict[str, object]) -> Ungedata:
    return validated(Ungedata, {"civilRegistrationIdentifier": "6102991234", "uddannelsesforloeb": list(items)})


def normalised(*items: dict[str, object]) -> Normalised:
    return normalise(ungedata(*items))


def names(result: Normalised, section: str) -> list[Any]:
    return [item.name for item in result.sections[section]]


@pytest.mark.parametrize("answer", [None, ungedata()], ids=["unknown person", "no education"])
def test_no_data_leaves_every_section_empty(answer: Ungedata | None) -> None:
    assert normalise(answer) == Normalised(NOTHING)


@pytest.mark.parametrize("kompetence", ["ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE"])
def test_a_completed_education_with_a_competence_is_in_a_with_its_last_year(kompetence: str) -> None:
    result = normalised(education(kompetence=kompetence))
    assert result.sections == NOTHING | {"completed_educations": [CompletedEducation(name="Htx", year=2018)]}


def test_a_completed_education_without_a_competence_is_in_none() -> None:
    assert normalised(education(kompetence="INGEN")) == Normalised(NOTHING)


@pytest.mark.parametrize("kompetence", ["ERHVERVSKOMPETENCEGIVENDE", "KOMPETENCEGIVENDE", "INGEN"])
@pytest.mark.parametrize(
    ("status", "slutdato", "shown"),
    [
        ("IGANGVAERENDE", None, StartedEducation(name="Htx", status=Status.ONGOING, year=2015)),
        ("IGANGVAERENDE", "2030-06-30", StartedEducation(name="Htx", status=Status.ONGOING, year=2015)),
        ("AFBRUDT", "2018-06-27", StartedEducation(name="Htx", status=Status.INTERRUPTED, year=2018)),
        ("AFBRUDT", None, StartedEducation(name="Htx", status=Status.INTERRUPTED, year=None)),
    ],
)
def test_what_was_not_completed_is_in_b_with_its_first_or_last_year(
    kompetence: str, status: str, slutdato: str | None, shown: StartedEducation
) -> None:
    result = normalised(education(kompetence=kompetence, status=status, slutdato=slutdato))
    assert result.sections == NOTHING | {"started_educations": [shown]}


def test_a_completed_education_without_an_end_has_an_unknown_year() -> None:
    result = normalised(education(slutdato=None))
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
                end=date(2020, 2, 1),
            )
        ]
    }


@pytest.mark.parametrize(("status", "shown"), STATUSES)
@pytest.mark.parametrize("kompetence", [None, "KOMPETENCEGIVENDE", "INGEN"])
def test_stu_is_in_e_alone(status: str, shown: Status, kompetence: str | None) -> None:
    result = normalised(course("STU", status=status, kompetence=kompetence))
    assert result.sections == NOTHING | {
        "stu": [StuCourse(place="FGU Hovedstaden", status=shown, start=date(2019, 8, 12), end=date(2020, 2, 1))]
    }


def test_an_unknown_speciale_or_end_of_fgu_stays_unknown() -> None:
    (fgu,) = normalised(course("FGU", slutdato=None)).sections["fgu"]
    assert fgu == FguCourse(
        place="FGU Hovedstaden", speciality=None, status=Status.INTERRUPTED, start=date(2019, 8, 12), end=None
    )


COMPLETED_IN_ORDER = [
    education(navn="Latest end", slutdato="2020-06-30"),
    education(navn="Earlier end in the same year", slutdato="2020-06-29"),
    education(navn="Same end, later start", startdato="2016-08-10"),
    education(navn="A, same days"),
    education(navn="b, same days"),
    education(navn="C, same days"),
    education(navn="Unknown end", startdato="2019-01-01", slutdato=None),
    education(navn="Unknown end, earlier start", startdato="2018-01-01", slutdato=None),
]

STARTED_IN_ORDER = [
    education(navn="Ongoing, latest start", status="IGANGVAERENDE", startdato="2022-08-10", slutdato=None),
    education(navn="Ongoing, planned end long past", status="IGANGVAERENDE", startdato="2012-08-10"),
    education(navn="Interrupted last", status="AFBRUDT", slutdato="2023-01-01"),
    education(navn="Interrupted first", status="AFBRUDT", slutdato="2015-09-01"),
    education(navn="Interrupted, unknown end", status="AFBRUDT", startdato="2023-01-01", slutdato=None),
]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("section", "in_order"),
    [("completed_educations", COMPLETED_IN_ORDER), ("started_educations", STARTED_IN_ORDER)],
)
def test_educations_are_newest_first_by_their_real_days(
    section: str, in_order: list[dict[str, object]], turned: bool
) -> None:
    given_order = in_order[::-1] if turned else in_order
    assert names(normalised(*given_order), section) == [item["navn"] for item in in_order]


@pytest.mark.parametrize("kind", ["FGU", "STU"])
def test_courses_of_the_same_days_are_in_the_order_of_their_places(kind: str) -> None:
    places = ["FGU Fyn", "FGU Hovedstaden", "FGU Vest"]
    items = [course(kind, navn=str(9 - n), institution={"nummer": "1", "navn": p}) for n, p in enumerate(places)]
    for in_any_order in permutations(items):
        assert [item.place for item in normalised(*in_any_order).sections[kind.lower()]] == places


@pytest.mark.parametrize(
    "differences",
    [
        [{"speciale": "Agu"}, {"speciale": "Egu"}, {"speciale": None}],
        [{"status": "AFBRUDT"}, {"status": "GENNEMFOERT"}],
        [{"slutdato": "0001-01-01"}, {"slutdato": None}],
    ],
)
def test_courses_that_sort_alike_have_one_order_all_the_same(differences: list[dict[str, object]]) -> None:
    items = [course("FGU", **difference) for difference in differences]
    orders = {tuple(normalised(*in_any_order).sections["fgu"]) for in_any_order in permutations(items)}
    assert [len(order) for order in orders] == [len(items)]


def test_the_same_education_said_twice_is_one() -> None:
    assert names(normalised(education(), education()), "completed_educations") == ["Htx"]


@pytest.mark.parametrize(
    "own", [{"startdato": "2014-08-10"}, {"institution": {"nummer": "280052", "navn": "Et andet sted"}}]
)
def test_educations_that_differ_in_anything_are_two(own: dict[str, object]) -> None:
    assert names(normalised(education(), education(**own)), "completed_educations") == ["Htx", "Htx"]


@pytest.mark.parametrize("field", ["type", "kompetence", "status"])
@pytest.mark.parametrize("status", ["GENNEMFOERT", "IGANGVAERENDE"])
def test_an_item_with_an_unknown_value_is_left_out_and_named(field: str, status: str) -> None:
    strange = education(navn="Strange", status=status) | {field: "NYT"}
    assert normalised(education(), strange) == Normalised(
        NOTHING | {"completed_educations": [CompletedEducation(name="Htx", year=2018)]}, (UnknownValue(field, "NYT"),)
    )


@pytest.mark.parametrize("field", ["type", "kompetence", "status"])
@pytest.mark.parametrize("beside", [[], [education(kompetence="INGEN")]], ids=["alone", "beside what is not shown"])
def test_an_answer_with_nothing_to_show_but_unknown_values_is_not_no_data(
    field: str, beside: list[dict[str, object]]
) -> None:
    with pytest.raises(InvalidResponse, match=field):
        normalised(*beside, education(**{field: "NYT"}))


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("status", ["IGANGVAERENDE", "AFBRUDT", "GENNEMFOERT"])
def test_the_ends_of_the_calendar_are_years_like_others(day: str, status: str) -> None:
    result = normalised(education(startdato=day, slutdato=day, status=status))
    (item,) = (item for items in result.sections.values() for item in items)
    assert item.year == int(day[:4])


def values_of(field: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*sorted(KNOWN[field]), "NYT", ""])


FEW_DAYS = st.sampled_from(["0001-01-01", "2019-08-12", "2019-08-13", "9999-12-31"])
ITEMS = st.lists(
    st.fixed_dictionaries(
        {
            "type": values_of("type"),
            "navn": st.sampled_from(["Htx", "hTx", "Hf"]),
            "kompetence": values_of("kompetence"),
            "status": values_of("status"),
            "institution": st.fixed_dictionaries({"nummer": st.just("1"), "navn": st.sampled_from(["Her", "Der"])}),
            "startdato": FEW_DAYS | st.dates().map(str),
        },
        optional={"slutdato": st.none() | FEW_DAYS, "speciale": st.sampled_from([None, "Agu", "Egu"])},
    ),
    max_size=6,
)


def outcome(items: list[dict[str, object]]) -> object:
    """The sections, and the unknown values in any order; or that there is nothing usable."""
    try:
        result = normalised(*items)
    except InvalidResponse:
        return InvalidResponse
    return result.sections, sorted((unknown.field, unknown.value) for unknown in result.unknown)


@given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_of_the_register_never_shows(orders: tuple[list[dict[str, object]], list[dict[str, object]]]) -> None:
    as_given, shuffled = orders
    assert outcome(as_given) == outcome(shuffled)


@given(ITEMS)
def test_every_answer_fills_all_sections_with_their_items_or_is_invalid(items: list[dict[str, object]]) -> None:
    try:
        result = normalised(*items)
    except InvalidResponse:
        return
    for section in sections_of("udb"):
        assert all(type(item) is section.item for item in result.sections[section.id])
    assert result.sections.keys() == NOTHING.keys()
    assert sum(map(len, result.sections.values())) <= len(items)
