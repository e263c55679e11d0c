"""Comparison: an answer held against its expectation, field by field; it names paths and forms, and never values."""

import re
from contextlib import suppress
from datetime import date, datetime
from typing import Final
from uuid import UUID

from domain.cpr import Cpr, InvalidCpr
from registerbro.conformance.expectations import Expected, FieldSeen, Form, Node

MOST_UNKNOWN: Final = 50
"""Unknown fields that are named; an answer may be made of nothing else."""

_NAME = re.compile(r"[A-Za-zÆØÅæøå_@$][\w@$:.]{0,79}")
_LONG_NUMBER = re.compile(r"\d{6,}")
_CODE = re.compile(r"[A-Z][A-Z_]{0,30}|[0-9]{1,5}")
_NAMESPACE = re.compile(r"(?:https?://|urn:)[A-Za-z0-9._:/-]{1,120}")
_YEAR_AND_MORE = re.compile(r"(?<=/)20(?:\d\d){3}(?=/)")
"""A day in a namespace's name, as the registers have them."""
_DURATION = re.compile(r"-?P(?=.)(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:T(?=.)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?")
_ZONE = re.compile(r"(?:Z|[+-]\d\d:\d\d)$")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?\d{1,18}(?:\.\d{1,18})?")

_PERSON: Final = frozenset({"civilregistrationidentifier", "personcivilregistrationidentifier"})
"""Names, in lower case, of fields that say whom an answer is about."""


def compare(expected: Expected, root: Node, cpr: Cpr | None) -> dict[str, FieldSeen]:
    """What `root` shows of each field, by path, in the order of the expectation; unknown fields last.

    `cpr` is the person who was asked about, and None when nobody was.
    """
    comparison = _Comparison(cpr)
    comparison.describe(expected, "")
    comparison.compare(expected, root, "")
    return comparison.seen


def nothing_seen(expected: Expected) -> dict[str, FieldSeen]:
    """The same without an answer."""
    comparison = _Comparison(None)
    comparison.describe(expected, "")
    return comparison.seen


class _Comparison:
    def __init__(self, cpr: Cpr | None) -> None:
        self._cpr = cpr
        self._unknown = 0
        self.seen: dict[str, FieldSeen] = {}

    def describe(self, expected: Expected, path: str) -> None:
        for field in expected.fields:
            here = field.path_below(path)
            self.seen[here] = FieldSeen(here, field.mark, field.form, field.is_required)
            self.describe(field, here)

    def compare(self, expected: Expected, node: Node, path: str) -> None:
        for field in expected.fields:
            here = field.path_below(path)
            seen = self.seen[here]
            seen.is_looked_for = True
            is_there = False
            for part in node.parts:
                # One that is null is not there.
                if part.name == field.name and part.form is not Form.NULL:
                    is_there = True
                    self._look_at_part(field, part, here)
            if field.is_required and not is_there:
                seen.is_missing = True
        if not expected.is_open:
            self._note_unknown(expected, node, path)

    def _look_at_part(self, field: Expected, part: Node, path: str) -> None:
        """A part with the field's name, which may be there in another way."""
        seen = self.seen[path]
        if part.namespace != field.namespace:
            seen.other_names.add(shown_namespace(part.namespace))
        elif not field.is_list:
            self._look_at(field, part, path)
        elif part.form is not Form.LIST:
            seen.other_forms.add(form_of(part))
        else:
            # An empty list is one, too.
            seen.is_found = True
            for item in part.parts:
                self._look_at(field, item, path)

    def _look_at(self, field: Expected, node: Node, path: str) -> None:
        seen = self.seen[path]
        seen.is_found = True
        if not _is_of_form(field, node):
            seen.other_forms.add(form_of(node))
            return
        if field.name.casefold() in _PERSON and self._cpr is not None and _person(node.text) != self._cpr:
            seen.is_anothers = True
        if field.codes is not None and node.text not in field.codes:
            seen.unknown_codes.add(shown_code(node.text))
        if field.fields or node.parts:
            self.compare(field, node, path)

    def _note_unknown(self, expected: Expected, node: Node, path: str) -> None:
        expected_names = {field.name for field in expected.fields}
        for part in node.parts:
            if part.name in expected_names or node.form is Form.LIST:
                continue
            here = f"{path}.{shown_name(part.name)}".removeprefix(".")
            if here in self.seen:
                continue
            if self._unknown >= MOST_UNKNOWN:
                return
            self._unknown += 1
            is_anothers = part.name.casefold() in _PERSON and self._cpr is not None and _person(part.text) != self._cpr
            self.seen[here] = FieldSeen(
                here, None, part.form, is_looked_for=True, is_found=True, is_anothers=is_anothers
            )


def _person(text: str) -> Cpr | None:
    with suppress(InvalidCpr):
        return Cpr.parse(text.strip())
    return None


def _is_of_form(field: Expected, node: Node) -> bool:
    if field.form is Form.ANY:
        return True
    if field.namespace and node.form is Form.TEXT:
        return _is_text_of(field, node.text)
    if node.form is not Form.TEXT:
        return field.form is node.form or (field.form, node.form) == (Form.NUMBER, Form.INTEGER)
    return field.form in {Form.TEXT, form_of(node)}


def _is_text_of(field: Expected, text: str) -> bool:
    """Whether an XML element's text is of the form; one that should hold elements may be empty."""
    match field.form:
        case Form.OBJECT:
            return not text and not any(one.is_required for one in field.fields)
        case Form.DATE:
            return _form_of_text(_ZONE.sub("", text)) is Form.DATE
        case Form.INTEGER:
            return _INTEGER.fullmatch(text) is not None
        case Form.NUMBER:
            return _NUMBER.fullmatch(text) is not None
        case Form.BOOLEAN:
            return text in {"true", "false", "0", "1"}
    return field.form in {Form.TEXT, _form_of_text(text)}


def form_of(node: Node) -> Form:
    """The form of a value; of a text, what it is written as."""
    return _form_of_text(node.text) if node.form is Form.TEXT else node.form


def _form_of_text(text: str) -> Form:
    if len(text) == 10 and text[4:5] == "-":
        with suppress(ValueError):
            date.fromisoformat(text)
            return Form.DATE
    if len(text) >= 16 and text[10:11] in {"T", " "}:
        with suppress(ValueError):
            datetime.fromisoformat(text)
            return Form.DATE_TIME
    if len(text) == 36 and text[8:9] == "-":
        with suppress(ValueError):
            UUID(text)
            return Form.UUID
    return Form.DURATION if _DURATION.fullmatch(text) else Form.TEXT


def shown_name(name: str) -> str:
    """A field's name as a report may show it; »?« for one that could be a value, such as a number."""
    return name if _NAME.fullmatch(name) and not _LONG_NUMBER.search(name) else "?"


def shown_code(text: str) -> str:
    """A value of a field that has a list of codes; »?« when it is none in form, for then it could hold anything."""
    return text if _CODE.fullmatch(text) else "?"


def shown_namespace(namespace: str) -> str:
    """A namespace's name as a report may show it."""
    if not namespace:
        return "no namespace"
    is_plain = _NAMESPACE.fullmatch(namespace) and not _LONG_NUMBER.search(_YEAR_AND_MORE.sub("", namespace))
    return namespace if is_plain else "?"
