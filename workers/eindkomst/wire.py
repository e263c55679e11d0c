"""Skatteforvaltningen's IndkomstOplysningPersonHent as it is spoken: the request, and what an answer says.

SOAP 1.1, document/literal. (F) marks what is published: the service's WSDL and XSDs, and municipalities' clients.
(A) marks what this project assumes, because nothing is public; the real format is then a change in this file alone.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import structlog
from lxml import etree
from lxml.etree import _Element as Element

from config.settings import EindkomstSettings
from workers.domain.cpr import Cpr, InvalidCpr
from workers.eindkomst import security
from workers.eindkomst.security import Security
from workers.resilience.client import Answer
from workers.resilience.errors import (
    Again,
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    UpstreamUnavailable,
    WrongPerson,
)

log = structlog.get_logger()

CONTENT_TYPE: Final = "text/xml"
"""(F) SOAP 1.1's; application/soap+xml is that of SOAP 1.2, which this service does not speak."""
SOAP_ACTION: Final = '"getIndkomstOplysningPersonHent"'
"""(F) With the quotes."""

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_E = "{http://rep.oio.dk/skat.dk/eindkomst/}"
_KONTEKST = "{http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/}"
_VIRKSOMHED = "{http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/}"
_CPR = "{http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/}"
_CLASS = "{{http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/}}"
"""(F) The namespaces; `_CLASS` is that of a code, by its class."""

_SUBSCRIBER_TYPE = _CLASS.format("abonnenttype") + "AbonnentTypeKode"
_SUBSCRIPTION_TYPE = _CLASS.format("abonnementtype") + "AbonnementTypeKode"
_ACCESS_PURPOSE = _CLASS.format("adgangformaaltype") + "AdgangFormaalTypeKode"
_FIRST_MONTH = _CLASS.format("soegeaarmaanedfrakode") + "SoegeAarMaanedFraKode"
_LAST_MONTH = _CLASS.format("soegeaarmaanedtilkode") + "SoegeAarMaanedTilKode"
"""(F) The codes of the request."""

_PERSON_IDENTIFIER = "PersonCivilRegistrationIdentifier"
_PERSONS = "/".join(
    _E + name for name in ("IndkomstPersonUddata", "IndkomstOplysningPersonSamling", "IndkomstOplysningPersonStruktur")
)
_COMPANY = (
    f"{_E}IndberetningPligtigVirksomhedStruktur",
    f"{_E}IndberetningPligtigVirksomhed",
    f"{_VIRKSOMHED}VirksomhedSENummerIdentifikator",
)
_PERIOD = (f"{_E}AngivelsePeriodeStruktur", f"{_E}AngivelsePeriode")
_PERIOD_START = f"{_E}AngivelsePeriodeFraDato"
_PERIOD_END = f"{_E}AngivelsePeriodeTilDato"
"""(A) The names of the two dates; that there are two, the start first, is published."""
_FORM_NUMBER = "BlanketNummerIdentifikator"
_FIELD_NUMBER = (f"{_E}BlanketFeltEnhedStruktur", f"{_E}BlanketFeltNummerIdentifikator")


def _field(number: int) -> str:
    """(F) A field's number on the wire: 18 digits, of which the first is 1."""
    return f"1{number:017}"


FORM_INCOME: Final = "11000"
"""(F) The form with general information on an income; other forms lie below it and hold its details."""
FIELD_CVR: Final = _field(6)
FIELD_KIND: Final = _field(11)
FIELD_INCOME_TYPE: Final = _field(12)
"""(F) On form 11000: the CVR number of the SE number (may be missing), the kind of report, and the type of income."""

REPORTED: Final = "I"
REVERSED: Final = "T"
"""(F) The kinds of report: »indberetning« and »tilbageførsel«."""

WAGES: Final = "00"
INCOME_TYPES: Final = frozenset({WAGES, "01", "02", "03", "04", "05", "06", "07", "08", "09"})
"""(F) The types of income; 01 is SU, and 04, 06 and 07 are benefits. (A) Only wages are a job."""


class TransactionIdUsed(CallFailed):
    """The register has seen this request id before: asked again with a new one; it says nothing of its health."""

    reason = "transaction_id_used"
    again = Again.YES


class TooMuch(BadRequest):
    """More was asked for than the register gives at once: ask for less. No defect, so nobody is called."""

    reason = "too_much"
    alarm = False


ERRORS: Final[Mapping[str, type[CallFailed]]] = {
    "300": NotAuthorised,
    "2000": UpstreamUnavailable,
    "490": UpstreamUnavailable,
    "1000": UpstreamUnavailable,
    "500": TransactionIdUsed,
    "410": TooMuch,
}
"""What a FejlIdentifikator means; any other is a BadRequest. (A) All of it: the codes but 410 are published for a
sister service on the same gateway; that too much can be refused is published, with which code is not."""

_GRAVEST_FIRST = (NotAuthorised, BadRequest, UpstreamUnavailable, TransactionIdUsed, TooMuch)
"""Of several errors the first one here decides: what a person must see to, then what waiting helps against, and last
what we can put right ourselves."""

_FAULTS: Mapping[str, type[CallFailed]] = {
    "Server": UpstreamUnavailable,
    "Client": BadRequest,
    "MustUnderstand": BadRequest,
    "VersionMismatch": BadRequest,
    **dict.fromkeys(security.FAULTS, NotAuthorised),
}
"""(F) The fault codes of SOAP 1.1 (4.4.1), what follows a dot refines them; and those of WS-Security, which are about
our signature, our certificate or our clock."""

_UNSIGNED = Security()

_XS_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_COMPANY_NUMBER = re.compile(r"[0-9]{8}")
_CODE = re.compile(r"[0-9A-Za-z]{1,8}")


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """One form that a company has reported for one period, both days included. Its repr shows nothing of the citizen.

    `kind`, `income_type` and `cvr_number` are fields of form 11000, and None on every other form.
    """

    se_number: str
    cvr_number: str | None
    start: date
    end: date
    form: str
    kind: str | None
    income_type: str | None


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
    """The question what was reported about a citizen from the month of `first` to that of `last`, both included.

    `transaction_id` is the call's request id. Where everything stands is published (F). It is signed as of now, so that
    each call must have its own.
    """
    envelope = etree.Element(f"{_SOAP}Envelope", nsmap={"soap": _SOAP[1:-1], "e": _E[1:-1]})
    root = _add(_add(envelope, f"{_SOAP}Body"), f"{_E}IndkomstOplysningPersonHent_I")
    context = _add(root, f"{_KONTEKST}HovedOplysninger")
    _add(context, f"{_KONTEKST}TransaktionIdentifikator", transaction_id)

    inddata = _add(root, f"{_E}IndkomstOplysningPersonInddata")
    access = _add(inddata, f"{_E}AbonnentAdgangStruktur")
    _add(access, _SUBSCRIBER_TYPE, settings.abonnent_type)
    _add(access, _SUBSCRIPTION_TYPE, settings.abonnement_type)
    _add(access, _ACCESS_PURPOSE, settings.adgang_formaal)
    subscriber = _add(inddata, f"{_E}AbonnentStruktur")
    company = _add(_add(subscriber, f"{_E}AbonnentVirksomhedStruktur"), f"{_E}AbonnentVirksomhed")
    _add(company, f"{_VIRKSOMHED}VirksomhedSENummerIdentifikator", settings.se_number)

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


def read(answer: Answer, cpr: Cpr, secured: Security = _UNSIGNED) -> tuple[Report, ...]:
    """Every form in an answer about `cpr`; none when the register has nothing, which is no data.

    Raises the CallFailed that the answer means, in this order: WrongPerson when anything in it is about another
    citizen (R7), a SOAP Fault, the HTTP status, InvalidResponse when a signature is wanted and does not hold, the
    register's own errors (HTTP 200 is not success, and an error counts even when data follow), and InvalidResponse for
    whatever is not of the contract. Only what cannot be read at all has the status decide first. A refusal may be
    unsigned, since nothing of it is believed but that there are no data.
    """
    refusal = answer.refusal()
    try:
        document = _document(answer)
    except InvalidResponse as malformed:
        raise (refusal or malformed) from None
    people = {_person(element) for element in document.iter("{*}" + _PERSON_IDENTIFIER)}
    if people - {cpr, None}:
        raise WrongPerson("the answer holds another person's CPR number")
    fault = document.find(f"{_SOAP}Body/{_SOAP}Fault")
    if fault is not None:
        raise _fault_failure(fault, answer.retry_after) or refusal or InvalidResponse("a SOAP Fault of no known code")
    if refusal:
        raise refusal
    secured.verify(document, datetime.now(UTC))
    content = _down(document, f"{_SOAP}Body", f"{_E}IndkomstOplysningPersonHent_O")
    _check_outcome(content, answer.retry_after)
    if None in people:
        raise InvalidResponse("the answer holds a CPR number that is none")
    return _all_reports(content)


def _document(answer: Answer) -> Element:
    """The root of the answer. Raises InvalidResponse for another type, encoding or syntax, and for any DOCTYPE."""
    answer.expect(CONTENT_TYPE)
    if answer.charset.lower() not in {"utf-8", "us-ascii"} or not _is_utf8(answer.body):
        raise InvalidResponse("the answer is not UTF-8")
    if b"<!DOCTYPE" in answer.body:
        raise InvalidResponse("the answer has a DOCTYPE")
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
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _person(element: Element) -> Cpr | None:
    with suppress(InvalidCpr):
        return Cpr.parse("".join(map(str, element.itertext())).strip())
    return None


def _fault_failure(fault: Element, retry_after: timedelta | None) -> CallFailed | None:
    """What a SOAP Fault means; None when its code is none of SOAP 1.1."""
    code = fault.findtext("{*}faultcode", "").strip().rpartition(":")[2].partition(".")[0]
    kind = _FAULTS.get(code)
    return kind(f"SOAP Fault {code}", retry_after=retry_after) if kind else None


def _check_outcome(content: Element, retry_after: timedelta | None) -> None:
    """Raises what the register's own errors mean, the gravest of several; logs its notices, by their codes alone."""
    codes = [_text(_one(error, "{*}FejlIdentifikator")) for error in content.iter("{*}FejlStruktur")]
    if codes:
        gravest = min(codes, key=lambda code: _GRAVEST_FIRST.index(_meaning(code)))
        raise _meaning(gravest)(f"FejlIdentifikator {shown(gravest)}", retry_after=retry_after)
    outcome = _down(content, f"{_KONTEKST}HovedOplysningerSvar", f"{_KONTEKST}SvarStruktur")
    for notice in outcome.iter("{*}AdvisIdentifikator"):
        log.info("eindkomst_advis", code=shown(_text(notice)))


def _meaning(code: str) -> type[CallFailed]:
    return ERRORS.get(code, BadRequest)


def _all_reports(content: Element) -> tuple[Report, ...]:
    reports = tuple(_reports(content))
    if len(reports) != sum(1 for _ in content.iter("{*}" + _FORM_NUMBER)):
        # To pass over a form would make a failure look like no data (R8).
        raise InvalidResponse("the answer holds forms where the contract has none")
    return reports


def _reports(content: Element) -> Iterator[Report]:
    for person in content.iterfind(_PERSONS):
        _one(person, _CPR + _PERSON_IDENTIFIER)
        for company in person.iterchildren(f"{_E}IndkomstOplysningSamling"):
            se_number = _company_number(_text(_down(company, *_COMPANY)))
            for reported in company.iterchildren(f"{_E}IndkomstLoenPeriodeSamling"):
                yield from _forms(reported, se_number)


def _forms(reported: Element, se_number: str) -> Iterator[Report]:
    """The forms of one period. Those below others are met by lxml's own walk, which no depth of nesting overflows."""
    period = _down(reported, *_PERIOD)
    start, end = _date(_one(period, _PERIOD_START)), _date(_one(period, _PERIOD_END))
    if end < start:
        raise InvalidResponse("a period ends before it starts")
    contents = _one(reported, f"{_E}AngivelseBlanketIndholdStruktur")
    for form in contents.iter(f"{_E}AngivelseOplysningSamling", f"{_E}UnderAngivelseSamling"):
        number = _text(_one(form, _E + _FORM_NUMBER))
        cvr_number = kind = income_type = None
        if number == FORM_INCOME:
            fields = _fields(form)
            cvr_number = _company_number(fields[FIELD_CVR]) if fields.get(FIELD_CVR) else None
            kind, income_type = _required(fields, FIELD_KIND), _required(fields, FIELD_INCOME_TYPE)
        yield Report(se_number, cvr_number, start, end, number, kind, income_type)


def _fields(form: Element) -> dict[str, str]:
    """The form's own fields, by number. Raises InvalidResponse when one is there twice with different texts."""
    fields: dict[str, str] = {}
    for field in form.iterchildren(f"{_E}AngivelseFeltSamling"):
        number = _text(_down(field, *_FIELD_NUMBER))
        text = _text(_one(field, f"{_E}AngivelseFeltIndholdTekst"))
        if fields.setdefault(number, text) != text:
            raise InvalidResponse(f"field {_short(number)} is there twice")
    return fields


def _required(fields: Mapping[str, str], number: str) -> str:
    if not fields.get(number):
        raise InvalidResponse(f"field {_short(number)} is missing on form {FORM_INCOME}")
    return fields[number]


def _short(field: str) -> str:
    return shown(field[-3:])


def _down(element: Element, *tags: str) -> Element:
    for tag in tags:
        element = _one(element, tag)
    return element


def _one(element: Element, tag: str) -> Element:
    child = next(element.iterchildren(tag), None)
    if child is None:
        raise InvalidResponse(f"{tag.rpartition('}')[2]} is missing")
    return child


def _text(element: Element) -> str:
    if len(element):
        raise InvalidResponse(f"{etree.QName(element).localname} holds more than a text")
    return (element.text or "").strip()


def _company_number(text: str) -> str:
    if not _COMPANY_NUMBER.fullmatch(text):
        raise InvalidResponse("a company's number is not of eight digits")
    return text


def _date(element: Element) -> date:
    """An xs:date; its time zone is dropped, since a day of the calendar is meant wherever it was written."""
    matched = _XS_DATE.fullmatch(_text(element))
    if matched:
        with suppress(ValueError):
            return date.fromisoformat(matched[1])
    raise InvalidResponse(f"{etree.QName(element).localname} is no date")
