"""Expectations of IndkomstOplysningPersonHent: the published tree along the paths that the parsing follows.

What the parsing reads comes from its own names (`wire.py`, `report_parsing.py`, `xml_names.py`); beside it stand the
published elements that it leaves alone, so that one which is in neither shows. Fields of forms are the likely ones of
municipalities' clients.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from re import compile as pattern
from typing import Any, Final

from lxml.etree import _Element as Element

from domain.rules import DEFAULT_RULES
from registerbro.conformance.comparison import shown_code
from registerbro.conformance.expectations import (
    Asked,
    Assumption,
    Evidence,
    Expected,
    Form,
    Mark,
    Node,
    Operation,
    SignatureSeen,
    Verdict,
)
from registerbro.conformance.xml_shape import along, node, steps
from registerbro.upstreams.errors import CallFailed, InvalidResponse
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.pipeline import Exchange
from registerbro.upstreams.ws_security import Security, algorithms_in
from workers.eindkomst import question as questions
from workers.eindkomst import report_parsing as parsing
from workers.eindkomst import wire
from workers.eindkomst.client import HEADERS, Months
from workers.eindkomst.reports import REPORTED, REVERSED, Reports
from workers.eindkomst.xml_names import CLASS, CPR, EINDKOMST, KONTEKST, PERSON_IDENTIFIER, SOAP, text_of

_LEVELS: Final = tuple(f"{EINDKOMST}AngivelseNiveau{level}" for level in (1, 2, 3, 4))
_FIELDS: Final = (f"{EINDKOMST}AngivelseFeltSamling", f"{EINDKOMST}AngivelseFeltIndholdStruktur")
_BELOW: Final = f"{EINDKOMST}UnderAngivelseSamling"
_CODED: Final = {
    (parsing.INCOME, parsing.KIND): frozenset({REPORTED, REVERSED}),
    (parsing.INCOME, parsing.INCOME_TYPE): frozenset(
        spelled for row in DEFAULT_RULES.income_types.rows for spelled in (str(row.key), f"{row.key:02}")
    ),
    (parsing.EARNINGS, parsing.MARKED): frozenset({"0", "1"}),
}
"""Form and field → the values that are known."""
_PLAIN: Final = ((parsing.INCOME, parsing.REPORTER), (parsing.INCOME, parsing.REPORTERS_CVR))
_FORM_NUMBER, _FIELD_NUMBER, _UNIT = pattern(r"1\d{4}"), pattern(r"10{14}\d{3}"), pattern(r"10{5}\d{3}")
_SHORT_CODE = pattern(r"[IT]|\d{1,2}")


def _expected() -> Expected:
    """The envelope. An element that is required is so within what it stands in."""
    root = Expected("Envelope", Form.OBJECT, is_required=True, namespace=SOAP[1:-1])
    root = _with(root, f"{SOAP}Header", is_open=True, is_required=False)
    outcome = (*wire.CONTENT, *wire.OUTCOME)
    root = _with(root, *outcome, form=Form.OBJECT)
    for kind in ("Advis", "Fejl"):
        structure = (*outcome, f"{KONTEKST}{kind}Struktur")
        root = _with(root, *structure, form=Form.OBJECT, is_required=False)
        root = _with(root, *structure, f"{KONTEKST}{kind}Identifikator", form=Form.INTEGER, keeps=pattern(r"\d{1,5}"))
        root = _with(root, *structure, f"{KONTEKST}{kind}Tekst", form=Form.TEXT, is_required=False)
    for name, form in (
        ("TransaktionIdentifikator", Form.TEXT),
        ("ServiceIdentifikator", Form.TEXT),
        ("TransaktionTid", Form.DATE_TIME),
    ):
        root = _with(root, *outcome[:-1], f"{KONTEKST}{name}", form=form, is_required=False)
    root = _with(root, *wire.CONTENT, _PERSONS[0], form=Form.OBJECT, is_required=False)
    person = (*wire.CONTENT, *_PERSONS)
    root = _with(root, *person, form=Form.OBJECT)
    root = _with(root, *person, CPR + PERSON_IDENTIFIER, form=Form.TEXT)
    root = _with(root, *person, _REFERENCE, form=Form.TEXT, is_required=False)
    company = (*person, parsing.COMPANIES)
    root = _with(root, *company, *parsing.SE_NUMBER, form=Form.TEXT)
    report = (*company, parsing.REPORTS)
    root = _with(root, *report, parsing.OWN_ID, form=Form.TEXT)
    for tag, form in (
        (parsing.PERIOD_START, Form.DATE), (parsing.PERIOD_END, Form.DATE), (parsing.PERIOD_DURATION, Form.DURATION),
    ):  # fmt: skip
        root = _with(root, *report, *parsing.PERIOD, form=Form.OBJECT)
        root = _with(root, *report, *parsing.PERIOD, tag, form=form, is_required=False)
    for tag, form in _UNREAD:
        root = _with(root, *report, tag, form=form, is_required=False, is_open=form is Form.OBJECT)
    root = _with(root, *report, parsing.FORMS[0], form=Form.OBJECT, is_required=False)
    root = _with(root, *report, *parsing.FORMS, form=Form.OBJECT)
    return _with_levels(root, (*report, *parsing.FORMS))


_REFERENCE: Final = (
    CLASS.format("indkomstoplysningadgangreferencenummer") + "IndkomstOplysningAdgangReferenceNummerIdentifikator"
)
_PERSONS: Final = tuple(f"{{{namespace}}}{name}" for namespace, name in steps(wire.PERSONS))
_UNREAD: Final = (
    (CLASS.format("ansaettelseforhold") + "AnsaettelseforholdMedarbejderIdentifikator", Form.TEXT),
    (CLASS.format("indkomstpersongruppe") + "IndkomstPersonGruppeDispositionDato", Form.DATE),
    (f"{EINDKOMST}SupplerendePersonOplysningStruktur", Form.OBJECT),
)
"""Elements of a report that the schema has, and the parsing leaves alone."""


def _with_levels(root: Expected, at: tuple[str, ...]) -> Expected:
    for number, level in enumerate(_LEVELS, 1):
        at = (*at, level)
        root = _with(root, *at, form=Form.OBJECT, is_required=False)
        root = _with(root, *at, parsing.FORM_NUMBER, form=Form.TEXT, keeps=_FORM_NUMBER)
        root = _with(root, *at, *_FIELDS, *parsing.FIELD_NUMBER, form=Form.INTEGER, keeps=_FIELD_NUMBER)
        unit = CLASS.format("feltenhedtype") + "FeltEnhedTypeKode"
        root = _with(root, *at, *_FIELDS, parsing.FIELD_NUMBER[0], unit, form=Form.INTEGER, keeps=_UNIT)
        root = _with(root, *at, *_FIELDS, parsing.FIELD_TEXT, form=Form.TEXT)
        for form, field in (*_CODED, *_PLAIN):
            if (form == parsing.INCOME) == (number == 1) and number <= 2:
                root = _with(root, *at, _form_name(form), form=Form.OBJECT, mark=Mark.LIKELY, is_required=False)
                root = _with(
                    root, *at, _form_name(form), _field_name(field), mark=Mark.LIKELY, form=Form.TEXT,
                    codes=_CODED.get((form, field)), is_required=field in {parsing.KIND, parsing.INCOME_TYPE},
                )  # fmt: skip
        if number < len(_LEVELS):
            at = (*at, _BELOW)
            root = _with(root, *at, form=Form.OBJECT)
    return root


def _with(root: Expected, *path: str, is_required: bool = True, mark: Mark = Mark.PUBLISHED, **more: Any) -> Expected:  # noqa: ANN401 - the fields of Expected
    return along(root, *path, is_required=is_required, mark=mark, **more)


def _form_name(form: str) -> str:
    return f"form {form}"


def _field_name(field: str) -> str:
    return f"field {int(field[1:]):03}"


def _shape(answer: Answer) -> Node | None:
    """The nodes of an envelope, and in each form its fields by their numbers; None when it cannot be parsed."""
    try:
        return _with_fields(node(wire.parse(answer)))
    except CallFailed:
        return None


def _with_fields(one: Node) -> Node:
    parts = tuple(map(_with_fields, one.parts))
    number = next((part.text for part in parts if part.name == "BlanketNummerIdentifikator"), "")
    if number in {parsing.INCOME, parsing.EARNINGS} and one.name.startswith("AngivelseNiveau"):
        ours = {field for form, field in (*_CODED, *_PLAIN) if form == number}
        fields = [Node(_field_name(field), Form.TEXT, text) for field, text in _fields_of(parts) if field in ours]
        parts = (*parts, Node(_form_name(number), Form.OBJECT, parts=tuple(fields)))
    return replace(one, parts=parts)


def _fields_of(parts: Iterable[Node]) -> Iterable[tuple[str, str]]:
    """The numbers and texts of a form's own fields."""
    contents = [one for part in parts if part.name == "AngivelseFeltSamling" for one in part.parts]
    for content in contents:
        numbers = [
            one.text for unit in content.parts for one in unit.parts if one.name == "BlanketFeltNummerIdentifikator"
        ]
        texts = [one.text for one in content.parts if one.name == "AngivelseFeltIndholdTekst"]
        yield from zip(numbers, texts, strict=False)


async def _ask(asked: Asked) -> Reports | None:
    """The citizen's reports of the months that are asked for, in one question; None when there are none."""
    settings = asked.settings.eindkomst
    history = Months.between(settings.history_from, asked.today)
    if asked.months is not None:
        history = Months(max(history.first, history.last - asked.months + 1), history.last)

    def question(request_id: str) -> Question:
        body = questions.request(request_id, asked.cpr, settings, *history.days, secured=_security(asked))
        return Question("POST", asked.upstream.path, HEADERS, body)

    found = await asked.upstream.ask(
        Exchange(question, lambda answer: wire.read(answer, asked.cpr, settings, _security(asked)))
    )
    return found if found.read or found.left_out else None


def _security(asked: Asked) -> Security:
    return Security.of(asked.certificates, asked.settings.eindkomst) if asked.certificates else Security()


def _signature(asked: Asked, answer: Answer) -> SignatureSeen:
    try:
        envelope = wire.parse(answer)
    except CallFailed:
        return SignatureSeen((), None, "the answer cannot be parsed")
    secured, algorithms = _security(asked), algorithms_in(envelope)
    if secured.verifies_with is None:
        return SignatureSeen(algorithms, None, "not verified, since VERIFY_WITH is not set")
    if answer.status != 200 and not algorithms:
        return SignatureSeen(algorithms, None, "a refusal may be unsigned")
    expected = " or ".join(sorted(secured.accepts))
    try:
        secured.verify(envelope, datetime.now(UTC))
    except InvalidResponse as error:
        return SignatureSeen(algorithms, is_verified=False, detail=f"{error} (expected: {expected})")
    return SignatureSeen(algorithms, is_verified=True)


def is_code(element: Element) -> bool:
    """Whether an element's text is a code of a field or a fault, and nobody's own: a recording keeps it."""
    if element.tag == "faultcode":
        return (element.text or "").rpartition(":")[2].partition(".")[0] in wire.FAULTS
    parent = element.getparent()
    if element.tag != parsing.FIELD_TEXT or parent is None:
        return False
    number = text_of(parent.find("/".join(parsing.FIELD_NUMBER)))
    coded = {field for _, field in _CODED}
    return number in coded and _SHORT_CODE.fullmatch(element.text or "") is not None


def _codes_of_errors(evidence: Evidence) -> tuple[Verdict, str]:
    codes = [
        one.text
        for structure in _named(evidence.root, "FejlStruktur")
        for one in structure.parts
        if one.name == "FejlIdentifikator"
    ]
    if not codes:
        return Verdict.NOT_SEEN, ""
    is_known = all(code.isdigit() and int(code) in wire.ERRORS for code in codes)
    return (Verdict.HOLDS if is_known else Verdict.FAILS), ", ".join(sorted({shown_code(code) for code in codes}))


def _schema_fault(evidence: Evidence) -> tuple[Verdict, str]:
    """Decided by a fault about the question of a replacement number, which the published pattern excludes."""
    if not list(_named(evidence.root, "Fault")):
        return Verdict.NOT_SEEN, ""
    return (Verdict.HOLDS, "") if evidence.is_read else (Verdict.NOT_SEEN, str(evidence.error))


def _income_type_2(evidence: Evidence) -> tuple[Verdict, str]:
    is_there = any(one.text == "2" for one in _named(evidence.root, _field_name(parsing.INCOME_TYPE)))
    return Verdict.NOT_SEEN, "there are reports of that type: compare them with the citizen's pay" if is_there else ""


def _reversals(evidence: Evidence) -> tuple[Verdict, str]:
    """Both sorts of own id are allowed; which of them the register uses is told."""
    own_ids: dict[str, set[str]] = {REPORTED: set(), REVERSED: set()}
    for report in _named(evidence.root, "LoenPeriodeOplysningStruktur"):
        ids = {one.text for one in report.parts if one.name == "AngivelseVirksomhedEgenIdentifikator"}
        for kind in _named(report, _field_name(parsing.KIND)):
            own_ids.setdefault(kind.text, set()).update(ids)
    if not own_ids[REVERSED]:
        return Verdict.NOT_SEEN, ""
    is_taken_back = own_ids[REVERSED] & own_ids[REPORTED]
    return Verdict.HOLDS, "the own id of what it takes back" if is_taken_back else "an own id that no report has"


def _named(root: Node | None, name: str) -> Iterable[Node]:
    if root is None:
        return
    if root.name == name:
        yield root
    for part in root.parts:
        yield from _named(part, name)


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "IndkomstOplysningPersonHent",
        _ask,
        _expected(),
        _shape,
        (
            Assumption(
                "a FejlIdentifikator means what it means in other services of the same gateway, and 410 that too much "
                "was asked for",
                _codes_of_errors,
            ),
            Assumption("a schema fault names the schema, the pattern or the element in its text", _schema_fault),
            Assumption("income type 2 is no pay for work", _income_type_2),
            Assumption("a reversal carries the own id of what it takes back, or one that no report has", _reversals),
        ),
        signature=_signature,
        is_code=is_code,
    ),
)
