"""JSON shape: makes expectations of wire models, and nodes of answers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pydantic_core
from pydantic import BaseModel

from registerbro.conformance.expectations import Expected, Form, Mark, Node
from registerbro.upstreams.errors import CallFailed
from registerbro.upstreams.messages import Answer

_FORMATS: Final = {"date": Form.DATE, "date-time": Form.DATE_TIME, "uuid": Form.UUID, "duration": Form.DURATION}
_TYPES: Final = {
    "string": Form.TEXT, "integer": Form.INTEGER, "number": Form.NUMBER, "boolean": Form.BOOLEAN, "object": Form.OBJECT,
}  # fmt: skip


def expected(
    model: type[BaseModel],
    mark: Mark,
    *,
    marks: Mapping[str, Mark] | None = None,
    codes: Mapping[str, object] | None = None,
    within: Mapping[str, type[BaseModel]] | None = None,
    forms: Mapping[str, Form] | None = None,
    unread: Mapping[str, Form] | None = None,
) -> Expected:
    """The expectation that a wire model is.

    Args:
        model: the model of the whole answer.
        mark: the mark of every field without one of its own.
        marks: path → mark of a field and of those within it.
        codes: path → the values of a closed list (the keys, of a mapping).
        within: path → the model of what stands there, where `model` leaves that to later reading.
        forms: path → the form of a field of which the model takes any, so as to refuse nothing.
        unread: path → form of a field that the model leaves alone; without a mark of its own, it has that of what it is
            in.

    Raises:
        ValueError: a path is none of the answer's, so that a mark cannot outlive its field.

    """
    unread, marks = unread or {}, marks or {}
    of_read = {path: one for path, one in marks.items() if path not in unread}
    description = _Description(of_read, dict(codes or {}), dict(within or {}), dict(forms or {}))
    root = description.of_model(model, "", mark)
    for path, form in unread.items():
        root = _with_unread(root, path.split("."), form, marks.get(path))
    if unknown := sorted(description.unused()):
        raise ValueError(f"{model.__name__} has no {', '.join(unknown)}")
    return root


def _with_unread(root: Expected, path: Sequence[str], form: Form, mark: Mark | None) -> Expected:
    """`root` with one more optional field at this path. Raises ValueError when nothing is there that could hold it."""
    name, *rest = path
    if not rest:
        one = Expected(
            name.removesuffix("[]"), form, mark or root.mark, is_list=name.endswith("[]"), is_open=form is Form.ANY
        )
        return replace(root, fields=(*root.fields, one))
    found = root.find(name.removesuffix("[]"))
    if found is None:
        raise ValueError(f"there is no {name} that could hold {rest[-1]}")
    made = _with_unread(found, rest, form, mark)
    return replace(root, fields=tuple(made if one is found else one for one in root.fields))


class _Description:
    """Description of one answer under way: the JSON schemas of its models, and the paths that were met."""

    def __init__(
        self,
        marks: dict[str, Mark],
        codes: dict[str, Any],
        within: dict[str, type[BaseModel]],
        forms: dict[str, Form],
    ) -> None:
        self._marks, self._codes, self._within, self._forms = marks, codes, within, forms
        self._met: set[str] = set()

    def unused(self) -> set[str]:
        return {*self._marks, *self._codes, *self._within, *self._forms} - self._met

    def of_model(self, model: type[BaseModel], path: str, mark: Mark) -> Expected:
        schema = model.model_json_schema(by_alias=True, mode="validation")
        return Expected("", Form.OBJECT, mark, is_required=True, fields=self._fields(schema, schema, path, mark))

    def _fields(
        self, schema: Mapping[str, Any], root: Mapping[str, Any], path: str, mark: Mark
    ) -> tuple[Expected, ...]:
        required = set(schema.get("required", ()))
        return tuple(
            self._field(name, one, root, path, mark, is_required=name in required)
            for name, one in schema.get("properties", {}).items()
        )

    def _field(
        self, name: str, schema: Mapping[str, Any], root: Mapping[str, Any], path: str, mark: Mark, *, is_required: bool
    ) -> Expected:
        schema = _resolved(schema, root)
        is_list = schema.get("type") == "array"
        if is_list:
            schema = _resolved(schema.get("items", {}), root)
        bare = f"{path}.{name}".removeprefix(".")
        here = bare + "[]" if is_list else bare
        if not is_list and f"{bare}[]" in {*self._within, *self._codes, *self._marks}:
            # The model takes anything there, and what reads it later knows that it is a list.
            is_list, here = True, f"{bare}[]"
        self._met |= {here, bare}
        mark = self._marks.get(here, self._marks.get(bare, mark))
        codes = self._codes.get(here)
        if codes is None and "enum" in schema:
            codes = schema["enum"]
        if here in self._within:
            fields, form = self.of_model(self._within[here], here, mark).fields, Form.OBJECT
        else:
            fields, form = self._fields(schema, root, here, mark), self._forms.get(here, _form(schema))
        return Expected(
            name, form, mark, is_required, is_list, fields=fields,
            codes=None if codes is None else frozenset(map(str, codes)),
            is_open=form is Form.OBJECT and not fields,
        )  # fmt: skip


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without references, and without the null that a field may be instead."""
    while True:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
            continue
        choices = [one for one in schema.get("anyOf", schema.get("allOf", ())) if one.get("type") != "null"]
        if len(choices) != 1:
            return schema
        schema = choices[0]


def _form(schema: Mapping[str, Any]) -> Form:
    kind = schema.get("type")
    if kind == "string":
        return _FORMATS.get(schema.get("format", ""), Form.TEXT)
    return _TYPES.get(kind, Form.ANY) if isinstance(kind, str) else Form.ANY


def shape(answer: Answer) -> Node | None:
    """The nodes of a JSON answer; None when it is none, or too much."""
    also = ("application/problem+json",) if answer.status >= 400 else ()
    try:
        return node("", answer.json(*also))
    except CallFailed:
        return None


def node(name: str, value: object) -> Node:
    """The node of a JSON value."""
    match value:
        case dict():
            return Node(name, Form.OBJECT, parts=tuple(node(str(key), inner) for key, inner in value.items()))
        case list():
            return Node(name, Form.LIST, parts=tuple(node(name, inner) for inner in value))
        case bool():
            return Node(name, Form.BOOLEAN, str(value).lower())
        case int():
            return Node(name, Form.INTEGER, str(value))
        case float():
            return Node(name, Form.NUMBER, pydantic_core.to_json(value).decode())
        case None:
            return Node(name, Form.NULL)
    return Node(name, Form.TEXT, str(value))
