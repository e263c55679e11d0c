"""Rules file: an installation's own tables of what the law changes, in TOML (`RULES_FILE`; docs/operations.md).

A file is taken whole or refused with the line of what is wrong. What it does not speak of stays the default: its target
group takes the place of the default one, and its rows of a contact group, a benefit or an income type those of the same
code. Each row stands under a header of its own, one field on a line, so that each error has a line: tomllib tells none
of a value, so the file is read row by row.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from domain.dated_tables import Row, Table, TableError
from domain.hidden_characters import HiddenCharacter, require_visible
from domain.rules import DEFAULT_RULES, ContactGroup, Rules
from domain.target_group import TARGET_GROUP, Qualifying, TargetGroup

T = TypeVar("T")

LONGEST_FILE: Final = 1024 * 1024
"""Bytes; some thousand rows take a tenth."""
LONGEST_LINE: Final = 1000
"""Characters."""
LONGEST_TEXT: Final = 200
"""Characters of a name."""
LARGEST_CODE: Final = 999_999_999

_HEADER = re.compile(r"\s*\[\[\s*([A-Za-z0-9_.-]+)\s*\]\]\s*(#.*)?")
_OTHER_HEADER = re.compile(r"\s*\[")
_FIELD = re.compile(r"\s*\"?([A-Za-z0-9_-]+)\"?\s*=")
_AT_LINE = re.compile(r"^(?P<what>.*?) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$", re.DOTALL)


class RulesFileError(ValueError):
    """A rules file that is refused; the message begins with the number of the line at fault."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"{line}: {problem}")
        self.line = line


@dataclass(frozen=True, slots=True)
class _Block:
    """One row as it stands: its header, the header's line, its fields and their lines."""

    table: str
    line: int
    fields: Mapping[str, Any]
    lines: Mapping[str, int]

    def line_of(self, field: str) -> int:
        return self.lines.get(field, self.line)


def parse(content: bytes) -> Rules:
    """The rules of a file, beside the default tables that it does not have. Raises RulesFileError."""
    if len(content) > LONGEST_FILE:
        raise RulesFileError(1, f"the file has {len(content)} bytes, and at most {LONGEST_FILE} are read")
    text = _text(content)
    for number, line in enumerate(text.split("\n"), 1):
        # tomllib's errors about longer numbers name no line.
        if len(line) > LONGEST_LINE:
            raise RulesFileError(number, f"the line has {len(line)} characters, and at most {LONGEST_LINE} are read")
    _check_syntax(text)
    blocks = list(_blocks(text))
    by_table: dict[str, list[_Block]] = {}
    for block in blocks:
        if block.table not in _FIELDS:
            raise RulesFileError(block.line, f"there is no table [[{block.table}]]: {_listed(_FIELDS)}")
        _check_fields(block)
        by_table.setdefault(block.table, []).append(block)
    default = DEFAULT_RULES
    is_target_group_there = by_table.keys() & {"target_group", _GROUP}
    return Rules(
        target_group=_target_group(blocks) if is_target_group_there else default.target_group,
        contact_groups=_table("contact_group", by_table, "code", _contact_group, default.contact_groups),
        benefits=_table("benefit", by_table, "type", lambda one: str(one.fields["label"]), default.benefits),
        income_types=_table(
            "income_type", by_table, "code", lambda one: bool(one.fields["work"]), default.income_types
        ),
    )


def to_text(rules: Rules) -> str:
    """The rules as a rules file that `parse` reads as the same rules: what an operator begins from."""
    return "\n\n".join(_written(rules)) + "\n"


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise RulesFileError(content.count(b"\n", 0, error.start) + 1, "the file is not UTF-8") from None


def _check_syntax(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.match(str(error))
        line = int(found["line"]) if found and found["line"] else text.count("\n") + 1
        raise RulesFileError(line, f"this is no TOML: {found['what'] if found else error}") from None
    except RecursionError:
        nested = (number for number, line in enumerate(text.split("\n"), 1) if line.lstrip().startswith("[[["))
        raise RulesFileError(next(nested, 1), "this is no TOML: lists within lists, too many to read") from None


def _blocks(text: str) -> Iterator[_Block]:
    """The rows in their order. Raises RulesFileError for whatever stands in no row, or not on a line of its own."""
    table, began, body = "", 0, list[str]()
    for number, line in enumerate([*text.split("\n"), "[[]]"], 1):
        found = _HEADER.fullmatch(line)
        if found is None and not _OTHER_HEADER.match(line):
            body.append(line)
            continue
        # A value over several lines may have a line that begins as a header does.
        yield from _block(table, began, body)
        if found is None and line != "[[]]":
            raise RulesFileError(number, "a row begins with its table's name in two brackets, as in [[benefit]]")
        table, began, body = found[1] if found else "", number, []


def _block(table: str, began: int, body: Sequence[str]) -> Iterator[_Block]:
    lines: dict[str, int] = {}
    for number, line in enumerate(body, began + 1):
        if found := _FIELD.match(line):
            lines.setdefault(found[1], number)
    try:
        fields = tomllib.loads("\n".join(body))
    except tomllib.TOMLDecodeError:
        raise RulesFileError(max(began, 1), "a field's value stands on one line") from None
    if not table and fields:
        raise RulesFileError(min(lines.values(), default=1), "this stands in no row: a row begins as [[benefit]] does")
    if table:
        yield _Block(table, began, fields, lines)


def _number(value: object) -> str | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_CODE
    return None if is_number else "is no whole number of at most nine digits"


def _age(value: object) -> str | None:
    is_age = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 150
    return None if is_age else "is no age in years"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "is neither true nor false"


def _day(value: object) -> str | None:
    is_day = isinstance(value, date) and not isinstance(value, datetime) and date.min < value < date.max
    return None if is_day else "is no day, written without quotes as 2027-01-01"


def _name(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip() or value != value.strip():
        return "is no text in quotes, or has white space around it"
    if len(value) > LONGEST_TEXT:
        return f"has {len(value)} characters, and at most {LONGEST_TEXT} may be"
    try:
        require_visible(value)
    except HiddenCharacter as error:
        return str(error)
    return None


_Check = Callable[[object], str | None]
_GROUP: Final = "target_group.group"
_DAYS: Final[Mapping[str, _Check]] = {"from": _day, "to": _day}
_NEEDED: Final[Mapping[str, Mapping[str, _Check]]] = {
    "target_group": {},
    _GROUP: {"code": _number},
    "contact_group": {"code": _number, "name": _name},
    "benefit": {"type": _name, "label": _name},
    "income_type": {"code": _number, "work": _flag},
}
_OPTIONAL: Final[Mapping[str, Mapping[str, _Check]]] = {
    "target_group": _DAYS,
    _GROUP: {"under_age": _age, "education_order": _flag},
    "contact_group": {**_DAYS, "closes_cv": _flag},
    "benefit": _DAYS,
    "income_type": _DAYS,
}
_FIELDS: Final[Mapping[str, Mapping[str, _Check]]] = MappingProxyType(
    {table: {**needed, **_OPTIONAL[table]} for table, needed in _NEEDED.items()}
)
"""Table → its fields, each with the check of its value, which says what is wrong or None."""


def _check_fields(block: _Block) -> None:
    """Raises RulesFileError for the first field that the table does not know, or whose value is not of its kind."""
    known = _FIELDS[block.table]
    for field, value in block.fields.items():
        if field not in known:
            raise RulesFileError(
                block.line_of(field), f"[[{block.table}]] has no field {field!r:.50}: {_listed(known)}"
            )
        if problem := known[field](value):
            raise RulesFileError(block.line_of(field), f"{field} {problem}")
    for field in _NEEDED[block.table]:
        if field not in block.fields:
            raise RulesFileError(block.line, f"this [[{block.table}]] has no {field}")


def _listed(names: Mapping[str, object]) -> str:
    return f"there are {', '.join(names)}"


def _contact_group(block: _Block) -> ContactGroup:
    return ContactGroup(block.fields["name"], closes_cv=block.fields.get("closes_cv", False))


def _table(
    name: str, by_table: Mapping[str, Sequence[_Block]], key: str, value: Callable[[_Block], T], default: Table[Any, T]
) -> Table[Any, T]:
    """One table: the rows of the file, and the default ones of the codes that the file does not have there."""
    blocks = by_table.get(name, ())
    rows = [Row(one.fields[key], value(one), one.fields.get("from"), one.fields.get("to")) for one in blocks]
    codes = {row.key for row in rows}
    try:
        table = Table([*rows, *(row for row in default.rows if row.key not in codes)])
    except TableError as error:
        at_fault = blocks[error.row]
        raise RulesFileError(at_fault.line, f"[[{name}]] {at_fault.fields[key]}: {error}") from None
    for block, row in zip(blocks, rows, strict=True):
        if row.first == table.begins(row.key) and row.key in default:
            _check_beginning(block, row.first, default.begins(row.key))
    return table


def _check_beginning(block: _Block, first: date | None, default: date | None) -> None:
    """Raises RulesFileError for a beginning after the default one: days of the past would lose what held then."""
    if first is not None and (default is None or first > default):
        since = "has no first day" if default is None else f"begins on {default}"
        raise RulesFileError(
            block.line_of("from"), f"a gap: nothing is in force before {first}, and the default {since}"
        )


def _target_group(blocks: Sequence[_Block]) -> TargetGroup:
    rules: list[tuple[_Block, list[Qualifying]]] = []
    for block in blocks:
        if block.table == "target_group":
            rules.append((block, []))
        elif block.table == _GROUP:
            if not rules:
                raise RulesFileError(block.line, "this group stands in no rule: a [[target_group]] comes before it")
            _add_group(block, rules[-1][1])
    for block, groups in rules:
        if not groups:
            raise RulesFileError(block.line, f"this rule has no [[{_GROUP}]], so the target group would be empty")
    rows = [Row(TARGET_GROUP, tuple(groups), one.fields.get("from"), one.fields.get("to")) for one, groups in rules]
    try:
        table = Table(rows, endless=True)
    except TableError as error:
        raise RulesFileError(rules[error.row][0].line, f"[[target_group]]: {error}") from None
    for (block, _), row in zip(rules, rows, strict=True):
        if row.first == table.begins(TARGET_GROUP):
            _check_beginning(block, row.first, DEFAULT_RULES.target_group.begins(TARGET_GROUP))
    return table


def _add_group(block: _Block, groups: list[Qualifying]) -> None:
    fields = block.fields
    if any(one.group == fields["code"] for one in groups):
        raise RulesFileError(block.line, f"an overlap: contact group {fields['code']} stands in this rule already")
    groups.append(Qualifying(fields["code"], fields.get("under_age"), fields.get("education_order", False)))


def _written(rules: Rules) -> Iterator[str]:
    for rule in rules.target_group.rows:
        yield _row("target_group", rule)
        for one in rule.value:
            age = {} if one.under_age is None else {"under_age": one.under_age}
            order = {"education_order": True} if one.education_order else {}
            yield _lines(_GROUP, {"code": one.group, **age, **order})
    for group in rules.contact_groups.rows:
        closes = {"closes_cv": True} if group.value.closes_cv else {}
        yield _row("contact_group", group, code=group.key, name=group.value.name, **closes)
    for benefit in rules.benefits.rows:
        yield _row("benefit", benefit, type=benefit.key, label=benefit.value)
    for of_type in rules.income_types.rows:
        yield _row("income_type", of_type, code=of_type.key, work=of_type.value)


def _row(table: str, row: Row[Any, Any], **fields: object) -> str:
    days = {"from": row.first, "to": row.last}
    return _lines(table, {**fields, **{name: day for name, day in days.items() if day is not None}})


def _lines(table: str, fields: Mapping[str, object]) -> str:
    return "\n".join([f"[[{table}]]", *(f"{name} = {_value(value)}" for name, value in fields.items())])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # Names hold no control characters, so these two are all that TOML escapes.
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
