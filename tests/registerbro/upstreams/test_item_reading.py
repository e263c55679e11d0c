"""Lists whose items are read one by one: an odd one is left out and named, and refuses no other."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from domain.overview import LeftOut
from registerbro.upstreams.errors import InvalidResponse
from registerbro.upstreams.item_reading import Items, each, left_out, readable
from registerbro.upstreams.messages import validated
from registerbro.upstreams.wire_types import IsoDate, WireModel


class Within(WireModel):
    day: IsoDate


class Thing(WireModel):
    key: int = Field(alias="Key")
    within: Within | None = None


class Outer(WireModel):
    things: Annotated[Items[Thing], each(Thing, "thing")]


GOOD = {"Key": 1}


def read(*items):
    return validated(Outer, {"things": list(items)}).things


def test_items_keep_their_order_and_what_is_left_out_its_place():
    found = read(GOOD, {"Key": "x"}, {"Key": 3})
    assert found == (Thing(Key=1), LeftOut("Key", "thing 2"), Thing(Key=3))
    assert readable(found) == [Thing(Key=1), Thing(Key=3)]
    assert left_out(found) == (LeftOut("Key", "thing 2"),)


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ({}, "Key"),
        ({"Key": True}, "Key"),
        ({"Key": 1, "within": {"day": "soon"}}, "within"),
        ({"Key": 1, "within": {}}, "within"),
        ({"Key": 1, "within": []}, "within"),
        ({"key": 1}, "Key"),
        *((value, "thing") for value in (None, 1, "6102991234", [], [GOOD])),
    ],
    ids=repr,
)
def test_the_kind_is_the_field_at_fault_by_its_own_name_and_never_a_value(item, kind):
    assert read(GOOD, item)[1] == LeftOut(kind, "thing 2")


def test_an_empty_list_has_no_items():
    assert read() == ()


@pytest.mark.parametrize("value", [None, {}, "x", 1, GOOD])
def test_what_is_no_list_is_not_of_the_contract(value):
    with pytest.raises(InvalidResponse, match=r"things \(no_list\)"):
        validated(Outer, {"things": value})


def test_a_list_that_is_missing_is_no_empty_one():
    with pytest.raises(InvalidResponse, match=r"things \(missing\)"):
        validated(Outer, {})


@pytest.mark.parametrize("items", [[{}], [None, 1], [{"Key": "6102991234"}] * 3])
def test_a_list_of_which_nothing_can_be_read_is_not_of_the_contract(items):
    with pytest.raises(InvalidResponse) as caught:
        read(*items)
    assert str(caught.value) == "not of the contract: things (no_readable_item)"


def test_the_schema_is_that_of_a_list_of_the_items():
    schema = TypeAdapter(Outer).json_schema(mode="validation")
    assert schema["properties"]["things"]["type"] == "array"
    assert schema["required"] == ["things"]
    assert schema["$defs"]["Thing"]["required"] == ["Key"]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("Key"), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(ANYTHING, max_size=6), st.integers(0, 6))
def test_whatever_stands_beside_it_a_good_item_is_read_and_each_other_is_read_or_left_out_in_its_place(others, at):
    items = [*others[:at], GOOD, *others[at:]]
    found = read(*items)
    assert len(found) == len(items)
    assert found[min(at, len(others))] == Thing(Key=1)
    assert {one.place for one in left_out(found)} <= {f"thing {place}" for place in range(1, len(items) + 1)}
    assert len({one.place for one in left_out(found)}) == len(left_out(found))
