"""An answer held against the contract: each difference by its field, and never by a value."""

import pytest

from domain.cpr import Cpr
from registerbro.conformance.comparison import MOST_UNKNOWN, compare, nothing_seen, shown_code, shown_name
from registerbro.conformance.expectations import Expected, Form, Mark
from registerbro.conformance.json_shape import expected, node
from registerbro.upstreams.wire_types import IsoDate, Many, Name, WireModel

ASKED, OTHER = Cpr("6102991234"), "6203004235"


class Item(WireModel):
    civilRegistrationIdentifier: str  # noqa: N815 - as it is sent
    start: IsoDate
    end: IsoDate | None = None
    kind: Name


class Whole(WireModel):
    items: Many[Item]


CONTRACT = expected(Whole, Mark.PUBLISHED, codes={"items[].kind": {"A": 1, "B": 2}})


def item(**more):
    return {"civilRegistrationIdentifier": ASKED.digits, "start": "2020-01-01", "end": None, "kind": "A"} | more


def seen(*items, contract=CONTRACT):
    return compare(contract, node("", {"items": list(items)}), ASKED)


def without(name):
    return {key: value for key, value in item().items() if key != name}


def test_an_answer_of_the_contract_has_nothing_wrong():
    found = seen(item(), item(end="2020-02-01", kind="B"))
    assert [one.path for one in found.values() if one.is_wrong or one.unknown_codes or one.mark is None] == []
    assert all(one.is_found for one in found.values())


def test_what_is_optional_may_be_missing_or_null_and_what_is_required_may_not():
    found = seen(without("end"), item(start=None))
    assert (found["items[].end"].is_wrong, found["items[].end"].is_found) == (False, False)
    assert found["items[].start"].is_missing


def test_a_renamed_field_is_missing_under_its_name_and_unknown_under_the_other():
    found = seen(without("start") | {"startDate": "2020-01-01"})
    assert found["items[].start"].is_missing
    assert (found["items[].startDate"].mark, found["items[].startDate"].is_found) == (None, True)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("2020-01-01T00:00:00", "date-time"), ("2020-01-01T00:00:00+01:00", "date-time"), (20200101, "integer"),
        ("1. januar", "text"), (["2020-01-01"], "list"), ({"day": 1}, "object"), (True, "boolean"), (1.5, "number"),
    ],
)  # fmt: skip
def test_a_value_of_another_form_is_named_by_its_form(value, form):
    assert seen(item(start=value))["items[].start"].other_forms == {form}


def test_a_code_that_is_not_in_the_list_is_named_when_it_is_a_code_in_form():
    found = seen(item(kind="BORGERLOEN"), item(kind="Åge Hansen"), item(kind=OTHER))["items[].kind"]
    assert (found.unknown_codes, found.is_wrong) == ({"BORGERLOEN", "?"}, False)


@pytest.mark.parametrize("number", [OTHER, "0000000000", "x", ""])
def test_another_person_is_told_without_the_number(number):
    found = seen(item(civilRegistrationIdentifier=number))["items[].civilRegistrationIdentifier"]
    assert found.is_anothers
    assert OTHER not in repr(found)


def test_another_person_in_an_unknown_place_is_told_too():
    found = seen(item(more={"civilRegistrationIdentifier": OTHER}))
    assert found["items[].more"].mark is None
    found = seen(item(CivilRegistrationIdentifier=OTHER))
    assert found["items[].CivilRegistrationIdentifier"].is_anothers


def test_a_list_that_is_none_is_told():
    found = compare(CONTRACT, node("", {"items": {"0": {}}}), ASKED)
    assert found["items[]"].other_forms == {"object"}


def test_an_empty_list_is_there_and_shows_nothing_of_its_items():
    found = seen()
    assert found["items[]"].is_found
    assert not found["items[].start"].is_looked_for


def test_a_name_that_could_be_a_value_is_not_shown_and_many_are_not_named():
    odd = {OTHER: 1, "Åge Hansen": 2, "6203004235x": 3}
    found = seen(item(**odd))
    assert [path for path, one in found.items() if one.mark is None] == ["items[].?"]
    found = seen(item(**{f"field{n}": n for n in range(1000)}))
    assert sum(one.mark is None for one in found.values()) == MOST_UNKNOWN


def test_an_element_in_another_namespace_is_told_with_it():
    contract = Expected("", fields=(Expected("Number", Form.TEXT, is_required=True, namespace="http://a/20080401/"),))
    root = Expected("", fields=contract.fields)
    other = node("", {})
    from registerbro.conformance.expectations import Node

    other = Node("", Form.OBJECT, parts=(Node("Number", Form.TEXT, "1", namespace="http://a/20090401/"),))
    found = compare(root, other, None)["Number"]
    assert (found.other_names, found.is_missing, found.is_wrong) == ({"http://a/20090401/"}, False, True)
    hostile = Node("", Form.OBJECT, parts=(Node("Number", Form.TEXT, "1", namespace=f"urn:{OTHER}"),))
    assert compare(root, hostile, None)["Number"].other_names == {"?"}


def test_without_an_answer_nothing_is_seen():
    assert {one.is_looked_for or one.is_found for one in nothing_seen(CONTRACT).values()} == {False}


@pytest.mark.parametrize(
    ("code", "shown"), [("A", "A"), ("12345", "12345"), ("123456", "?"), ("Hansen", "?"), ("A-1", "?")]
)
def test_only_what_is_a_code_in_form_is_shown(code, shown):
    assert shown_code(code) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("ydelse", "ydelse"), ("@odata.nextLink", "@odata.nextLink"), ("Jens Hansen", "?"), ("a123456", "?")],
)
def test_only_what_is_a_name_in_form_is_shown(name, shown):
    assert shown_name(name) == shown
