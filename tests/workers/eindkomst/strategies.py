"""Answers of eIndkomst: written by hand with a few words, or drawn at random, all by the schema's tree.

What stands where comes from `published.xsd`, which is read here: an element that the schema demands and nobody names
is made up, an optional one is there or not, and one that nobody can make up is an error. So a change of the schema is a
change of the answers.

- `report`, `form`, `person`, `answer`: an answer by hand. What is not said is as an ordinary report has it.
- `answers(cpr)`: any answer that the schema takes, with what the rules of reading it turn on drawn often.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from hypothesis import strategies as st
from lxml import etree

SCHEMA = Path(__file__).resolve().parent / "published.xsd"
XS = "http://www.w3.org/2001/XMLSchema"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EINDKOMST = "http://rep.oio.dk/skat.dk/eindkomst/"

CITIZEN = "6102991234"
STRANGER = "6102991235"


# --- The schema, read


@dataclass(frozen=True)
class Value:
    """A simple type: a built-in one and what narrows it."""

    built_in: str
    enumeration: tuple[str, ...] = ()
    patterns: int = 0
    shortest: int = 0
    longest: int | None = None


@dataclass(frozen=True)
class Element:
    """A declared element: `content` is what may stand in it, `value` its text where that is nothing but text."""

    namespace: str
    name: str
    content: "Particle | None" = None
    value: Value | None = None
    attributes: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True)
class Particle:
    """Some occurrences of an element, of a sequence, or of one of several; `most` is None without a bound."""

    kind: str
    least: int
    most: int | None
    parts: tuple["Particle", ...] = ()
    element: Element | None = None
    names: frozenset[str] = field(default=frozenset())
    demanded: frozenset[str] = field(default=frozenset())


class Contract:
    """The declarations of a schema document and of all that it imports."""

    def __init__(self, root: Path) -> None:
        self._elements: dict[str, etree._Element] = {}
        self._types: dict[str, etree._Element] = {}
        self._files: set[Path] = set()
        self._load(root)
        self._made: dict[str, Element] = {}

    def element(self, name: str) -> Element:
        """The global element of this name ({namespace}name)."""
        if name not in self._made:
            self._made[name] = self._element(self._elements[name])
        return self._made[name]

    def _load(self, path: Path) -> None:
        if path in self._files:
            return
        self._files.add(path)
        schema = etree.parse(path, etree.XMLParser(remove_comments=True)).getroot()
        for node in schema:
            match etree.QName(node).localname:
                case "import":
                    self._load((path.parent / node.get("schemaLocation")).resolve())
                case "element":
                    self._elements[f"{{{schema.get('targetNamespace')}}}{node.get('name')}"] = node
                case "complexType" | "simpleType":
                    self._types[f"{{{schema.get('targetNamespace')}}}{node.get('name')}"] = node
                case other:
                    raise NotImplementedError(other)

    def _element(self, node: etree._Element) -> Element:
        if node.get("ref"):
            return self.element(named(node, "ref"))
        namespace, name = node.getroottree().getroot().get("targetNamespace"), node.get("name")
        if node.get("type"):
            kind = named(node, "type")
            if kind.startswith(f"{{{XS}}}"):
                return Element(namespace, name, value=Value(etree.QName(kind).localname))
            definition = self._types[kind]
        else:
            (definition,) = node
        if etree.QName(definition).localname == "simpleType":
            return Element(namespace, name, value=self._value(definition))
        (inside,) = definition
        if etree.QName(inside).localname != "simpleContent":
            return Element(namespace, name, content=self._particle(inside))
        (extension,) = inside
        return Element(
            namespace,
            name,
            value=self._value_named(named(extension, "base")),
            attributes=tuple((each.get("name"), self._value_named(named(each, "type"))) for each in extension),
        )

    def _value_named(self, name: str) -> Value:
        if name.startswith(f"{{{XS}}}"):
            return Value(etree.QName(name).localname)
        return self._value(self._types[name])

    def _value(self, definition: etree._Element) -> Value:
        (restriction,) = definition
        value = self._value_named(named(restriction, "base"))
        for facet in restriction:
            told = facet.get("value")
            match etree.QName(facet).localname:
                case "enumeration":
                    value = replace(value, enumeration=(*value.enumeration, told))
                case "pattern":
                    value = replace(value, patterns=value.patterns + 1)
                case "length":
                    value = replace(value, shortest=int(told), longest=int(told))
                case "minLength":
                    value = replace(value, shortest=int(told))
                case "maxLength":
                    value = replace(value, longest=int(told))
                case other:
                    raise NotImplementedError(other)
        return value

    def _particle(self, node: etree._Element) -> Particle:
        kind = etree.QName(node).localname
        least, most = int(node.get("minOccurs", "1")), node.get("maxOccurs", "1")
        element, parts = None, ()
        if kind == "element":
            element = self._element(node)
            names = demanded = frozenset({element.name})
        elif kind == "sequence":
            parts = tuple(self._particle(child) for child in node)
            names = frozenset().union(*(part.names for part in parts))
            demanded = frozenset().union(*(part.demanded for part in parts))
        elif kind == "choice":
            parts = tuple(self._particle(child) for child in node)
            names = frozenset().union(*(part.names for part in parts))
            demanded = frozenset.intersection(*(part.demanded for part in parts))
        else:
            raise NotImplementedError(kind)
        most = None if most == "unbounded" else int(most)
        return Particle(kind, least, most, parts, element, names, demanded if least else frozenset())


def named(node: etree._Element, attribute: str) -> str:
    """A QName in an attribute, as {namespace}name."""
    prefix, _, name = node.get(attribute).rpartition(":")
    return f"{{{node.nsmap[prefix or None]}}}{name}"


@cache
def contract() -> Contract:
    return Contract(SCHEMA)


# --- What is left to chance

TEXTS = ("Tekst", "x", "Sø & Søn <A/S>", "1", "Æ" * 60, "to\nlinjer", '"citat"', " ")
LETTERS = "ABCÆØÅ0123456789 "


class Chance:
    """Everything that means nothing: seed 0 leaves out all that may be left out, and spells plainly."""

    def __init__(self, seed: int = 0) -> None:
        self.random = Random(seed)
        self.plain = not seed

    def takes(self, of_hundred: int) -> bool:
        return not self.plain and self.random.randrange(100) < of_hundred

    def one_of(self, *choices: Any) -> Any:
        return choices[0] if self.plain else self.random.choice(choices)

    def padded(self, text: str) -> str:
        """A text with white space around it, where that says nothing."""
        if not self.takes(8):
            return text
        return self.one_of(" {}", "{} ", "\n  {}\n", "\t{}").format(text)

    def value(self, element: str, value: Value) -> str:
        """A text that the type takes, for the element or attribute of this name."""
        if element in MADE_UP:
            return self.one_of(*MADE_UP[element])
        if value.patterns:
            raise NotImplementedError(f"nobody can make up a text for {element}")
        if value.enumeration:
            return self.one_of(*value.enumeration)
        match value.built_in:
            case "string":
                longest = 300 if value.longest is None else value.longest
                if value.shortest == longest:
                    return "".join(self.one_of(*LETTERS) for _ in range(longest))
                fitting = [text for text in TEXTS if value.shortest <= len(text) <= longest]
                return self.one_of(*([""] * (not value.shortest)), *fitting)
            case "integer":
                return self.one_of("0", "17", "-3", "+202201", "0001", "100000014", "9" * 25)
            case "date":
                return self.one_of("2022-01-31", "2024-02-29Z", "1999-12-31-11:00", "12022-01-01")
            case "dateTime":
                return self.one_of("2022-01-31T08:30:00", "2022-01-31T23:59:59.123456Z", "2022-07-01T00:00:00+02:00")
            case other:
                raise NotImplementedError(f"nobody can make up an {other} for {element}")


# Texts of the types that have a pattern; the number is the one of nobody.
MADE_UP = {
    "PersonCivilRegistrationIdentifier": ("0000000000",),
    "DurationMeasure": ("P1M", "PT8H"),
    "LandKode": ("DK", "SWE", "208", "5100"),
}


# --- Writing


class Exactly(dict):
    """What stands in an element, and of what is not named only what the schema demands."""


@dataclass(frozen=True)
class Spelling:
    """How an answer is written: what its names look like, and where chance may play.

    `names` is where namespaces are declared: on the "envelope", on the "answer", the eIndkomst one as that element's
    "default", or on "each" element for itself.
    """

    names: str = "envelope"
    prefixes: str = "n{}"
    indent: bool = False
    declaration: bool = True
    header: bool = False
    comments: bool = False


PLAIN = Spelling()


class Written(bytes):
    """An answer that shows no more of itself than a person would read."""

    def __repr__(self) -> str:
        shown = super().__repr__()
        return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}… ({len(self)} bytes)"


# Hypothesis warns of an example that takes more than 30,000 characters to show.
SHOWN = 20_000


class Writer:
    def __init__(self, spelling: Spelling, chance: Chance) -> None:
        self._spelling = spelling
        self._chance = chance
        self._prefixes: dict[str, str] = {}
        self._out: list[str] = []

    def envelope(self, element: Element, plan: Mapping[str, Any]) -> bytes:
        self._element(element, plan, self._chance)
        content = "".join(self._out)
        declared = "".join(f' xmlns:{prefix}="{uri}"' for uri, prefix in self._prefixes.items() if uri != SOAP)
        on_envelope = declared if self._spelling.names == "envelope" else ""
        content = content.replace(" DECLARED", "" if on_envelope else declared, 1)
        if self._spelling.names == "each":
            tag, own = "{}", f' xmlns="{SOAP}"'
        else:
            tag, own = "soap:{}", f' xmlns:soap="{SOAP}"'
        body, outermost = tag.format("Body"), tag.format("Envelope")
        header = f"<{tag.format('Header')}/>" if self._spelling.header else ""
        declaration = '<?xml version="1.0" encoding="UTF-8"?>\n' if self._spelling.declaration else ""
        written = f"{declaration}<{outermost}{own}{on_envelope}>{header}<{body}>{content}</{body}></{outermost}>"
        return Written(written, "utf-8")

    def _tag(self, element: Element) -> tuple[str, str]:
        """An element's name as it is written, and the declarations that go with it."""
        if self._spelling.names == "each":
            return element.name, f' xmlns="{element.namespace}"'
        outermost = "" if self._out else " DECLARED"
        if self._spelling.names == "default" and element.namespace == EINDKOMST:
            return element.name, f' xmlns="{EINDKOMST}"{outermost}' if outermost else ""
        if element.namespace not in self._prefixes:
            self._prefixes[element.namespace] = self._spelling.prefixes.format(len(self._prefixes))
        return f"{self._prefixes[element.namespace]}:{element.name}", outermost

    def _element(self, element: Element, plan: Any, chance: Chance) -> None:
        tag, declared = self._tag(element)
        attributes = "".join(f" {name}={quoteattr(chance.value(name, value))}" for name, value in element.attributes)
        self._out.append(f"<{tag}{declared}{attributes}>")
        if element.content is None:
            self._out.append(self._text(chance.value(element.name, element.value) if plan is None else plan, chance))
        else:
            plan = {} if plan is None else plan
            chance = plan.get(CHANCE, chance)
            unknown = plan.keys() - element.content.names - {CHANCE}
            if unknown:
                raise KeyError(f"{element.name} has no {sorted(unknown)}")
            for child, inside in arranged(element.content, plan, chance):
                if self._spelling.indent:
                    self._out.append("\n ")
                if self._spelling.comments and chance.takes(10):
                    self._out.append("<!-- ord -->")
                self._element(child, inside, chance)
        self._out.append(f"</{tag}>")

    def _text(self, text: str, chance: Chance) -> str:
        if text and chance.takes(3):
            return f"<![CDATA[{text}]]>"
        if text and chance.takes(3):
            return f"&#{ord(text[0])};{escape(text[1:])}"
        if text and self._spelling.comments and chance.takes(10):
            return f"{escape(text[:1])}<!-- ord -->{escape(text[1:])}"
        return escape(text)


# The key of a plan under which the chance for all that is in the element stands.
CHANCE = " chance"


def arranged(particle: Particle, plan: Mapping[str, Any], chance: Chance) -> Iterator[tuple[Element, Any]]:
    """What stands in an element, in the schema's order, and what is planned for each.

    A plan names elements: a list has one plan for each that is written, be it as many as the schema takes or not. What
    it does not name is written where it is demanded, and otherwise left to chance.
    """
    planned = plan.keys() & particle.names
    if particle.element is not None:
        yield from _occurrences(particle.element, plan, times(particle, plan, chance))
    elif not planned:
        for _ in range(times(particle, plan, chance)):
            parts = particle.parts if particle.kind == "sequence" else [chance.one_of(*particle.parts)]
            for part in parts:
                yield from arranged(part, plan, chance)
    elif particle.kind == "sequence":
        for part in particle.parts:
            yield from arranged(part, plan, chance)
    elif particle.most is None:
        several = [item for part in particle.parts if part.names & planned for item in arranged(part, plan, chance)]
        if not chance.plain:
            chance.random.shuffle(several)
        yield from several
    else:
        fitting = [part for part in particle.parts if planned <= part.names and part.demanded <= planned]
        nearest = [part for part in particle.parts if planned & part.names]
        yield from arranged((fitting or nearest)[0], plan, chance)


def _occurrences(element: Element, plan: Mapping[str, Any], unplanned: int) -> list[tuple[Element, Any]]:
    inside = plan.get(element.name, [None] * unplanned)
    return [(element, each) for each in (inside if isinstance(inside, list) else [inside])]


def times(particle: Particle, plan: Mapping[str, Any], chance: Chance) -> int:
    """How many of something that no plan names."""
    count = particle.least
    if not isinstance(plan, Exactly) and chance.takes(30):
        count += 1
    return count if particle.most is None else min(count, particle.most)


# --- An answer by hand


@dataclass(frozen=True)
class Form:
    """A form: its number, its fields as (three digits, text), and the forms below it."""

    number: str
    fields: tuple[tuple[str, str], ...]
    under: tuple["Form", ...] = ()


@dataclass(frozen=True)
class Report:
    """A report of the company `se`; None leaves an element out, `forms=None` all of AngivelseBlanketIndholdStruktur."""

    se: str
    own_id: str | None
    start: str | None
    duration: str | None
    end: str | None
    forms: tuple[Form, ...] | None
    seed: int = 0


@dataclass(frozen=True)
class Person:
    """What an answer has of one CPR number: reports by company, of which the same may come more than once."""

    cpr: str
    companies: tuple[tuple[Report, ...], ...]


def form(number: str, fields: Mapping[str, str] | Iterable[tuple[str, str]] = (), *under: Form) -> Form:
    """A form with these fields, by their three last digits. Fields as pairs may come twice."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    return Form(number, tuple(pairs), under)


def statement_form(
    kind: str | None = "I",
    income_type: str | None = "0",
    *under: Form,
    reporter: str | None = None,
    cvr: str | None = None,
    fields: Iterable[tuple[str, str]] = (),
) -> Form:
    """A form 11000; None leaves a field out."""
    told = [("001", reporter), ("006", cvr), ("011", kind), ("012", income_type)]
    return form("11000", [*((number, text) for number, text in told if text is not None), *fields], *under)


MARKER = form("16000", {"019": "0016", "021": "1"})


def report(
    se: str = "11111111",
    own_id: str | None = "A1",
    kind: str | None = "I",
    income_type: str | None = "0",
    start: str | None = "2022-01-01",
    end: str | None = "2022-01-31",
    *,
    duration: str | None = None,
    reporter: str | None = None,
    cvr: str | None = None,
    taken_back: bool = False,
    fields: Iterable[tuple[str, str]] = (),
    under: Sequence[Form] = (),
    forms: Sequence[Form] | None = None,
    without_forms: bool = False,
) -> Report:
    """A report with one form 11000, of January 2022, paid for work.

    `reporter` is field 001, `cvr` 006; `taken_back` adds a form 16000 whose 021 says so; `fields` are further ones of
    the form 11000 and `under` further forms below it. `forms` stand at level 1 instead. None leaves a part out.
    """
    below = [MARKER, *under] if taken_back else under
    made = [statement_form(kind, income_type, *below, reporter=reporter, cvr=cvr, fields=fields)]
    return Report(se, own_id, start, duration, end, None if without_forms else tuple(made if forms is None else forms))


def person(*reports: Report, cpr: str = CITIZEN) -> Person:
    """What an answer has of one number: neighbouring reports of one SE number are one company's."""
    companies: list[list[Report]] = []
    for each in reports:
        if not companies or companies[-1][0].se != each.se:
            companies.append([])
        companies[-1].append(each)
    return Person(cpr, tuple(tuple(company) for company in companies))


def answer(
    *content: Report | Person,
    cpr: str = CITIZEN,
    errors: Iterable[str | None] = (),
    advis: Iterable[str | None] = (),
    companies: bool = False,
    empty: bool = False,
    spelling: Spelling = PLAIN,
    seed: int = 0,
) -> bytes:
    """A whole SOAP envelope with these reports of `cpr`, or with these persons; without any it has no data.

    `errors` and `advis` are codes, None for a structure without one; `companies` is the other choice of
    `IndkomstPersonUddata`, and `empty` one with a person in it and no report.
    """
    reports = [each for each in content if isinstance(each, Report)]
    persons = [each for each in content if isinstance(each, Person)]
    if reports or empty:
        persons.append(person(*reports, cpr=cpr))
    plan = answer_plan(persons, errors, advis, companies=companies)
    outermost = contract().element(f"{{{EINDKOMST}}}IndkomstOplysningPersonHent_O")
    return Writer(spelling, Chance(seed)).envelope(outermost, plan)


def answer_plan(
    persons: Sequence[Person] = (),
    errors: Iterable[str | None] = (),
    advis: Iterable[str | None] = (),
    *,
    companies: bool = False,
) -> dict[str, Any]:
    content: Any = []
    if companies:
        content = {"IndkomstOplysningVirksomhedSamling": None}
    elif persons:
        structures = [person_plan(each) for each in persons]
        content = {"IndkomstOplysningPersonSamling": {"IndkomstOplysningPersonStruktur": structures}}
    return {
        "HovedOplysningerSvar": {
            "SvarStruktur": Exactly(
                FejlStruktur=[{"FejlIdentifikator": [] if code is None else code} for code in errors],
                AdvisStruktur=[{"AdvisIdentifikator": [] if code is None else code} for code in advis],
            )
        },
        "IndkomstPersonUddata": content,
    }


def person_plan(person: Person) -> dict[str, Any]:
    return {
        "PersonCivilRegistrationIdentifier": person.cpr,
        "IndkomstOplysningSamling": {
            "IndberetningPligtigVirksomhed": [
                {
                    "IndberetningPligtigVirksomhedStruktur": {
                        "IndberetningPligtigVirksomhed": {"VirksomhedSENummerIdentifikator": company[0].se}
                    },
                    "IndkomstLoenPeriodeSamling": {
                        "LoenPeriodeOplysningStruktur": [report_plan(report) for report in company]
                    },
                }
                for company in person.companies
            ]
        },
    }


def report_plan(report: Report) -> dict[str, Any]:
    interval = {"StartDate": report.start, "DurationMeasure": report.duration, "EndDate": report.end}
    told = Exactly({name: text for name, text in interval.items() if text is not None})
    chance = Chance(report.seed)
    return {
        CHANCE: chance,
        "AngivelseVirksomhedEgenIdentifikator": [] if report.own_id is None else report.own_id,
        "AngivelsePeriodeStruktur": {"AngivelsePeriode": told or Exactly(StartDate=[])},
        "AngivelseBlanketIndholdStruktur": []
        if report.forms is None
        else {"AngivelseOplysningSamling": {"AngivelseNiveau1": [form_plan(each, 1, chance) for each in report.forms]}},
    }


def form_plan(form: Form, level: int, chance: Chance) -> dict[str, Any]:
    plan: dict[str, Any] = {
        "BlanketNummerIdentifikator": chance.padded(form.number),
        "AngivelseFeltSamling": {
            "AngivelseFeltIndholdStruktur": [
                {
                    "BlanketFeltEnhedStruktur": {
                        "BlanketFeltNummerIdentifikator": chance.padded(f"1{number:0>17}"),
                        "FeltEnhedTypeKode": "100000014",
                    },
                    "AngivelseFeltIndholdTekst": chance.padded(text),
                }
                for number, text in form.fields or [("016", "202201")]
            ]
        },
    }
    if level < 4 or form.under:
        plan["UnderAngivelseSamling"] = {
            f"AngivelseNiveau{level + 1}": [form_plan(below, level + 1, chance) for below in form.under]
        }
    return plan


# --- Any answer

# Leading zeros and letters are easily lost; the unreadable ones are eight characters long only with the space.
SE_NUMBERS = ("11111111", "01234567", "22222222", "12345678", "ABCDEFGH", "ÆBCDEFGH")
SE_NUMBERS_UNREADABLE = ("1234567 ", "\t222222\n", "        ")
WORK = ("0", "3", "8", "9", "00", "09", "000000003")
NOT_WORK = ("1", "2", "4", "5", "6", "7", "10", "11", "20", "24", "26", "28", "29", "01", "007", "000000029")
UNKNOWN = ("12", "19", "99", "123456789", "030")
UNREADABLE_TYPES = (None, "", " ", "x", "-1", "+3", "0000000003", "٣", "3.0", "0 0", "0x3")
UNREADABLE_KINDS = (None, "", " ", "i", "t", "X", "IT", "I T")
CVR_NUMBERS = (
    None,
    "",
    "11111111",
    "22222222",
    "12345678",
    "1234567",
    "01234567",
    "00000000",
    "0",
    "123456789",
    "x",
    "١٢٣٤٥٦٧٨",
)
DURATIONS = (
    "P1M",
    "P30D",
    "P14D",
    "P1D",
    "PT8H",
    "PT0S",
    "P0Y",
    "P1Y2M3DT4H",
    "P1DT12H",
    "P2M",
    "P11M31DT23H59M59.5S",
    "P1Y",
)
# What the rules make of the years' bounds.
EDGES = (
    ("9999-12-31", None, None),
    (None, None, "9999-12-15"),
    ("9999-12-01", "P1M", None),
    ("9999-12-15", "P1M", None),
    (None, "P1M", "9999-12-31"),
    ("9999-11-01", None, "9999-12-31"),
    ("0001-01-01", None, "0001-01-31"),
    (None, "P1M", "0001-01-31"),
    (None, "P1M", "0001-01-15"),
    (None, "P2Y", "0002-06-30"),
    ("12022-01-01", None, None),
    ("2022-01-01", None, "12022-01-31"),
    ("-0044-03-15", None, "2022-01-31"),
    ("2022-01-01", "P1000Y", None),
    ("2022-01-01", "P9000Y", None),
    (None, "P3000Y", "2022-01-31"),
)
# Months around which one month more or less is easily got wrong: the ends of Februaries, and of a year.
FIRST_MONTHS = ((2021, 11), (2023, 11), (2099, 11), (1999, 12))
DAYS = (1, 2, 15, 27, 28, 29, 30, 31)
ADVIS_CODES = ("17", "18", "0017")
# Several errors of one answer mean the same here: which of different ones counts, no rule says.
ERRORS = (
    ["2000"],
    ["02000", "490"],
    ["1000"],
    ["500"],
    ["300"],
    ["+300", "300"],
    ["410"],
    ["17"],
    ["0", "-2000"],
    ["9" * 30],
)
ZONES = ("", "", "Z", "+01:00", "+02:00", "-11:00", "+14:00")
# Neither what is read nor what it could be taken for in the place where it stands.
OTHER_FIELDS = (
    ("016", "202201"),
    ("151", "1"),
    ("009", "2022-02-01-08.00.00.000000"),
    ("014", "B"),
    ("111", "T"),
    ("021", "1"),
)
BELOW_FIELDS = (("019", "0016"), ("020", "1000000001"), ("011", "T"), ("012", "1"), ("006", "33333333"), ("150", ""))
NO_MARKERS = ("0", "", "01", "2", "11", "true", "I")


@dataclass(frozen=True)
class Span:
    """A period before it is written: a shape, and a month that can be moved."""

    shape: str
    month: int
    day: int = 1
    days: int = 0
    duration: str = "P1M"
    edge: int = 0
    dates: tuple[date | None, date | None] = (None, None)

    def written(self, chance: Chance) -> tuple[str | None, str | None, str | None]:
        """Start, duration and end, as the schema has them."""
        first, last = in_month(self.month, 1), in_month(self.month, 31)
        day = in_month(self.month, self.day)
        start, duration, end = {
            "month": (first, None, last),
            "month from": (first, "P1M", None),
            "month until": (None, "P1M", last),
            "start": (day, None, None),
            "end": (None, None, day),
            "days": (day, None, day + timedelta(days=self.days)),
            "for": (day, self.duration, None),
            "until": (None, self.duration, day),
            "backwards": (day, None, day - timedelta(days=self.days + 1)),
            "negative": (day, f"-{self.duration}", None),
            "edge": EDGES[self.edge],
            "dates": (self.dates[0], None, self.dates[1]),
        }[self.shape]
        return zoned(start, chance), duration, zoned(end, chance)


SAME_MONTH = ("month", "month from", "month until", "start", "end")
SHAPES = (*SAME_MONTH, *["month"] * 3, *["days"] * 6, *["for"] * 3, *["until"] * 3)


def in_month(month: int, day: int) -> date:
    """A day of a month (years times twelve and months from nought), or the month's last."""
    year, index = divmod(month, 12)
    following = date(year + (index == 11), (index + 1) % 12 + 1, 1)
    return min(date(year, index + 1, 1) + timedelta(days=day - 1), following - timedelta(days=1))


def zoned(day: date | str | None, chance: Chance) -> str | None:
    return None if day is None else f"{day}{chance.one_of(*ZONES)}"


@dataclass(frozen=True)
class Draft:
    """A report before it is written."""

    se: str
    own_id: str
    span: Span
    kind: str | None
    income_type: str | None
    reporter: str | None
    cvr: str | None
    marked: bool
    oddity: str
    seed: int

    def report(self) -> Report:
        chance = Chance(self.seed)
        start, duration, end = self.span.written(chance)
        own_id = "" if self.oddity == "no own id" else self.own_id
        if self.oddity == "no forms":
            return Report(self.se, own_id, start, duration, end, None, self.seed)
        forms = [self._form(chance)]
        if self.oddity == "empty forms":
            forms = []
        elif self.oddity == "other forms":
            forms = [replace(forms[0], number=chance.one_of("16000", "11001", "1100", "011000"))]
        elif self.oddity == "two forms":
            forms.append(replace(self, income_type=chance.one_of("0", "1", "3"), marked=False)._form(chance))
        elif self.oddity == "one of two":
            forms.append(replace(self, income_type=chance.one_of("x", "", "-1"))._form(chance))
        if chance.takes(10):
            forms.insert(0, form("16000", {"011": "T", "012": "0", "021": "1"}))
        return Report(self.se, own_id, start, duration, end, tuple(forms), self.seed)

    def _form(self, chance: Chance) -> Form:
        fields = [each for each in OTHER_FIELDS if chance.takes(25)]
        if self.oddity == "said twice":
            fields.append(("012", self.income_type or ""))
        elif self.oddity in {"001", "006", "011", "012"}:
            fields.append((self.oddity, "en anden tekst"))
        statement = statement_form(self.kind, self.income_type, reporter=self.reporter, cvr=self.cvr, fields=fields)
        shuffled = list(statement.fields)
        if not chance.plain:
            chance.random.shuffle(shuffled)
        return replace(statement, fields=tuple(shuffled), under=tuple(self._below(chance)))

    def _below(self, chance: Chance) -> Iterator[Form]:
        """Forms at level 2: one says that the report was taken back if it was, and the rest say it in wrong places."""
        if self.oddity == "021":
            yield form("16000", [("021", "1"), ("021", "0")])
        if chance.takes(25):
            fields = [each for each in BELOW_FIELDS if chance.takes(40)]
            deepest = form("16000", {"021": "1", "096": "160.33"})
            third = form(
                chance.one_of("16001", "16000", "11000"), {"021": "1", "011": "I"}, *[deepest] * chance.takes(40)
            )
            yield form("16000", [("021", chance.one_of(*NO_MARKERS)), *fields], *[third] * chance.takes(60))
        if self.marked:
            yield form("16000", [("019", "0016"), ("021", "1"), *[("021", "1")] * chance.takes(20)])
        if chance.takes(15):
            yield form(chance.one_of("16001", "11000", "16200"), {"011": "I", "012": "0", "021": "1"})


ODDITIES = (
    *[
        "no forms",
        "no forms",
        "no own id",
        "empty forms",
        "other forms",
        "two forms",
        *["one of two"] * 3,
        "said twice",
    ],
    *["001", "006", "011", "012", "021"],
)


@st.composite
def _spans(draw: st.DrawFn, months: st.SearchStrategy[int]) -> Span:
    month = draw(months)
    if draw(st.integers(0, 19)) == 19:
        return Span(
            draw(st.sampled_from(["edge", "edge", "edge", "backwards", "negative"])),
            month,
            edge=draw(st.sampled_from(range(len(EDGES)))),
        )
    shape = draw(st.sampled_from(["month", *SHAPES]))
    return Span(
        shape,
        month,
        day=1 if shape.startswith("month") else draw(st.sampled_from(DAYS)),
        days=draw(st.sampled_from([0, 1, 13, 27, 28, 29, 30, 31, 60])) if shape == "days" else 0,
        duration=draw(st.sampled_from(DURATIONS)) if shape in {"for", "until"} else "P1M",
    )


@st.composite
def _drafts(draw: st.DrawFn, own_id: str, numbers: Sequence[str], months: st.SearchStrategy[int]) -> Draft:
    se = draw(st.sampled_from(numbers))
    turn = draw(st.integers(0, 19))
    kind, income_type, oddity = "I", draw(st.sampled_from(WORK[:2] * 3 + WORK)), ""
    if turn >= 17:
        income_type = draw(st.sampled_from(NOT_WORK + UNKNOWN * 2))
    elif turn in {12, 16}:
        oddity = draw(st.sampled_from(ODDITIES))
    elif turn == 15:
        kind = draw(st.sampled_from(UNREADABLE_KINDS))
    elif turn == 14:
        income_type = draw(st.sampled_from(UNREADABLE_TYPES))
    elif turn == 13:
        kind = "T"
    return Draft(
        se=se,
        own_id=own_id,
        span=draw(_spans(months)),
        kind=kind,
        income_type=income_type,
        reporter=draw(st.sampled_from([None, None, "", se, se.lstrip("0"), "99999999", "22222222"])),
        cvr=draw(st.sampled_from([None, None, se, *CVR_NUMBERS])),
        marked=draw(st.integers(0, 9)) == 9,
        oddity=oddity,
        seed=draw(st.integers(0, 1 << 16)),
    )


def _said_anew(draw: st.DrawFn, of: Draft, own_id: str, kind: str) -> Draft:
    """A report of the same company, period and type, which it may spell otherwise."""
    said = replace(of, own_id=own_id, kind=kind, marked=False, oddity="", seed=draw(st.integers(0, 1 << 16)))
    if said.span.shape in SAME_MONTH:
        shape = draw(st.sampled_from(SAME_MONTH))
        said = replace(said, span=replace(said.span, shape=shape, day=draw(st.sampled_from(DAYS))))
    if said.income_type in WORK:
        alike = [each for each in WORK if int(each) == int(said.income_type)]
        said = replace(said, income_type=draw(st.sampled_from(alike)))
    return said


REVERSALS = (
    "id",
    "id of another period",
    "id of no work",
    "period",
    "period",
    "another company's",
    "void",
    "other type",
)


def _reversal(draw: st.DrawFn, of: Draft, own_id: str) -> Draft:
    """A T-report that names a report by its own id, or by period and type, or does neither quite."""
    reversal = replace(_said_anew(draw, of, own_id, "T"), reporter=None)
    moved = replace(reversal.span, month=reversal.span.month + 1)
    match draw(st.sampled_from(REVERSALS)):
        case "id":
            return replace(reversal, own_id=of.own_id)
        case "id of another period":
            return replace(reversal, own_id=of.own_id, span=moved, income_type=draw(st.sampled_from(WORK)))
        case "id of no work":
            return replace(reversal, own_id=of.own_id, income_type=draw(st.sampled_from(NOT_WORK + UNKNOWN)))
        case "another company's":
            return replace(reversal, own_id=of.own_id, se="33333333")
        case "void":
            return replace(reversal, span=moved)
        case "other type":
            return replace(reversal, income_type=draw(st.sampled_from(WORK + NOT_WORK)))
        case _:
            return reversal


def _alike(draw: st.DrawFn, se: str, month: int) -> list[Draft]:
    """Reports that a reversal by period cannot tell apart, and reversals that may be of any of them."""
    shape, sort = draw(st.sampled_from(SAME_MONTH)), draw(st.sampled_from(WORK[:4]))
    first = Draft(se, "S5", Span(shape, month), "I", sort, None, None, marked=False, oddity="", seed=0)
    alike = [
        replace(
            _said_anew(draw, first, own_id, "I"),
            marked=draw(st.integers(0, 2)) == 2,
            reporter=draw(st.sampled_from([None, None, None, "99999999"])),
            cvr=draw(st.sampled_from(["22222222", "33333333", "44444444", None])),
        )
        for own_id in draw(st.permutations(["S5", "S4", "S3", "S2"]))[: draw(st.integers(2, 4))]
    ]
    names = st.sampled_from(["A", "T", "X", "Z", *(each.own_id for each in alike)])
    return [*alike, *(_said_anew(draw, first, draw(names), "T") for _ in range(draw(st.integers(1, 3))))]


def _parted(draw: st.DrawFn, of: Draft, month: int) -> list[Draft]:
    """Two periods of one employer with about a month between them."""
    last = in_month(month, draw(st.sampled_from(DAYS)))
    free = last + timedelta(days=1)
    later = in_month(free.year * 12 + free.month, free.day) + timedelta(days=draw(st.sampled_from([0, 1, -1, 2])))
    common = replace(of, kind="I", income_type="0", marked=False, oddity="")
    return [
        replace(common, own_id="P1", span=Span("dates", month, dates=(last - timedelta(days=3), last))),
        replace(common, own_id="P2", span=Span("dates", month, dates=(later, later + timedelta(days=3)))),
    ]


def _reports(draw: st.DrawFn, *, many: bool) -> list[Draft]:
    year, month = draw(st.sampled_from(FIRST_MONTHS))
    months = st.integers(0, 7).map(lambda later: year * 12 + month - 1 + later)
    numbers = draw(st.lists(st.sampled_from(SE_NUMBERS), min_size=1, max_size=3, unique=True))
    if draw(st.integers(0, 9)) == 9:
        numbers.append(draw(st.sampled_from(SE_NUMBERS_UNREADABLE)))
    count = draw(st.integers(1, 4 if many else 8))
    drafts = [draw(_drafts(f"R{index}", numbers, months)) for index in range(count)]
    if many:
        # With what is added below, no more than 300.
        total, step = draw(st.integers(20, 290)), draw(st.sampled_from([0, 1, 1, 2, 3]))
        drafts = [
            replace(
                template,
                own_id=f"R{index}",
                span=replace(template.span, month=template.span.month + step * (index // count)),
                # Where chance plays at all, each of the many is played anew.
                seed=template.seed and template.seed + index,
            )
            for index, template in ((index, drafts[index % count]) for index in range(total))
        ]
    originals = st.sampled_from(range(len(drafts)))
    for number in range(draw(st.integers(0, 4))):
        of = drafts[draw(originals)]
        if draw(st.integers(0, 9)) == 9:
            # An id that is there twice.
            drafts.append(replace(of, span=replace(of.span, month=of.span.month + 1)))
        else:
            drafts.append(_reversal(draw, of, f"T{number}"))
    extra = draw(st.sampled_from(["", "alike", "alike", "parted"]))
    if extra == "alike":
        drafts += _alike(draw, draw(st.sampled_from(numbers)), draw(months))
    if extra == "parted":
        drafts += _parted(draw, drafts[draw(originals)], draw(months))
    return drafts


def _persons(drafts: Sequence[Draft], cprs: Sequence[str], chance: Chance) -> list[Person]:
    """Reports dealt to persons' structures and, within each, to companies that may come more than once."""
    dealt: list[list[Draft]] = [[] for _ in cprs]
    for index, draft in enumerate(drafts):
        dealt[index if index < len(cprs) else chance.one_of(*range(len(cprs)))].append(draft)
    persons = []
    for cpr, own in zip(cprs, dealt, strict=True):
        companies: list[list[Report]] = []
        for draft in own:
            written = draft.report()
            home = [company for company in companies if company[0].se == written.se]
            if home and not chance.takes(20):
                home[-1].append(written)
            else:
                companies.append([written])
        if companies:
            persons.append(Person(cpr, tuple(tuple(company) for company in companies)))
    return persons


@st.composite
def _spellings(draw: st.DrawFn, *, large: bool, comments: bool) -> Spelling:
    return Spelling(
        # Declared on each element, a large answer would be mostly namespaces.
        names=draw(st.sampled_from(["envelope", "answer", "default", *(() if large else ("each",))])),
        prefixes=draw(st.sampled_from(["n{}", "ns{}", "_{}.x", "A-{}", "soap{}"])),
        indent=draw(st.booleans()),
        declaration=draw(st.booleans()),
        header=draw(st.booleans()),
        comments=comments and draw(st.booleans()),
    )


@st.composite
def answers(draw: st.DrawFn, cpr: str = CITIZEN, *, failures: bool = True, comments: bool = False) -> bytes:
    """Any answer for `cpr` that the schema takes: a whole SOAP 1.1 envelope, of 1 to 300 reports where it has any.

    With `failures` one in three is an error, an advis, another person's, the companies' choice, filtered by the
    agreement, or empty. Without, each has reports of `cpr` and of nobody else, and no FejlStruktur; that none of its
    reports can be read is rare and may be. Codes of an advis are 17 or 18. With `comments` some have comments between
    elements and within texts.
    """
    kinds = ["some"] * 10 + ["many"] * 3
    if failures:
        kinds += ["errors", "errors", "nothing", "advis", "companies", "stranger", "filtered"]
    kind = draw(st.sampled_from(kinds))
    seed = draw(st.integers(0, 1 << 16))
    chance = Chance(seed)
    advis = draw(st.lists(st.sampled_from(ADVIS_CODES), max_size=2)) if draw(st.integers(0, 9)) == 9 else []
    errors: list[str] = []
    drafts: list[Draft] = []
    cprs = [cpr] * draw(st.sampled_from([1, 1, 1, 2, 3]))
    if kind == "errors":
        errors = draw(st.sampled_from(ERRORS))
    if kind == "advis":
        advis = draw(st.lists(st.sampled_from(ADVIS_CODES), min_size=1, max_size=2))
    if kind in {"some", "many", "stranger", "filtered"} or (kind == "errors" and draw(st.booleans())):
        drafts = _reports(draw, many=kind == "many")
    if kind == "filtered":
        drafts = [_filtered(draw, each) for each in drafts]
    persons = _persons(drafts, cprs, chance)
    if kind == "stranger":
        place = draw(st.integers(0, len(persons) - 1))
        persons[place] = replace(persons[place], cpr=draw(st.sampled_from([STRANGER, "0000000000"])))
    return answer(
        *persons,
        errors=errors,
        advis=advis,
        companies=kind == "companies",
        spelling=draw(_spellings(large=len(drafts) > 20, comments=comments)),
        seed=seed,
    )


def _filtered(draw: st.DrawFn, draft: Draft) -> Draft:
    """A report of which the agreement lets nothing through that can be read."""
    match draw(st.sampled_from(["no kind", "no kind", "no kind", "empty kind", "neither", "no forms", "no type"])):
        case "no kind":
            return replace(draft, kind=None, oddity="")
        case "empty kind":
            return replace(draft, kind=" ", oddity="")
        case "neither":
            return replace(draft, kind=None, income_type=None, oddity="")
        case "no forms":
            return replace(draft, oddity="no forms")
        case _:
            return replace(draft, income_type=None, oddity="")
