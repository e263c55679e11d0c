"""Skatteforvaltningen's IndkomstOplysningPersonHent as it is spoken: the request, and what an answer says.

SOAP 1.1, document/literal, as the service's WSDL and its schemas have it (root `Hent.xsd`); numbers of forms and fields
are those of municipalities' clients, since no schema gives them. `ASSUMED:` marks what nothing public decides, with
what would settle it; the real format is then a change in this file alone. docs/going-live.md lists all of them.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from lxml import etree
from lxml.etree import _Element as Element

from config.settings import EindkomstSettings
from workers.domain.cpr import Cpr, InvalidCpr
from workers.domain.overview import LeftOut
from workers.eindkomst import extent, security
from workers.eindkomst.reports import REPORTED, REVERSED, Report, Reports, UnreadablePeriod, income_type, paid_days
from workers.eindkomst.security import Security
from workers.resilience.client import Answer
from workers.resilience.errors import (
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    RequestIdUsed,
    TooLong,
    UpstreamUnavailable,
    WrongPerson,
)

log = structlog.get_logger()

CONTENT_TYPE: Final = "text/xml"
"""SOAP 1.1's; application/soap+xml is that of SOAP 1.2, which this service does not speak."""
SOAP_ACTION: Final = '"getIndkomstOplysningPersonHent"'
"""With the quotes (WSDL)."""

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_E = "{http://rep.oio.dk/skat.dk/eindkomst/}"
_KONTEKST = "{http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/}"
_VIRKSOMHED = "{http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/}"
_CPR = "{http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/}"
_CLASS = "{{http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/}}"
"""The namespaces; `_CLASS` is that of a class of the register's own model, by its name."""

_SUBSCRIBER_TYPE = _CLASS.format("abonnenttype") + "AbonnentTypeKode"
_SUBSCRIPTION_TYPE = _CLASS.format("abonnementtype") + "AbonnementTypeKode"
_ACCESS_PURPOSE = _CLASS.format("adgangformaaltype") + "AdgangFormaalTypeKode"
_CASEWORKER = (
    _CLASS.format("indkomstoplysningadgangmedarbejderidentifikator") + "IndkomstOplysningAdgangMedarbejderIdentifikator"
)
_FIRST_MONTH = _CLASS.format("soegeaarmaanedfrakode") + "SoegeAarMaanedFraKode"
_LAST_MONTH = _CLASS.format("soegeaarmaanedtilkode") + "SoegeAarMaanedTilKode"

_PERSON_IDENTIFIER = "PersonCivilRegistrationIdentifier"
_PERSONS_OF_ANSWER = f"{_E}IndkomstPersonUddata/{_E}IndkomstOplysningPersonSamling/{_E}IndkomstOplysningPersonStruktur"
_COMPANIES = f"{_E}IndkomstOplysningSamling/{_E}IndberetningPligtigVirksomhed"
_REPORTS = f"{_E}IndkomstLoenPeriodeSamling/{_E}LoenPeriodeOplysningStruktur"
"""Persons within an answer, companies within a person, reports within a company."""
_SE_NUMBER = (
    f"{_E}IndberetningPligtigVirksomhedStruktur",
    f"{_E}IndberetningPligtigVirksomhed",
    f"{_VIRKSOMHED}VirksomhedSENummerIdentifikator",
)
"""Within a company, which has the same name as the element in the middle."""
_SE_NUMBER_CHARACTERS = 8
"""The schema gives the length, and does not demand digits."""
_OWN_ID = _CLASS.format("angivelse") + "AngivelseVirksomhedEgenIdentifikator"
"""The company's own identifier of a report.

ASSUMED: a reversal carries the own id of what it takes back, or one that no report has. The rule of reversals holds for
both; Skatteforvaltningen's guide to the service would say which it is.
"""
_PERIOD = (f"{_E}AngivelsePeriodeStruktur", _CLASS.format("angivelse") + "AngivelsePeriode")
_PERIOD_START = "{http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/}StartDate"
_PERIOD_END = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/}EndDate"
_PERIOD_DURATION = "{http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/}DurationMeasure"
_FORMS = (f"{_E}AngivelseBlanketIndholdStruktur", f"{_E}AngivelseOplysningSamling")
_FORM_NUMBER = _CLASS.format("blanket") + "BlanketNummerIdentifikator"
_FIELD_NUMBER = (f"{_E}BlanketFeltEnhedStruktur", _CLASS.format("blanketfelt") + "BlanketFeltNummerIdentifikator")
_FIELD_TEXT = _CLASS.format("angivelsefelt") + "AngivelseFeltIndholdTekst"


def _field(number: int) -> str:
    """A field's number as it is sent: 18 digits, of which the first is 1."""
    return f"1{number:017}"


_INCOME: Final = "11000"
"""The form with what an income is; at level 1."""
_REPORTER, _REPORTERS_CVR, _KIND, _INCOME_TYPE = _field(1), _field(6), _field(11), _field(12)
_EARNINGS: Final = "16000"
"""The form with what kind of earnings it is; at level 2, below the other."""
_MARKED = _field(21)
"""`1` when this report was reversed later."""

WORK: Final = frozenset({0, 3, 8, 9})
"""The types of income that are pay for work: ordinary pay, Greenland, researchers, tax-free pay and seafarers.

ASSUMED: income type 2 is no pay for work. Skatteforvaltningen's guide to what employers report would settle it.
"""
NO_WORK: Final = frozenset({1, 2, 4, 5, 6, 7, 10, 11, 20, 24, 26, 28, 29})
"""The other types that are known: SU (1), benefits, pensions, fees, holiday pay. What is in neither set is unknown."""

_NEEDED: Final[Mapping[str, str]] = {_KIND: "011", _INCOME_TYPE: "012"}
"""The fields without which a form cannot be read, by the number that an agreement has for them."""


class TooMuch(BadRequest):
    """More was asked for than the register gives at once: ask for less. No defect, so nobody is called."""

    reason = "too_much"
    alarm = False


class AdvisAlone(CallFailed):
    """The register has an advis for us and no person: it may mean that there is nothing, or that it did not look.

    STAR takes every advis for an error, so it is no "no data" until the setting ADVIS_MEANS_NONE names its code.
    """

    reason = "advis"


ERRORS: Final[Mapping[int, type[CallFailed]]] = {
    300: NotAuthorised,
    2000: UpstreamUnavailable,
    490: UpstreamUnavailable,
    1000: UpstreamUnavailable,
    500: RequestIdUsed,
    410: TooMuch,
}
"""What a FejlIdentifikator means; any other is a BadRequest.

ASSUMED: a FejlIdentifikator means what it means in other services of the same gateway, and 410 that too much was asked
for. Skatteforvaltningen's list of codes for this service would settle it; that size is refused at all is published.
"""

_GRAVEST_FIRST = (NotAuthorised, BadRequest, UpstreamUnavailable, RequestIdUsed, TooMuch)
"""Of several errors the first one here decides: what a person must see to, then what waiting helps against, and last
what we can put right ourselves."""

_FAULTS: Mapping[str, type[CallFailed]] = {
    "Server": UpstreamUnavailable,
    "Client": BadRequest,
    "MustUnderstand": BadRequest,
    "VersionMismatch": BadRequest,
    **dict.fromkeys(security.FAULTS, NotAuthorised),
}
"""The fault codes of SOAP 1.1 (4.4.1), what follows a dot refines them; and those of WS-Security, which are about our
signature, our certificate or our clock."""

_SCHEMA_FAULT = re.compile(rf"schema|cvc-|validat|pattern|{_PERSON_IDENTIFIER}", re.IGNORECASE)
"""How a fault says that the question is not of the schema.

ASSUMED: a schema fault names the schema, the pattern or the element in its text. One such fault of the real gateway
would settle it.
"""

_LONGEST_NUMBER = 1_000
"""Characters, and pieces, in which a CPR number is looked for: white space and elements may be around and within it.
Elements with numbers may be within each other, and all of it would be read as often as they are nested."""
_MOST_NUMBERS = 10_000
"""CPR numbers that an answer may hold; the contract has one for each person, and the question is about one."""
_FAULT_CHARACTERS = 10_000
"""Of what a SOAP Fault says, so many are looked at."""
_DECODED_AT_ONCE = 1 << 20
"""Bytes."""
_CODES_TOLD = 10
"""How many codes of advis are named: more than any answer has, and an answer may be made of nothing else."""

_UNSIGNED = Security()

_CODE = re.compile(r"[0-9A-Za-z]{1,8}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class _Unreadable(Exception):
    """A report that must be left out; `kind` says for what, in a word that metrics and logs can show.

    `missing` are the needed fields that it lacks.
    """

    def __init__(self, kind: str, missing: frozenset[str] = frozenset()) -> None:
        super().__init__(kind)
        self.kind = kind
        self.missing = missing


_WITHOUT_FORMS = _Unreadable("forms", frozenset(_NEEDED.values()))
_WITHOUT_REPORTS = _Unreadable("reports")


def shown(code: str) -> str:
    """A code for a log line or an error; »?« when it has another form, for then it could hold anything."""
    return code if _CODE.fullmatch(code) else "?"


def request(
    transaction_id: str,
    cpr: Cpr,
    settings: EindkomstSettings,
    first: date,
    last: date,
    *,
    secured: Security = _UNSIGNED,
) -> bytes:
    """The question what was reported about a citizen from the tax month of `first` to that of `last`, both included.

    `transaction_id` is the call's request id. The envelope is signed as of now, so that each call must have its own.
    """
    envelope = etree.Element(f"{_SOAP}Envelope", nsmap={"soap": _SOAP[1:-1], "e": _E[1:-1]})
    root = _add(_add(envelope, f"{_SOAP}Body"), f"{_E}IndkomstOplysningPersonHent_I")
    context = _add(root, f"{_KONTEKST}HovedOplysninger")
    _add(context, f"{_KONTEKST}TransaktionIdentifikator", transaction_id)

    inddata = _add(root, f"{_E}IndkomstOplysningPersonInddata")
    access = _add(inddata, f"{_E}AbonnentAdgangStruktur")
    _add(access, _SUBSCRIBER_TYPE, str(settings.abonnent_type))
    _add(access, _SUBSCRIPTION_TYPE, str(settings.abonnement_type))
    _add(access, _ACCESS_PURPOSE, str(settings.adgang_formaal))
    subscriber = _add(inddata, f"{_E}AbonnentStruktur")
    company = _add(_add(subscriber, f"{_E}AbonnentVirksomhedStruktur"), f"{_E}AbonnentVirksomhed")
    _add(company, f"{_VIRKSOMHED}VirksomhedSENummerIdentifikator", settings.se_number)
    if settings.medarbejder_identifikator:
        _add(subscriber, _CASEWORKER, settings.medarbejder_identifikator)

    choice = _add(_add(inddata, f"{_E}IndkomstOplysningValg"), f"{_E}IndkomstPersonSamling")
    search = _add(choice, f"{_E}PersonIndkomstSoegeStruktur")
    _add(search, _CPR + _PERSON_IDENTIFIER, cpr.digits)
    months = _add(search, f"{_E}SoegeAarMaanedLukketStruktur")
    _add(months, _FIRST_MONTH, _month(first))
    _add(months, _LAST_MONTH, _month(last))
    secured.sign(envelope, datetime.now(UTC))
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def _add(parent: Element, tag: str, text: str | None = None) -> Element:
    child = etree.SubElement(parent, tag)
    child.text = text
    return child


def _month(day: date) -> str:
    return f"{day.year:04}{day.month:02}"


def read(answer: Answer, cpr: Cpr, settings: EindkomstSettings, secured: Security = _UNSIGNED) -> Reports:
    """Every report in an answer about `cpr`; none when the register has nothing, which is no data.

    A report that cannot be read is left out and named; only when none can be is the answer a failure.

    Raises the CallFailed that the answer means, in this order: WrongPerson when anything in it is about another
    citizen (R7), a SOAP Fault, the HTTP status, InvalidResponse when a signature is wanted and does not hold, the
    register's own errors (HTTP 200 is not success, and an error counts even when data follow), AdvisAlone, and
    InvalidResponse for whatever is not of the contract. Only what cannot be read at all has the status decide first. A
    refusal may be unsigned, since nothing of it is believed but that there are no data.
    """
    refusal = answer.refusal()
    try:
        document = _document(answer)
    except (InvalidResponse, TooLong) as malformed:
        raise (refusal or malformed) from None
    all_are_numbers = _same_person(cpr, document)
    fault = document.find(f"{_SOAP}Body/{_SOAP}Fault")
    if fault is not None:
        if cpr.is_replacement and _is_about_the_schema(fault):
            # The published pattern of CPR numbers excludes replacement numbers: the register knows none.
            return Reports()
        raise _fault_failure(fault, answer.retry_after) or refusal or InvalidResponse("a SOAP Fault of no known code")
    if refusal:
        raise refusal
    secured.verify(document, datetime.now(UTC))
    content = _down(document, f"{_SOAP}Body", f"{_E}IndkomstOplysningPersonHent_O")
    outcome = _down(content, f"{_KONTEKST}HovedOplysningerSvar", f"{_KONTEKST}SvarStruktur")
    _check_for_errors(content, answer.retry_after)
    if not all_are_numbers:
        raise InvalidResponse("the answer holds a CPR number that is none")
    _check_advis(outcome, settings, has_persons=content.find(_PERSONS_OF_ANSWER) is not None)
    persons = _persons(content)
    return _reports(persons) if persons else Reports()


def _document(answer: Answer) -> Element:
    """The root of the answer.

    Raises InvalidResponse for another type, encoding or syntax, for any DOCTYPE, and for a tag that no answer has;
    TooLong for too much markup.
    """
    answer.expect(CONTENT_TYPE)
    if answer.charset.lower() not in {"utf-8", "us-ascii"} or not _is_utf8(answer.body):
        raise InvalidResponse("the answer is not UTF-8")
    if b"<!DOCTYPE" in answer.body:
        raise InvalidResponse("the answer has a DOCTYPE")
    extent.check(answer.body)
    parser = etree.XMLParser(
        # Given here, it overrules the document's own declaration, so that no other encoding can hide a DOCTYPE.
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    # No error of the parser is chained to ours, since it may quote the answer.
    with suppress(etree.XMLSyntaxError):
        return etree.fromstring(answer.body, parser)
    raise InvalidResponse("the answer is not XML")


def _is_utf8(body: bytes) -> bool:
    """Part by part, since one character may make a text four times as long as its bytes."""
    decoder, parts = getincrementaldecoder("utf-8")(), range(0, len(body), _DECODED_AT_ONCE)
    try:
        for at in parts:
            decoder.decode(body[at : at + _DECODED_AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _same_person(cpr: Cpr, document: Element) -> bool:
    """Whether every CPR number is one. Raises WrongPerson at the first that is another's (R7), TooLong for too many."""
    all_are_numbers = True
    for count, element in enumerate(document.iter("{*}" + _PERSON_IDENTIFIER)):
        person = _person(element)
        if person not in {cpr, None}:
            raise WrongPerson("the answer holds another person's CPR number")
        all_are_numbers = all_are_numbers and person is not None
        if count >= _MOST_NUMBERS:
            raise TooLong(f"the answer has more than {_MOST_NUMBERS} CPR numbers")
    return all_are_numbers


def _person(element: Element) -> Cpr | None:
    """Whose number the element holds; None when it holds none, or more than a number and what may be around it."""
    text = ""
    for pieces, piece in enumerate(element.itertext()):
        if pieces >= _LONGEST_NUMBER or len(text) + len(piece) > _LONGEST_NUMBER:
            return None
        text += str(piece)
    with suppress(InvalidCpr):
        return Cpr.parse(text.strip())
    return None


def _is_about_the_schema(fault: Element) -> bool:
    """Whether a SOAP Fault blames the question, and for not being of the schema."""
    text = " ".join(str(piece)[:_FAULT_CHARACTERS] for piece in islice(fault.itertext(), _FAULT_CHARACTERS))
    text = text[:_FAULT_CHARACTERS]
    return _fault_code(fault) == "Client" and _SCHEMA_FAULT.search(text) is not None


def _fault_failure(fault: Element, retry_after: timedelta | None) -> CallFailed | None:
    """What a SOAP Fault means; None when its code is none of SOAP 1.1."""
    code = _fault_code(fault)
    kind = _FAULTS.get(code)
    return kind(f"SOAP Fault {code}", retry_after=retry_after) if kind else None


def _fault_code(fault: Element) -> str:
    return fault.findtext("{*}faultcode", "").strip().rpartition(":")[2].partition(".")[0]


def _check_for_errors(content: Element, retry_after: timedelta | None) -> None:
    """Raises what the register's own errors mean, the gravest of several."""
    codes = [_text(_child(error, "{*}FejlIdentifikator")) or "" for error in content.iter("{*}FejlStruktur")]
    if codes:
        gravest = min(codes, key=lambda code: _GRAVEST_FIRST.index(_meaning(code)))
        raise _meaning(gravest)(f"FejlIdentifikator {shown(gravest)}", retry_after=retry_after)


def _meaning(code: str) -> type[CallFailed]:
    number = _integer(code)
    return BadRequest if number is None else ERRORS.get(number, BadRequest)


def _check_advis(outcome: Element, settings: EindkomstSettings, *, has_persons: bool) -> None:
    """Logs which advis there are, by code alone. Raises AdvisAlone when one may stand for what was not delivered."""
    codes = [_text(_child(advis, "{*}AdvisIdentifikator")) or "" for advis in outcome.iter("{*}AdvisStruktur")]
    if codes:
        log.info("eindkomst_advis", number=len(codes), codes=sorted(set(map(shown, codes)))[:_CODES_TOLD])
    doubtful = [code for code in codes if _integer(code) not in settings.advis_means_none]
    if doubtful and not has_persons:
        raise AdvisAlone(f"AdvisIdentifikator {shown(doubtful[0])} and no person: is it in ADVIS_MEANS_NONE?")


def _integer(text: str) -> int | None:
    """An xs:integer; None when the text is none, or longer than any code."""
    return int(text) if _INTEGER.fullmatch(text) else None


def _persons(content: Element) -> list[Element]:
    """The persons' structures, each with its CPR number; none where the register says that it has no data.

    Raises InvalidResponse for whatever might be data in another place or form: that is not "no data" (R8).
    """
    if all(child.tag == f"{_KONTEKST}HovedOplysningerSvar" for child in content):
        return []
    persons = list(content.iterfind(_PERSONS_OF_ANSWER))
    if not persons:
        raise InvalidResponse("the answer holds something, and no person")
    if any(_child(person, _CPR + _PERSON_IDENTIFIER) is None for person in persons):
        raise InvalidResponse("the answer holds a person without a CPR number")
    return persons


def _reports(persons: Iterable[Element]) -> Reports:
    """What the persons' structures hold. Raises InvalidResponse or NotAuthorised when nothing can be read (R8)."""
    read: list[Report] = []
    left_out: list[LeftOut] = []
    filtered = frozenset(_NEEDED.values())
    for report, place in _each_report(persons):
        if isinstance(report, _Unreadable):
            left_out.append(LeftOut(report.kind, place))
            filtered &= report.missing
        else:
            read.append(report)
    if not read:
        raise _nothing_readable(left_out, filtered)
    return Reports(tuple(read), tuple(left_out))


def _nothing_readable(left_out: Sequence[LeftOut], filtered: Collection[str]) -> CallFailed:
    """A field that all reports lack is one that the agreement filters (WSDL, rules of use): no repeat brings it."""
    if not left_out:
        return InvalidResponse("the answer holds data, and no report")
    if filtered:
        named = " and ".join(sorted(filtered))
        return NotAuthorised(f"no report has field {named} on form {_INCOME}: does the agreement deliver it?")
    return InvalidResponse(f"none of {len(left_out)} reports can be read: {left_out[0].kind} at {left_out[0].place}")


def _each_report(persons: Iterable[Element]) -> Iterator[tuple[Report | _Unreadable, str]]:
    """Every report with its place in the answer, for people to find it; and whatever should hold some and does not."""
    companies = [company for person in persons for company in person.iterfind(_COMPANIES)]
    reports = 0
    for number, company in enumerate(companies, 1):
        se_number = _text(_descendant(company, *_SE_NUMBER)) or ""
        reported = list(company.iterfind(_REPORTS))
        if not reported:
            yield _WITHOUT_REPORTS, f"company {number}"
        for element in reported:
            reports += 1
            for report in _read_report(element, se_number):
                yield report, f"report {reports}"


def _read_report(element: Element, se_number: str) -> list[Report | _Unreadable]:
    """One for each form 11000 of a report; or the one reason why nothing of it can be read."""
    forms = _descendant(element, *_FORMS)
    all_forms = () if forms is None else forms.iterchildren(f"{_E}AngivelseNiveau1")
    of_income = [form for form in all_forms if _text(_child(form, _FORM_NUMBER)) == _INCOME]
    if not of_income:
        return [_WITHOUT_FORMS]
    found = [_read_or_tell(element, form, se_number) for form in of_income]
    unreadable = [one for one in found if isinstance(one, _Unreadable)]
    if len(unreadable) < len(found):
        return found
    return [_Unreadable(unreadable[0].kind, frozenset.intersection(*(one.missing for one in unreadable)))]


def _read_or_tell(element: Element, form: Element, se_number: str) -> Report | _Unreadable:
    try:
        return _read_form(element, form, se_number)
    except _Unreadable as unreadable:
        # Not the error itself, which keeps all that was looked at alive.
        return _Unreadable(unreadable.kind, unreadable.missing)


def _read_form(element: Element, form: Element, se_number: str) -> Report:
    """Raises _Unreadable."""
    fields = _fields(form, _REPORTER, _REPORTERS_CVR, _KIND, _INCOME_TYPE)
    missing = frozenset(number for field, number in _NEEDED.items() if not fields.get(field))
    if missing:
        raise _Unreadable("field_missing", missing)
    if fields[_KIND] not in {REPORTED, REVERSED}:
        raise _Unreadable("kind")
    of_type = income_type(fields[_INCOME_TYPE])
    if of_type is None:
        raise _Unreadable("income_type")
    own_id = _text(_child(element, _OWN_ID))
    if not own_id:
        raise _Unreadable("own_id")
    if len(se_number) != _SE_NUMBER_CHARACTERS:
        raise _Unreadable("company_number")
    period = _descendant(element, *_PERIOD)
    if period is None:
        raise _Unreadable("period")
    start, end, duration = (_text(_child(period, tag)) for tag in (_PERIOD_START, _PERIOD_END, _PERIOD_DURATION))
    try:
        days = paid_days(start, end, duration)
    except UnreadablePeriod:
        raise _Unreadable("period") from None
    return Report(
        se_number=se_number,
        own_id=own_id,
        days=days,
        kind=fields[_KIND],
        income_type=of_type,
        marked=_is_marked(form),
        reporter=fields.get(_REPORTER) or None,
        reporters_cvr_number=fields.get(_REPORTERS_CVR) or None,
    )


def _is_marked(form: Element) -> bool:
    """Whether a form 16000 right below says that the report was taken back."""
    below = form.iterfind(f"{_E}UnderAngivelseSamling/{_E}AngivelseNiveau2")
    marks = [_fields(one, _MARKED).get(_MARKED) for one in below if _text(_child(one, _FORM_NUMBER)) == _EARNINGS]
    return "1" in marks


def _fields(form: Element, *wanted: str) -> dict[str, str]:
    """Those of the form's own fields that are wanted, by number. Raises _Unreadable when one has two texts."""
    fields: dict[str, str] = {}
    for field in form.iterfind(f"{_E}AngivelseFeltSamling/{_E}AngivelseFeltIndholdStruktur"):
        number = _text(_descendant(field, *_FIELD_NUMBER))
        if number not in wanted:
            continue
        text = _text(_child(field, _FIELD_TEXT)) or ""
        if fields.setdefault(number, text) != text:
            raise _Unreadable("field_twice")
    return fields


def _down(element: Element, *tags: str) -> Element:
    """The descendant at the end of these tags. Raises InvalidResponse, naming the first that is missing."""
    for tag in tags:
        child = _child(element, tag)
        if child is None:
            raise InvalidResponse(f"{tag.rpartition('}')[2]} is missing")
        element = child
    return element


def _descendant(element: Element, *tags: str) -> Element | None:
    """The descendant at the end of these tags, if it is there."""
    at: Element | None = element
    for tag in tags:
        if at is None:
            return None
        at = _child(at, tag)
    return at


def _child(element: Element, tag: str) -> Element | None:
    return next(element.iterchildren(tag), None)


def _text(element: Element | None) -> str | None:
    """What an element says, without white space around it: nothing when it holds more than a text; None without it."""
    if element is None:
        return None
    return "" if len(element) else (element.text or "").strip()
