"""What is an answer of UngedataService, and what is none; one odd event never refuses the others."""

from datetime import date
from typing import Any

import pytest

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.messages import validated
from workers.udb.wire import Haendelse, Haendelser, Institution, Uddannelse

EVENT: dict[str, Any] = {
    "haendelsesIdentifier": "h-1",
    "haendelsestype": "AFBRUD",
    "dato": "2020-02-01",
    "uddannelse": {"kode": "3009", "navn": "Htx", "type": "UDDANNELSE", "kompetence": "KOMPETENCEGIVENDE"},
    "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
    "speciale": "Teknik",
    "skoleperiode": "BA",
    "aarsag": "Ej mødt",
}
READ = Haendelse(
    haendelsesIdentifier="h-1",
    haendelsestype="AFBRUD",
    dato="2020-02-01",
    uddannelse=Uddannelse(kode="3009", navn="Htx", type="UDDANNELSE", kompetence="KOMPETENCEGIVENDE"),
    institution=Institution(nummer="280051", navn="NEXT Uddannelse"),
    speciale="Teknik",
    skoleperiode="BA",
    aarsag="Ej mødt",
)


def answer(*events: object, **own: object) -> Haendelser:
    return validated(Haendelser, {"civilRegistrationIdentifier": "6102991234", "haendelser": list(events)} | own)


def without(field: str, inside: str | None = None) -> dict[str, Any]:
    if inside is None:
        return {name: value for name, value in EVENT.items() if name != field}
    return EVENT | {inside: {name: value for name, value in EVENT[inside].items() if name != field}}


def test_an_event_is_read_whole() -> None:
    assert answer(EVENT).haendelser == (READ,)
    assert READ.dato == date(2020, 2, 1)


def test_no_events_are_an_answer() -> None:
    assert answer().haendelser == ()


@pytest.mark.parametrize("field", ["civilRegistrationIdentifier", "haendelser"])
@pytest.mark.parametrize("value", ["missing", None])
def test_an_answer_without_a_person_or_a_list_is_invalid_and_never_no_data(field: str, value: str | None) -> None:
    body: dict[str, Any] = {"civilRegistrationIdentifier": "6102991234", "haendelser": [EVENT]} | {field: value}
    if value == "missing":
        del body[field]
    with pytest.raises(InvalidResponse, match=field):
        validated(Haendelser, body)


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (without("haendelsestype"), "haendelsestype"),
        (without("uddannelse"), "uddannelse"),
        (without("institution"), "institution"),
        (without("navn", "uddannelse"), "uddannelse"),
        (without("type", "uddannelse"), "uddannelse"),
        (without("kompetence", "uddannelse"), "uddannelse"),
        (without("navn", "institution"), "institution"),
        (EVENT | {"haendelsestype": 1}, "haendelsestype"),
        (EVENT | {"dato": "2020-02-30"}, "dato"),
        (EVENT | {"dato": "20200201"}, "dato"),
        (EVENT | {"dato": 1580515200}, "dato"),
        (EVENT | {"speciale": ""}, "speciale"),
        (EVENT | {"uddannelse": "Htx"}, "uddannelse"),
        (EVENT | {"institution": {"nummer": "1", "navn": "x" * 301}}, "institution"),
        (EVENT | {"haendelsesIdentifier": 17}, "haendelsesIdentifier"),
        ("an event", "event"),
        (None, "event"),
        ([], "event"),
        ({"field": "dato"}, "haendelsestype"),
    ],
)
def test_an_odd_event_is_left_out_by_the_name_of_its_field_and_refuses_no_other(event: object, field: str) -> None:
    assert answer(EVENT, event, EVENT).haendelser == (READ, LeftOut(field, "event 2"), READ)


@pytest.mark.parametrize("events", [[None], [without("haendelsestype"), "x"]])
def test_an_answer_of_which_no_event_can_be_read_is_invalid(events: list[object]) -> None:
    with pytest.raises(InvalidResponse, match="no_readable_item"):
        answer(*events)


@pytest.mark.parametrize("field", ["haendelsesIdentifier", "dato", "speciale", "skoleperiode", "aarsag"])
@pytest.mark.parametrize("is_null", [True, False])
def test_what_may_be_missing_may_also_be_null(field: str, is_null: bool) -> None:
    (event,) = answer(EVENT | {field: None} if is_null else without(field)).haendelser
    assert isinstance(event, Haendelse)
    name = "haendelses_identifier" if field == "haendelsesIdentifier" else field
    assert getattr(event, name) is None


@pytest.mark.parametrize(("field", "inside"), [("kode", "uddannelse"), ("nummer", "institution")])
def test_codes_may_be_missing_where_there_is_a_name(field: str, inside: str) -> None:
    (event,) = answer(without(field, inside)).haendelser
    assert getattr(getattr(event, inside), field) is None


@pytest.mark.parametrize("kind", ["FGU", "STU", "NYT"])
def test_only_an_ordinary_education_has_to_say_its_competence(kind: str) -> None:
    event = EVENT | {"uddannelse": {"kode": "1", "navn": kind, "type": kind}}
    assert isinstance(answer(event).haendelser[0], Haendelse)


def test_fields_that_the_contract_does_not_know_are_ignored() -> None:
    assert answer(EVENT | {"nyt": 1}, nyt={"mere": 2}).haendelser == (READ,)


def test_no_repr_and_no_error_shows_what_an_event_holds() -> None:
    shown = repr(answer(EVENT)) + repr(READ)
    with pytest.raises(InvalidResponse) as raised:
        answer({"haendelsestype": 1, "dato": "6102991234"})
    assert not any(word in shown + str(raised.value) for word in ("Htx", "NEXT", "6102991234", "h-1"))
