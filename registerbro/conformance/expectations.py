"""Expectations: an operation of a register, the fields of its answer, and the source of each (published or assumed).

Declarative, and beside each `wire.py` (`workers/<register>/expectations.py`): the fields come from the wire models or
from the names that the parsing uses, so that no second list ages; the marks and the assumptions stand here alone.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from lxml.etree import _Element as Element

from config.settings import Settings
from domain.cpr import Cpr
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import UpstreamError
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Upstream


class Mark(StrEnum):
    """Source of an expectation."""

    PUBLISHED = "P"
    """The interface's owner publishes it."""
    LIKELY = "L"
    """Public clients, or recordings of them, do so."""
    ASSUMED = "A"
    """Nothing public decides it."""


class Form(StrEnum):
    """Form of a field's value."""

    TEXT = "text"
    DATE = "date"
    DATE_TIME = "date-time"
    DURATION = "duration"
    UUID = "uuid"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    LIST = "list"
    NULL = "null"
    ANY = "anything"


@dataclass(frozen=True, slots=True)
class Expected:
    """Field of an answer, with the fields within it.

    `namespace` is an XML element's, and empty in JSON, where `is_list` is whether it is a list; an XML element may be
    there several times anyhow. `codes` are the values of a closed list; a recording keeps them, and what `keeps`
    matches, which is for numbers of a structure alone. Of an `is_open` field, further fields within it are the
    contract's too.
    """

    name: str
    form: Form = Form.ANY
    mark: Mark = Mark.PUBLISHED
    is_required: bool = False
    is_list: bool = False
    namespace: str = ""
    fields: tuple["Expected", ...] = ()
    codes: frozenset[str] | None = None
    keeps: re.Pattern[str] | None = None
    is_open: bool = False

    def find(self, name: str, namespace: str = "") -> "Expected | None":
        """The field within it with this name; None when the contract has none.

        What is open and has codes is a refusal, whose form is not known, and whose codes may stand anywhere.
        """
        if self.is_open and self.codes is not None:
            return self
        return next((one for one in self.fields if (one.name, one.namespace) == (name, namespace)), None)

    def path_below(self, path: str) -> str:
        """Its path, below that of the field that it is in."""
        return f"{path}.{self.name}{'[]' if self.is_list else ''}".removeprefix(".")


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an answer, whether of JSON or of XML. `text` is a value as it is written. Its repr shows nothing."""

    name: str
    form: Form
    text: str = field(default="", repr=False)
    parts: tuple["Node", ...] = field(default=(), repr=False)
    namespace: str = ""


class Result(StrEnum):
    """What the adapter has made of an answer."""

    DATA = "data"
    NO_DATA = "no data"
    NOTHING = "nothing"
    """It could not use it, or there was none."""


class Verdict(StrEnum):
    """Outcome of an assumption, as far as one answer decides it."""

    HOLDS = "holds"
    FAILS = "does not hold"
    NOT_SEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Decision:
    """Verdict on an assumption; `seen` is what decided it, and holds no value of a citizen."""

    assumption: str
    verdict: Verdict
    seen: str = ""


@dataclass(slots=True)
class FieldSeen:
    """Everything that an answer showed of one field, by its path. It holds names, forms and codes, and no value."""

    path: str
    mark: Mark | None
    """None for a field that the contract does not have."""
    form: Form = Form.ANY
    is_required: bool = False
    is_looked_for: bool = False
    """Whether what it would be in is there at all."""
    is_found: bool = False
    is_missing: bool = False
    other_forms: set[str] = field(default_factory=set)
    other_names: set[str] = field(default_factory=set)
    """Namespaces, or names of lists, under which it is there instead."""
    unknown_codes: set[str] = field(default_factory=set)
    is_anothers: bool = False
    """Whether it holds another person's CPR number, or none at all."""

    @property
    def is_wrong(self) -> bool:
        """Whether it is not of the contract. An unknown code is no such thing: it is left out, and told."""
        return bool(self.is_missing or self.other_forms or self.other_names or self.is_anothers)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that one call showed. `error` is the adapter's own; `result` None is "no data" when there is none."""

    status: int | None
    error: UpstreamError | None
    redirects_to: str
    fields: Mapping[str, FieldSeen]
    answer: Answer | None
    root: Node | None
    question: Question | None = None

    @property
    def is_read(self) -> bool:
        """Whether the adapter could use the answer: as data, or as what the register says when it has none."""
        return self.error is None and self.status is not None

    @property
    def is_told_by_status_alone(self) -> bool:
        """Whether nothing but the HTTP status said what the answer means."""
        return self.error is not None and str(self.error) == f"HTTP {self.status}"


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that nothing public decides: `text` is that of the mark in the code, and of docs/going-live.md."""

    text: str
    decide: Callable[[Evidence], tuple[Verdict, str]]


@dataclass(frozen=True, slots=True)
class SignatureSeen:
    """Signature of an answer: the hash functions in it, and whether it was verified; None when that is not set up."""

    algorithms: tuple[str, ...]
    is_verified: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call is made with. `company` is the CVR number that is looked for, `months` how far a question goes back.

    `certificates` are what a question is signed with, and its answer verified; neither is done when None.
    """

    upstream: Upstream
    settings: Settings
    cpr: Cpr
    citizen_id: str
    today: date
    company: str = ""
    months: int | None = None
    certificates: Certificates | None = None


def _never(_: Element) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of an upstream.

    `call` asks as the register's adapter does, and reads as it does: it returns None for "no data", and raises
    UpstreamError. `shape` makes nodes of an answer, or None of one that cannot be parsed. `expected` is the answer's
    root. `writes` is whether the call changes something at the upstream.
    """

    name: str
    call: Callable[[Asked], Awaitable[object]]
    expected: Expected
    shape: Callable[[Answer], Node | None]
    assumptions: tuple[Assumption, ...] = ()
    writes: bool = False
    signature: Callable[[Asked, Answer], SignatureSeen] | None = None
    is_about_a_citizen: bool = True
    refusal_codes: frozenset[str] = frozenset()
    """The values by which a refusal is told, wherever they stand in its body."""
    is_code: Callable[[Element], bool] = _never
    """Whether an XML element's text is a code that says nothing of a person, where `Expected` cannot say so."""

    def answers(self, status: int) -> Expected:
        """The expectation of an answer with this HTTP status."""
        return self.expected if status < 300 else Expected("", is_open=True, codes=self.refusal_codes)
