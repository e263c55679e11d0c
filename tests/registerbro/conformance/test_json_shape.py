"""Expectations are the wire models themselves, and nodes are what came."""

from datetime import date, datetime
from uuid import UUID

import pytest
from pydantic import Field

from registerbro.conformance.expectations import Form, Mark
from registerbro.conformance.json_shape import expected, node, shape
from registerbro.upstreams.messages import Answer
from registerbro.upstreams.wire_types import IsoDate, Many, Name, WireModel


class Inner(WireModel):
    key: UUID | None = None
    at: datetime
    later: object = None


class Outer(WireModel):
    person: Name = Field(alias="civilRegistrationIdentifier")
    day: IsoDate | None = None
    ok: bool
    count: int = 0
    items: Many[Inner]


class Later(WireModel):
    days: date


def told(one, path=""):
    """Path → form and whether it is required."""
    found = {}
    for field in one.fields:
        here = field.path_below(path)
        found[here] = (field.form.value, field.is_required)
        found |= told(field, here)
    return found


def test_names_forms_and_what_is_required_come_from_the_model():
    assert told(expected(Outer, Mark.PUBLISHED)) == {
        "civilRegistrationIdentifier": ("text", True),
        "day": ("date", False),
        "ok": ("boolean", True),
        "count": ("integer", False),
        "items[]": ("object", True),
        "items[].key": ("uuid", False),
        "items[].at": ("date-time", True),
        "items[].later": ("anything", False),
    }


def test_a_mark_holds_for_a_field_and_all_within_it_and_a_list_of_codes_for_its_field():
    root = expected(
        Outer, Mark.PUBLISHED, marks={"items[]": Mark.ASSUMED, "items[].at": Mark.LIKELY}, codes={"count": {1: "a"}}
    )
    items = root.find("items")
    assert [root.find("ok").mark, items.mark, items.find("key").mark, items.find("at").mark] == ["P", "A", "A", "L"]
    assert root.find("count").codes == frozenset({"1"})


def test_what_is_read_later_is_described_by_its_own_model():
    root = expected(Outer, Mark.PUBLISHED, within={"items[].later[]": Later})
    assert told(root)["items[].later[].days"] == ("date", True)


def test_a_field_of_any_form_may_have_one():
    root = expected(Outer, Mark.PUBLISHED, forms={"items[].later": Form.BOOLEAN})
    assert told(root)["items[].later"] == ("boolean", False)


@pytest.mark.parametrize("mark", [Mark.PUBLISHED, Mark.ASSUMED])
def test_what_is_not_read_is_expected_and_optional_with_the_mark_of_what_it_is_in(mark):
    unread = {"items[].case": Form.UUID, "items[].forms[]": Form.INTEGER}
    root = expected(Outer, Mark.LIKELY, marks={"items[]": mark}, unread=unread)
    assert (told(root)["items[].case"], told(root)["items[].forms[]"]) == (("uuid", False), ("integer", False))
    assert root.find("items").find("case").mark is root.find("items").find("forms").mark is mark


def test_what_is_not_read_may_have_a_mark_of_its_own():
    root = expected(
        Outer, Mark.ASSUMED, marks={"items[].case": Mark.PUBLISHED}, unread={"items[].case": Form.UUID, "x": Form.TEXT}
    )
    assert [root.find("items").find("case").mark, root.find("x").mark] == [Mark.PUBLISHED, Mark.ASSUMED]
    with pytest.raises(ValueError, match="there is no gone"):
        expected(Outer, Mark.ASSUMED, unread={"gone.case": Form.UUID})


@pytest.mark.parametrize(
    "more",
    [
        {"marks": {"gone": Mark.ASSUMED}},
        {"codes": {"items.key": ()}},
        {"forms": {"gone": Form.TEXT}},
    ],
)
def test_a_mark_of_a_field_that_is_gone_is_told(more):
    with pytest.raises(ValueError, match="Outer has no "):
        expected(Outer, Mark.PUBLISHED, **more)


def test_every_value_of_json_is_a_node():
    root = node("", {"a": [1, 2.5, "x", True, None, {"b": []}]})
    (items,) = root.parts
    assert [(one.form, one.text) for one in items.parts] == [
        (Form.INTEGER, "1"), (Form.NUMBER, "2.5"), (Form.TEXT, "x"), (Form.BOOLEAN, "true"), (Form.NULL, ""),
        (Form.OBJECT, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "kind", "body"), [(200, "text/html", b"{}"), (200, "application/json", b"{")])
def test_an_answer_that_is_no_json_has_no_shape(status, kind, body):
    assert shape(Answer(status, kind, "utf-8", body)) is None


def test_a_problem_has_a_shape_when_it_is_a_refusal():
    assert shape(Answer(400, "application/problem+json", "utf-8", b"{}")) is not None
    assert shape(Answer(200, "application/problem+json", "utf-8", b"{}")) is None


def test_a_node_shows_no_value_in_its_repr():
    assert "6102991234" not in repr(node("a", {"b": "6102991234"}))
