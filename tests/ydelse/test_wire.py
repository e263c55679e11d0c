"""What is an answer of the Ydelsesregister, and what is none."""

from typing import Any

import pytest

from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse
from workers.ydelse.wire import Ydelse, YdelseSvar

BENEFIT: dict[str, Any] = {
    "civilRegistrationIdentifier": "6102991234",
    "kyYdelsesIdentifier": "b1a7",
    "startdato": "2021-03-01",
    "slutdato": "2021-09-30",
    "ydelsestype": "UDDANNELSESHJAELP",
    "samtidigJob": True,
}
PUBLISHED = {"ydelser": {"ydelse": [BENEFIT]}}


def test_the_answer_of_the_specification_is_read_whole() -> None:
    assert validated(YdelseSvar, PUBLISHED).ydelser.ydelse == (
        Ydelse(
            civilRegistrationIdentifier="6102991234",
            kyYdelsesIdentifier="b1a7",
            startdato="2021-03-01",
            slutdato="2021-09-30",
            ydelsestype="UDDANNELSESHJAELP",
            samtidigJob=True,
        ),
    )


def test_an_empty_list_is_an_answer() -> None:
    assert validated(YdelseSvar, {"ydelser": {"ydelse": []}}).ydelser.ydelse == ()


@pytest.mark.parametrize(
    "body", [{}, {"ydelser": None}, {"ydelser": []}, {"ydelser": {}}, {"ydelser": {"ydelse": None}}, {"ydelse": []}]
)
def test_a_missing_list_is_an_invalid_answer_and_never_no_data(body: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(YdelseSvar, body)


@pytest.mark.parametrize("field", sorted(BENEFIT.keys() - {"slutdato"}))
def test_a_benefit_without_a_required_field_is_an_invalid_answer(field: str) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Ydelse, {name: value for name, value in BENEFIT.items() if name != field})


@pytest.mark.parametrize(
    "benefit", [BENEFIT | {"slutdato": None}, {k: v for k, v in BENEFIT.items() if k != "slutdato"}]
)
def test_the_end_may_be_missing_or_null(benefit: dict[str, object]) -> None:
    assert validated(Ydelse, benefit).slutdato is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("civilRegistrationIdentifier", 6102991234),
        ("kyYdelsesIdentifier", None),
        ("startdato", None),
        ("startdato", 1614556800),
        ("slutdato", "2021-09-30T00:00:00"),
        ("slutdato", "Ukendt"),
        ("ydelsestype", None),
        ("ydelsestype", 3),
        ("samtidigJob", None),
        ("samtidigJob", 1),
        ("samtidigJob", "true"),
    ],
)
def test_a_value_of_another_type_is_an_invalid_answer(field: str, value: object) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Ydelse, BENEFIT | {field: value})


def test_an_end_before_the_start_is_an_invalid_answer() -> None:
    with pytest.raises(InvalidResponse):
        validated(Ydelse, BENEFIT | {"slutdato": "2021-02-28"})


def test_a_benefit_of_a_single_day_is_one() -> None:
    assert validated(Ydelse, BENEFIT | {"slutdato": "2021-03-01"}).slutdato is not None


def test_a_value_that_is_not_known_yet_is_read() -> None:
    assert validated(Ydelse, BENEFIT | {"ydelsestype": "NYT"}).ydelsestype == "NYT"
