"""What is an answer of DFDG's, and what is none."""

from datetime import date
from typing import Any

import pytest

from workers.dfdg.wire import Bookingfrist, Borger, Kalenderpost, Kontaktgruppe, Stillingsbetegnelse
from workers.resilience.client import validated
from workers.resilience.errors import InvalidResponse

POST = {
    "id": "post-1", "type": "MOEDE", "titel": "Jobsamtale", "startdato": "2023-03-08", "slutdato": "2023-03-08",
    "afholdt": True, "tekst": "<p>Aftalt</p>",
}  # fmt: skip
DEADLINE = {"id": "frist-1", "frist": "2023-03-17", "moedetype": "Jobsamtale", "aktiv": True, "booket": False}
TITLE = {"titel": "Kok", "registreret": "2022-05-01", "ophoert": "2022-09-01"}
GROUP = {"kode": 7, "startdato": "2020-01-01", "slutdato": "2023-03-12"}
WHOLE: dict[str, Any] = {
    "civilRegistrationIdentifier": "6102991234",
    "kontaktgrupper": [GROUP],
    "kalender": [POST],
    "bookingfrister": [DEADLINE],
    "stillingsbetegnelser": [TITLE],
}
MODELS = {Kalenderpost: POST, Bookingfrist: DEADLINE, Stillingsbetegnelse: TITLE, Kontaktgruppe: GROUP}
OPTIONAL = {"afholdt", "tekst", "registreret", "ophoert"}
NEEDED = [
    (model, field) for model, whole in MODELS.items() for field in whole
    if field not in OPTIONAL and (model, field) != (Kontaktgruppe, "slutdato")
]  # fmt: skip


def test_an_answer_is_read_whole() -> None:
    answer = validated(Borger, WHOLE)
    assert answer.kontaktgrupper == (validated(Kontaktgruppe, GROUP),)
    assert answer.kalender == (validated(Kalenderpost, POST),)
    assert answer.bookingfrister[0].frist == date(2023, 3, 17)
    assert answer.stillingsbetegnelser[0].registreret == date(2022, 5, 1)
    assert "6102991234" not in repr(answer)


@pytest.mark.parametrize("field", WHOLE)
def test_a_missing_list_is_an_invalid_answer_and_never_no_data(field: str) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(Borger, {name: value for name, value in WHOLE.items() if name != field})


@pytest.mark.parametrize(("model", "field"), NEEDED)
def test_a_missing_field_is_an_invalid_answer(model: Any, field: str) -> None:
    with pytest.raises(InvalidResponse, match=field):
        validated(model, {name: value for name, value in MODELS[model].items() if name != field})


@pytest.mark.parametrize("absent", [{}, {"registreret": None, "ophoert": None}])
def test_a_job_title_may_have_lost_its_dates(absent: dict[str, None]) -> None:
    title = validated(Stillingsbetegnelse, {"titel": "Kok", **absent})
    assert (title.registreret, title.ophoert) == (None, None)


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (Kalenderpost, "slutdato", "2023-03-07"),
        (Kalenderpost, "startdato", "08-03-2023"),
        (Kalenderpost, "titel", " "),
        (Kalenderpost, "id", "a b"),
        (Kalenderpost, "id", "<script>"),
        (Kalenderpost, "afholdt", "ja"),
        (Kalenderpost, "tekst", "x" * 50_001),
        (Bookingfrist, "aktiv", 1),
        (Bookingfrist, "frist", None),
        (Stillingsbetegnelse, "registreret", ""),
        (Kontaktgruppe, "kode", "7"),
        (Kontaktgruppe, "kode", -1),
        (Kontaktgruppe, "kode", 10_000),
        (Kontaktgruppe, "slutdato", "2019-12-31"),
    ],
)
def test_a_value_that_is_not_of_the_contract_is_an_invalid_answer(model: Any, field: str, value: object) -> None:
    with pytest.raises(InvalidResponse):
        validated(model, MODELS[model] | {field: value})


def test_a_kind_that_is_not_known_yet_is_read() -> None:
    assert validated(Kalenderpost, POST | {"type": "NYT"}).type == "NYT"
