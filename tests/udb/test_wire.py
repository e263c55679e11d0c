"""What is an answer of Ungedatabasen, and what is none."""

from datetime import date
from typing import Any

import pytest

from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse
from workers.udb.wire import Institution, Uddannelsesforloeb, Ungedata

PUBLISHED: dict[str, Any] = {
    "civilRegistrationIdentifier": "6102991234",
    "uddannelsesforloeb": [
        {
            "type": "UDDANNELSE",
            "navn": "Htx",
            "kompetence": "KOMPETENCEGIVENDE",
            "status": "GENNEMFOERT",
            "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
            "startdato": "2015-08-10",
            "slutdato": "2018-06-27",
        },
        {
            "type": "FGU",
            "navn": "FGU AGU",
            "speciale": "Almen grunduddannelse",
            "status": "AFBRUDT",
            "institution": {"nummer": "101497", "navn": "FGU Hovedstaden"},
            "startdato": "2019-08-12",
            "slutdato": "2020-02-01",
        },
    ],
}
EDUCATION, FGU = PUBLISHED["uddannelsesforloeb"]


def test_the_answer_of_the_specification_is_read_whole() -> None:
    answer = validated(Ungedata, PUBLISHED)
    assert answer.civil_registration_identifier == "6102991234"
    assert answer.uddannelsesforloeb == (
        Uddannelsesforloeb(
            type="UDDANNELSE",
            navn="Htx",
            kompetence="KOMPETENCEGIVENDE",
            status="GENNEMFOERT",
            institution=Institution(nummer="280051", navn="NEXT Uddannelse"),
            startdato="2015-08-10",
            slutdato="2018-06-27",
        ),
        Uddannelsesforloeb(
            type="FGU",
            navn="FGU AGU",
            speciale="Almen grunduddannelse",
            status="AFBRUDT",
            institution=Institution(nummer="101497", navn="FGU Hovedstaden"),
            startdato="2019-08-12",
            slutdato="2020-02-01",
        ),
    )
    assert answer.uddannelsesforloeb[0].startdato == date(2015, 8, 10)


@pytest.mark.parametrize("field", ["civilRegistrationIdentifier", "uddannelsesforloeb"])
@pytest.mark.parametrize(
    "change", [lambda body, field: body.pop(field), lambda body, field: body.update({field: None})]
)
def test_a_missing_field_is_an_invalid_answer_and_never_no_data(field: str, change: Any) -> None:
    body = dict(PUBLISHED)
    change(body, field)
    with pytest.raises(InvalidResponse, match=field):
        validated(Ungedata, body)


@pytest.mark.parametrize("field", ["type", "navn", "kompetence", "status", "institution", "startdato"])
def test_an_education_without_a_required_field_is_an_invalid_answer(field: str) -> None:
    with pytest.raises(InvalidResponse):
        validated(Uddannelsesforloeb, {name: value for name, value in EDUCATION.items() if name != field})


@pytest.mark.parametrize("field", ["slutdato", "speciale", "kompetence"])
@pytest.mark.parametrize("absent", [{}, {"slutdato": None, "speciale": None, "kompetence": None}])
def test_what_may_be_missing_may_also_be_null(field: str, absent: dict[str, None]) -> None:
    course = {name: value for name, value in FGU.items() if name not in {"slutdato", "speciale"}}
    assert getattr(validated(Uddannelsesforloeb, course | absent), field) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", 1),
        ("type", ["FGU"]),
        ("navn", ""),
        ("navn", " "),
        ("navn", "x" * 301),
        ("navn", 7),
        ("speciale", ""),
        ("speciale", False),
        ("kompetence", 0),
        ("status", None),
        ("institution", "NEXT Uddannelse"),
        ("institution", {"nummer": "280051"}),
        ("institution", {"navn": "NEXT Uddannelse"}),
        ("institution", {"nummer": 280051, "navn": "NEXT Uddannelse"}),
        ("startdato", 1439164800),
        ("startdato", "2015-08-10T00:00:00Z"),
        ("slutdato", ""),
        ("slutdato", "27-06-2018"),
    ],
)
def test_a_value_of_another_type_is_an_invalid_answer(field: str, value: object) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Uddannelsesforloeb, EDUCATION | {field: value})


@pytest.mark.parametrize("field", ["type", "kompetence", "status"])
def test_a_value_that_is_not_known_yet_is_read(field: str) -> None:
    assert getattr(validated(Uddannelsesforloeb, EDUCATION | {field: "NYT"}), field) == "NYT"
