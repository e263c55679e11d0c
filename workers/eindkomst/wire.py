"""Wire format of Skatteforvaltningen's IndkomstOplysningPersonHent: reads an answer, and its errors in their order.

SOAP 1.1, document/literal, as the service's WSDL and its schemas have it (root `Hent.xsd`). `question.py` makes the
request, `report_parsing.py` reads the reports, `xml_names.py` has the names of both. `ASSUMED:` marks what nothing
public decides, with what would settle it; the real format is then a change in these four files alone.
docs/going-live.md lists all of them.
"""

import re
from codecs import getincrementaldecoder
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import structlog
from lxml import etree
from lxml.etree import _Element as Element

from config.settings import EindkomstSettings
from domain.cpr import Cpr, InvalidCpr
from registerbro.upstreams import ws_security, xml_extent
from registerbro.upstreams.errors import (
    BadRequest,
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    RequestIdUsed,
    TooLong,
    UpstreamUnavailable,
    WrongPerson,
)
from registerbro.upstreams.messages import Answer
from registerbro.upstreams.ws_security import Security
from workers.eindkomst.report_parsing import read_reports
from workers.eindkomst.reports import Reports
from workers.eindkomst.xml_names import CPR, EINDKOMST, KONTEKST, PERSON_IDENTIFIER, SOAP, child, down, text_of

log = structlog.get_logger()

CONTENT_TYPE: Final = "text/xml"
"""SOAP 1.1's; application/soap+xml is that of SOAP 1.2, which this service does not speak."""
SOAP_ACTION: Final = '"getIndkomstOplysningPersonHent"'
"""With the quotes (WSDL)."""

CONTENT: Final = (f"{SOAP}Body", f"{EINDKOMST}IndkomstOplysningPersonHent_O")
OUTCOME: Final = (f"{KONTEKST}HovedOplysningerSvar", f"{KONTEKST}SvarStruktur")
PERSONS: Final = "/".join(
    f"{EINDKOMST}{name}"
    for name in ("IndkomstPersonUddata", "IndkomstOplysningPersonSamling", "IndkomstOplysningPersonStruktur")
)
"""Where the answer is in the envelope; and in the answer, its outcome, and its persons."""


class TooMuch(BadRequest):
    """More was asked for than the register gives at once: ask for less. It is no defect, so it raises no alarm."""

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

FAULTS: Mapping[str, type[CallFailed]] = {
    "Server": UpstreamUnavailable,
    "Client": BadRequest,
    "MustUnderstand": BadRequest,
    "VersionMismatch": BadRequest,
    **dict.fromkeys(ws_security.FAULTS, NotAuthorised),
}
"""The fault codes of SOAP 1.1 (4.4.1), what follows a dot refines them; and those of WS-Security, which are about our
signature, our certificate or our clock."""

_SCHEMA_FAULT = re.compile(rf"schema|cvc-|validat|pattern|{PERSON_IDENTIFIER}", re.IGNORECASE)
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


def shown(code: str) -> str:
    """A code for a log line or an error; »?« when it has another form, for then it could hold anything."""
    return code if _CODE.fullmatch(code) else "?"


def read(answer: Answer, cpr: Cpr, settings: EindkomstSettings, secured: Security = _UNSIGNED) -> Reports:
    """Reads the reports of an answer about `cpr`; none when the register has no data.

    A report that cannot be read is left out and named; only when none can be is the answer a failure.

    Raises the CallFailed that the answer means, in this order: WrongPerson when anything in it is about another
    citizen (R7), a SOAP Fault, the HTTP status, InvalidResponse when a signature is wanted and does not hold, the
    register's own errors (HTTP 200 is not success, and an error counts even when data follow), AdvisAlone, and
    InvalidResponse for whatever is not of the contract. Only what cannot be read at all has the status decide first. A
    refusal may be unsigned, since nothing of it is believed but that there are no data.
    """
    refusal = answer.refusal()
    try:
        document = parse(answer)
    except (InvalidResponse, TooLong) as malformed:
        raise (refusal or malformed) from None
    all_are_numbers = _same_person(cpr, document)
    fault = document.find(f"{SOAP}Body/{SOAP}Fault")
    if fault is not None:
        if cpr.is_replacement and _is_about_the_schema(fault):
            # The published pattern of CPR numbers excludes replacement numbers: the register has no data of them.
            return Reports()
        raise _fault_failure(fault, answer.retry_after) or refusal or InvalidResponse("a SOAP Fault of no known code")
    if refusal:
        raise refusal
    secured.verify(document, datetime.now(UTC))
    content = down(document, *CONTENT)
    outcome = down(content, *OUTCOME)
    _check_for_errors(content, answer.retry_after)
    if not all_are_numbers:
        raise InvalidResponse("the answer holds a CPR number that is none")
    persons = list(content.iterfind(PERSONS))
    _check_advis(outcome, settings, has_persons=bool(persons))
    _check_persons(content, persons)
    return read_reports(persons) if persons else Reports()


def parse(answer: Answer) -> Element:
    """The root of the answer.

    Raises InvalidResponse for another type, encoding or syntax, for any DOCTYPE, and for a tag that no answer has;
    TooLong for too much markup.
    """
    answer.expect(CONTENT_TYPE)
    if answer.charset.lower() not in {"utf-8", "us-ascii"} or not _is_utf8(answer.body):
        raise InvalidResponse("the answer is not UTF-8")
    if b"<!DOCTYPE" in answer.body:
        raise InvalidResponse("the answer has a DOCTYPE")
    xml_extent.check(answer.body)
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
    for count, element in enumerate(document.iter("{*}" + PERSON_IDENTIFIER)):
        person = _person(element)
        if person not in {cpr, None}:
            raise WrongPerson("the answer holds another person's CPR number")
        all_are_numbers = all_are_numbers and person is not None
        if count >= _MOST_NUMBERS:
            raise TooLong(f"the answer has more than {_MOST_NUMBERS} CPR numbers")
    return all_are_numbers


def _person(element: Element) -> Cpr | None:
    """The CPR number that the element holds; None for any other content."""
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
    """The failure that a SOAP Fault means; None for a code that is not of SOAP 1.1."""
    code = _fault_code(fault)
    kind = FAULTS.get(code)
    return kind(f"SOAP Fault {code}", retry_after=retry_after) if kind else None


def _fault_code(fault: Element) -> str:
    return fault.findtext("{*}faultcode", "").strip().rpartition(":")[2].partition(".")[0]


def _check_for_errors(content: Element, retry_after: timedelta | None) -> None:
    """Raises the error that the register's own codes mean, the gravest of several."""
    codes = [text_of(child(error, "{*}FejlIdentifikator")) or "" for error in content.iter("{*}FejlStruktur")]
    if codes:
        gravest = min(codes, key=lambda code: _GRAVEST_FIRST.index(_meaning(code)))
        raise _meaning(gravest)(f"FejlIdentifikator {shown(gravest)}", retry_after=retry_after)


def _meaning(code: str) -> type[CallFailed]:
    number = _integer(code)
    return BadRequest if number is None else ERRORS.get(number, BadRequest)


def _check_advis(outcome: Element, settings: EindkomstSettings, *, has_persons: bool) -> None:
    """Logs which advis there are, by code alone. Raises AdvisAlone when one may stand for what was not delivered."""
    codes = [text_of(child(advis, "{*}AdvisIdentifikator")) or "" for advis in outcome.iter("{*}AdvisStruktur")]
    if codes:
        log.info("eindkomst_advis", number=len(codes), codes=sorted(set(map(shown, codes)))[:_CODES_TOLD])
    doubtful = [code for code in codes if _integer(code) not in settings.advis_means_none]
    if doubtful and not has_persons:
        raise AdvisAlone(f"AdvisIdentifikator {shown(doubtful[0])} and no person: is it in ADVIS_MEANS_NONE?")


def _integer(text: str) -> int | None:
    """An xs:integer; None when the text is none, or longer than any code."""
    return int(text) if _INTEGER.fullmatch(text) else None


def _check_persons(content: Element, persons: Sequence[Element]) -> None:
    """Checks that each person has a CPR number, and that an answer without persons has no other content either.

    Raises InvalidResponse for content that might be data in another place or form: that is not "no data" (R8).
    """
    if not persons and any(part.tag != f"{KONTEKST}HovedOplysningerSvar" for part in content):
        raise InvalidResponse("the answer holds something, and no person")
    if any(child(person, CPR + PERSON_IDENTIFIER) is None for person in persons):
        raise InvalidResponse("the answer holds a person without a CPR number")
