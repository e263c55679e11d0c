"""What is an answer of SU, and what is none."""

from typing import Any

import pytest

from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from workers.su.wire import Forloeb, SuData

BEGUN: dict[str, Any] = {
    "uddannelsestype": "UNGDOMSUDDANNELSE",
    "uddannelse": "Hf",
    "startdato": "2019-08-01",
    "annulleret": False,
}
PUBLISHED: dict[str, Any] = {"civilRegistrationIdentifier": "6102991234", "forloeb": [BEGUN]}


def test_the_answer_of_the_specification_is_read_whole() -> None:
    answer = validated(SuData, PUBLISHED)
    assert answer.civil_registration_identifier == "6102991234"
    assert answer.forloeb == (
        Forloeb(uddannelsestype="UNGDOMSUDDANNELSE", uddannelse="Hf", startdato="2019-08-01", annulleret=False),
    )


@pytest.mark.parametrize("field", ["civilRegistrationIdentifier", "forloeb"])
@pytest.mark.parametrize(
    "change", [lambda body, field: body.pop(field), lambda body, field: body.update({field: None})]
)
def test_a_missing_field_is_an_invalid_answer_and_never_no_data(field: str, change: Any) -> None:
    body = dict(PUBLISHED)
    change(body, field)
    with pytest.raises(InvalidResponse, match=field):
        validated(SuData, body)


@pytest.mark.parametrize("field", sorted(BEGUN))
def test_a_beginning_without_a_required_field_is_an_invalid_answer(field: str) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Forloeb, {name: value for name, value in BEGUN.items() if name != field})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uddannelsestype", 1),
        ("uddannelsestype", None),
        ("uddannelse", ""),
        ("uddannelse", "x" * 301),
        ("startdato", None),
        ("startdato", 20190801),
        ("startdato", "2019-08"),
        ("annulleret", None),
        ("annulleret", 0),
        ("annulleret", "false"),
    ],
)
def test_a_value_of_another_type_is_an_invalid_answer(field: str, value: object) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Forloeb, BEGUN | {field: value})


def test_a_value_that_is_not_known_yet_is_read() -> None:
    assert validated(Forloeb, BEGUN | {"uddannelsestype": "NYT"}).uddannelsestype == "NYT"
