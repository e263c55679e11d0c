"""Scanner of recordings: proves that none of what an exchange said of anybody is left in its recording.

It knows the exchange, and not what was put in its place: it looks for the values themselves, in every spelling, so that
a mistake in replacing them is found. A finding names a kind and a place, and never the value.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lxml import etree

from domain.cpr import LOOKS_LIKE_CPR, Cpr
from registerbro.conformance.comparison import shown_name, shown_namespace
from registerbro.conformance.constructed import KEPT_BELOW, day_of, may_be_a_companys
from registerbro.conformance.expectations import Expected

SHORTEST_NUMBER: Final = 6
"""Digits from which a run of them could name a person or a company."""
SHORTEST_WORD: Final = 4
"""Letters from which a word is looked for within other texts; a shorter text is looked for as a whole."""

_SOMEBODYS: Final = frozenset({8, 10})
"""Digits of CVR and SE numbers, and of CPR numbers."""
_NAMES_SOMEBODY: Final = min(_SOMEBODYS)
"""Digits of the shortest number that is somebody's (CVR, SE): it is looked for within longer runs, too."""

_NAMESPACE: Final = ": namespace"
"""End of the place of a namespace's name."""

_RUN = re.compile(r"\d+")
_GROUPED = re.compile(r"\d+(?:[-\s.]\d+)+")
"""Digits in groups, as a number is written for people."""
_WORD = re.compile(r"[^\W\d_]+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T -]\d\d[:.]\d\d(?:[:.]\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?")
_MONTH = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Found:
    """Something personal that a recording holds: its kind, and where."""

    kind: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind}, at {self.place}"


@dataclass(frozen=True, slots=True)
class Personal:
    """Everything of an exchange that must not be in its recording. Its repr shows nothing."""

    numbers: frozenset[str] = field(repr=False)
    texts: frozenset[str] = field(repr=False)
    words: frozenset[str] = field(repr=False)
    names: frozenset[str] = frozenset()
    """The contract's own names, which may be words of a text by chance."""

    @classmethod
    def of(cls, values: Iterable[str], cpr: Cpr, expected: Expected, asked_with: Iterable[str] = ()) -> "Personal":
        """Of these values, which are all that were sent and received, and of the citizen who was asked about.

        The contract's own names and codes are nobody's, nor are the names that the question is made of (`asked_with`).
        """
        names, codes, structure = _vocabulary(expected)
        names |= set(asked_with)
        numbers = {cpr.digits, cpr.digits[:SHORTEST_NUMBER], f"{cpr.birth_date:%Y%m%d}", cpr.birth_date.isoformat()}
        texts: set[str] = set()
        words: set[str] = set()
        for value in values:
            if value in codes:
                continue
            is_structure = any(one.fullmatch(value) for one in structure)
            # Of a structure's number, those as long as a person's or a company's are looked for all the same.
            numbers |= {one for one in _numbers_in(value) if not is_structure or len(one) in _SOMEBODYS}
            text = value.strip().casefold()
            if len(text) > 1 and any(character.isalpha() for character in text):
                texts.add(text)
            words |= {word for word in map(str.casefold, _WORD.findall(value)) if len(word) >= SHORTEST_WORD}
        known = {word for name in (*names, *codes) for word in map(str.casefold, _WORD.findall(name))}
        return cls(
            frozenset(numbers),
            frozenset(text for text in texts if text not in known),
            frozenset(words - known),
            frozenset(names),
        )


def _vocabulary(expected: Expected) -> tuple[set[str], set[str], set[re.Pattern[str]]]:
    """Names, namespaces, codes, and patterns of structural numbers of a contract."""
    names, codes = {expected.name, expected.namespace}, set(expected.codes or ())
    structure = {expected.keeps} if expected.keeps else set()
    for inner in expected.fields:
        more_names, more_codes, more_structure = _vocabulary(inner)
        names |= more_names
        codes |= more_codes
        structure |= more_structure
    return names, codes, structure


def _numbers_in(value: str) -> Iterator[str]:
    """Numbers that could name somebody; a day, a month or a time of the day names nobody."""
    for number in _digits_of(value):
        is_time = (len(number) == 8 and day_of(number)) or _MONTH.fullmatch(number)
        if len(number) >= SHORTEST_NUMBER and not is_time and set(number) != {"0"}:
            yield number


def _digits_of(value: str) -> set[str]:
    """Runs of digits, and those that are written in groups, without what is between them."""
    groups = _GROUPED.findall(_MOMENT.sub(" ", value))
    return {*_RUN.findall(value), *(re.sub(r"\D", "", group) for group in groups)}


def scan(recording: str, personal: Personal) -> list[Found]:
    """Everything personal of the exchange that the file's text holds."""
    found: list[Found] = []
    for place, value, is_name in _parts(recording):
        found += _found(value, place, personal, is_name=is_name)
    if any(number in recording for number in personal.numbers if len(number) >= _NAMES_SOMEBODY):
        found.append(Found("a number of the exchange", "the file"))
    return list(dict.fromkeys(found))


def _found(value: str, place: str, personal: Personal, *, is_name: bool) -> Iterator[Found]:
    digits = _digits_of(value)
    long = {number for number in personal.numbers if len(number) >= _NAMES_SOMEBODY}
    if digits & personal.numbers or any(number in run for number in long for run in (*digits, value)):
        yield Found("a number of the exchange", place)
    if is_name and value in personal.names:
        return
    if value.strip().casefold() in personal.texts:
        yield Found("a text of the exchange", place)
    if personal.words & set(map(str.casefold, _WORD.findall(value))):
        yield Found("a word of the exchange", place)


def scan_alone(recording: str) -> list[Found]:
    """Everything in a recording that could be a person's or a company's number, when its exchange is not known."""
    found: list[Found] = []
    for place, value, _ in _parts(recording):
        if any(int(number[:2]) <= 31 for number in LOOKS_LIKE_CPR.findall(value)):
            found.append(Found("what could be a CPR number", place))
        companies = [run for run in _RUN.findall(value) if len(run) == 8 and day_of(run) is None]
        if any(map(may_be_a_companys, companies)):
            found.append(Found("what could be a CVR or SE number", place))
    return list(dict.fromkeys(found))


def _parts(recording: str) -> Iterator[tuple[str, str, bool]]:
    """Every part of what a recording holds of its exchange (`parts_of`)."""
    document: Mapping[str, Any] = json.loads(recording)
    for name in ("cpr", "company"):
        yield name, str(document[name]), False
    for name in ("question", "answer"):
        yield from parts_of((document[name]["body"] or "").encode(), f"{name}.body")


def names_of(body: bytes) -> set[str]:
    """Every name of a body."""
    return {name for _, name, is_name in parts_of(body, "") if is_name}


def values_of(body: bytes) -> list[str]:
    """Every value of a body, and every name that could be one."""
    return [value for place, value, is_name in parts_of(body, "") if not is_name or _could_be_a_value(value, place)]


def _could_be_a_value(name: str, place: str) -> bool:
    return (shown_namespace(name) if place.endswith(_NAMESPACE) else shown_name(name)) == "?"


def parts_of(body: bytes, place: str) -> Iterator[tuple[str, str, bool]]:
    """Every value and every name of a body of XML or JSON, with its place, and whether it is a name.

    A body of anything else is one value.
    """
    if body.lstrip().startswith(b"<"):
        yield from _of_xml(body, place)
        return
    try:
        values = json.loads(body)
    except ValueError:
        yield place, body.decode("utf-8", "replace"), False
        return
    yield from _of_json(values, place)


def _of_xml(body: bytes, place: str) -> Iterator[tuple[str, str, bool]]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        yield place, body.decode("utf-8", "replace"), False
        return
    for _, (prefix, namespace) in etree.iterwalk(root, events=("start-ns",)):
        yield f"{place}: prefix", str(prefix), True
        yield f"{place}{_NAMESPACE}", str(namespace), True
    for node in root.iter():
        name = etree.QName(node).localname if isinstance(node.tag, str) else "comment"
        here = f"{place}: {name}"
        yield here, name, True
        yield from ((here, str(text), False) for text in (node.text, node.tail, *node.attrib.values()) if text)


def _of_json(value: object, place: str) -> Iterator[tuple[str, str, bool]]:
    match value:
        case dict():
            for name, inner in value.items():
                yield place, str(name), True
                yield from _of_json(inner, f"{place}.{shown_name(str(name))}")
        case list():
            for inner in value:
                yield from _of_json(inner, place)
        case bool() | None:
            return
        case int() | float() if abs(value) < KEPT_BELOW:
            return
        case _:
            yield place, str(value), False
