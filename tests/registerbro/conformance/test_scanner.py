"""The scanner finds what is planted, in every spelling and place, and says where without saying what."""

import json
import re

import pytest

from domain.cpr import Cpr
from registerbro.conformance.expectations import Expected, Form
from registerbro.conformance.scanner import Personal, scan, scan_alone, values_of

ASKED = Cpr("0102031234")
CONTRACT = Expected(
    "",
    Form.OBJECT,
    fields=(
        Expected("type", Form.TEXT, codes=frozenset({"UDDANNELSE"})),
        Expected("felt", Form.TEXT, keeps=re.compile(r"10{14}\d{3}")),
        Expected("navn", Form.TEXT),
    ),
)
SENT = {
    "civilRegistrationIdentifier": "0102031234",
    "navn": "Åse Hansen-Holm",
    "skole": "Hf",
    "cvr": 10150817,
    "se": "20304050",
    "type": "UDDANNELSE",
    "felt": "100000000000000012",
    "start": "2020-01-31",
    "beloeb": "18500.25",
    "barn": "0405061234",
}
PERSONAL = Personal.of(values_of(json.dumps(SENT).encode()), ASKED, CONTRACT)


def recording(body, question=None, **more):
    answer = {"status": 200, "content_type": "application/json", "charset": "utf-8", "body": body}
    document = {"format": 1, "upstream": "udb", "operation": "x", "cpr": "6102991234", "company": "", "answer": answer}
    return json.dumps(document | {"question": {"body": question}} | more, ensure_ascii=False)


CLEAN = {"navn": "Qwe Rtyuio-Pasd", "type": "UDDANNELSE", "felt": "100000000000000012", "cvr": 12345670, "n": "Op"}


def test_a_recording_without_anything_of_the_exchange_is_clean():
    assert scan(recording(json.dumps(CLEAN)), PERSONAL) == []


PLANTED = (
    "0102031234", "010203-1234", "010203 1234", "x0102031234x", "0405061234", "10150817", "1015 0817", "20304050",
    "DK-20304050", "Hansen", "hansen", "HOLM", "tak, Åse Hansen", "Hf", "hf ", "1903-02-01", "010203", "1850025",
)  # fmt: skip
PLACES = {
    "value": lambda it: recording(json.dumps({**CLEAN, "new": it})),
    "list": lambda it: recording(json.dumps({**CLEAN, "new": [[{"x": it}]]}, ensure_ascii=True)),
    "name": lambda it: recording(json.dumps({**CLEAN, it: 1})),
    "question": lambda it: recording(json.dumps(CLEAN), json.dumps([it])),
    "company": lambda it: recording(json.dumps(CLEAN), company=it),
    "entities": lambda it: recording(f"<a><b>{''.join(f'&#{ord(one)};' for one in it)}</b></a>"),
    "attribute": lambda it: recording(f'<a><b c="{it}"/></a>'),
    "tail": lambda it: recording(f"<a><b/>{it}</a>"),
    "comment": lambda it: recording(f"<a><!--{it}--></a>"),
    "number": lambda it: recording(json.dumps({**CLEAN, "new": int(it)})),
    "namespace": lambda it: recording(f'<a xmlns="urn:x:{it}"/>'),
}
CASES = [
    (planted, place)
    for planted in PLANTED
    for place in PLACES
    if (place != "number" or planted in {"10150817", "20304050", "1850025"})
    and (place != "namespace" or planted in {"0102031234", "10150817", "Hansen", "HOLM"})
]
"""Not everything can be a number, or a part of a namespace's name."""


@pytest.mark.parametrize(("planted", "place"), CASES)
def test_what_is_planted_is_found_and_told_without_the_value(planted, place):
    found = scan(PLACES[place](planted), PERSONAL)
    assert found != []
    assert planted.strip() not in " ".join(map(str, found))


def test_the_contracts_own_names_codes_and_structure_are_nobodys():
    assert "uddannelse" not in PERSONAL.texts | PERSONAL.words
    assert "100000000000000012" not in PERSONAL.numbers
    assert "20200131" not in PERSONAL.numbers


def test_it_shows_nothing_in_its_repr():
    assert "hansen" not in repr(PERSONAL)


@pytest.mark.parametrize("value", ["0102031234", "010203-1234", "3112991234"])
def test_alone_a_number_that_a_person_could_have_is_found(value):
    assert [one.kind for one in scan_alone(recording(json.dumps({"a": value})))] == ["what could be a CPR number"]


def test_alone_a_number_that_a_company_could_have_is_found():
    assert [one.kind for one in scan_alone(recording(json.dumps({"a": 10150817})))] == [
        "what could be a CVR or SE number"
    ]


def test_alone_what_nobody_has_is_clean():
    assert scan_alone(recording(json.dumps(CLEAN | {"a": "6102991234", "day": "20200131"}))) == []


@pytest.mark.parametrize("body", ["not { json", "<a>", ""])
def test_a_body_that_cannot_be_parsed_is_scanned_as_it_is(body):
    assert scan(recording(body), PERSONAL) == []
    assert scan(recording(f"{body} 0102031234"), PERSONAL) != []
