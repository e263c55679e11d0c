"""eIndkomst: Skatteforvaltningen's IndkomstOplysningPersonHent over SOAP 1.1, as its gateway and as its register.

Built from what is published of the interface and from nothing of the project's own. A question is held against
`eindkomst.xsd`, which was written from the same description, and refused as the gateway refuses it. Searches by tax
month alone are simulated, and about one person at a time. Over 350 lines, since the gateway and the register answer one
question together.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from xml.sax.saxutils import escape

from aiohttp import web
from lxml import etree
from lxml.etree import _Element as Element

from simulators.citizens import BY_CPR, somebody_else
from simulators.eindkomst_answer import (
    INCOME_TYPE,
    Outcome,
    Person,
    answer,
    field_number,
    soap_fault,
    tag,
)
from simulators.faults import Advis, Broken, Fault, Fejl, Huge, Signature, SoapFault
from simulators.protocol import Asked, Breach, Protocol, Reply
from simulators.register_data import Wages
from simulators.signatures import Signatures

HERE = Path(__file__).parent
PATH = "/vericert/services/IndkomstOplysningPersonHentV2ServicePort"
"""Where the service is, as its WSDL has it; with a slash at its end there is nothing."""
ACTION = '"getIndkomstOplysningPersonHent"'
TOO_MUCH = "410"
"""An assumption: with which code too long a range is refused is not public."""
TRANSACTION_USED = "500"
"""An assumption: with which code a transaction id is refused that was answered before."""
MONTHS_AT_ONCE = 12
UNKNOWN_INCOME_TYPE = "77"
TRANSACTION = "the-transaction"
MOMENT = "2008-04-01T00:00:00.000Z"
"""Where the transaction's id and the moment of the answer go in an answer that is kept."""
NOBODY = "0000000000"
"""The number that stands for an unknown one, and that the published pattern takes."""

_CONSTRUCTED = re.compile(r"(6[1-9]|[78][0-9]|9[01])[0-9]{8}")
"""A replacement number: 60 is added to its day, which the published pattern excludes."""
_MONTH = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])")
_AT_FAULT = re.compile(r"Element '(?:\{[^}]*\})?([^']+)'")

BILLION_LAUGHS = (
    '<!DOCTYPE soap:Envelope [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(n + 1)} "{f"&{chr(n)};" * 10}">' for n in range(ord("a"), ord("j")))
    + "]>"
).encode()
"""The last entity, j, stands for 10⁹ times two letters."""
UNDECLARED = "{urn:simulated}Ukendt"
"""An element that no schema of the service has."""


@dataclass(frozen=True, slots=True)
class Search:
    """One question: the transaction's id, and the tax months from `first` to `last` as yyyymm.

    `payer` is the SE number of the only company that is asked about, and `reference` the case number.
    """

    transaction_id: str
    first: str
    last: str
    payer: str | None = None
    reference: str | None = None

    @property
    def months(self) -> int:
        """How many months are asked for."""
        return (int(self.last[:4]) - int(self.first[:4])) * 12 + int(self.last[4:]) - int(self.first[4:]) + 1

    def has(self, report: Wages) -> bool:
        """Whether a report is among what is asked for."""
        return self.first <= report.tax_month <= self.last and self.payer in {None, report.se_number}


class Eindkomst(Protocol):
    """The service; each transaction id is answered once."""

    name = "eindkomst"
    method = "POST"
    path = PATH
    base = PATH
    content_type = "text/xml"
    is_asked_for_months = True
    own_faults = frozenset({
        "fejl", "advis", "soap_fault", "too_much", "strict_cpr", "wrong_person", "mixed_people", "unknown_value",
        "empty", "damaged", "undeclared", "signature",
    })  # fmt: skip

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self._questions = etree.XMLSchema(file=str(HERE / "eindkomst.xsd"))
        self._numbers = etree.XMLSchema(file=str(HERE / "schemas" / "cpr.xsd"))
        self.signatures = Signatures()
        """How questions must be, and answers are, signed; not at all unless it is set."""

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person, the months and the transaction of the envelope."""
        if request.content_type != "text/xml":
            raise Breach("Content-Type is not text/xml", 415)
        if request.headers.get("SOAPAction") != ACTION:
            raise Breach("SOAPAction is wrong", 500)
        envelope = _envelope(body)
        self.signatures.check(envelope)
        question = _only_child(envelope)
        self._validate(question)
        cpr, search = _asked(question)
        if search.transaction_id != request.headers.get("x-requestId"):
            raise Breach("TransaktionIdentifikator is not the request id", 500)
        return Asked(cpr, search)

    def _validate(self, question: Element) -> None:
        """Raises Breach, naming the element that the schema does not take."""
        number = f".//{tag('cpr:PersonCivilRegistrationIdentifier')}"
        constructed = [one for one in question.iterfind(number) if _CONSTRUCTED.fullmatch(one.text or "")]
        kept = [one.text for one in constructed]
        for one in constructed:
            one.text = NOBODY
        try:
            self._questions.assertValid(question)
        except etree.DocumentInvalid as error:
            found = _AT_FAULT.search(str(error))
            raise _not_of_the_schema(found[1] if found else "the question") from None
        finally:
            for one, text in zip(constructed, kept, strict=True):
                one.text = text

    def answer(self, asked: Asked) -> Reply:
        """The reports of the months that were asked for; neither error nor persons when there are none."""
        search = _search(asked)
        if search.transaction_id in self._answered:
            return self._told(asked, fejl=TRANSACTION_USED)
        self._answered.add(search.transaction_id)
        return self._sealed(self._answer_to(asked))

    def _answer_to(self, asked: Asked) -> bytes:
        search, citizen = _search(asked), BY_CPR.get(asked.citizen or "")
        cpr = (citizen.answered_as if citizen else None) or asked.citizen or ""
        body = answer_about(cpr, self._wages(asked), search.reference, citizen.advis if citizen else None)
        body = body.replace(TRANSACTION.encode(), escape(search.transaction_id).encode())
        return body.replace(MOMENT.encode(), _now().encode())

    def _sealed(self, body: bytes, spoilt: str | None = None) -> Reply:
        return Reply(self.signatures.seal(body, spoilt), self.content_type)

    def concerns(self, fault: Fault, asked: Asked) -> bool:
        """An answer can be huge for a long range alone."""
        if isinstance(fault, Huge) and fault.over_months is not None:
            return _search(asked).months > fault.over_months
        return True

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """With an error inside an answer of status 200, with a SOAP Fault, or otherwise as any upstream."""
        match fault:
            case Fejl():
                return self._told(asked, fejl=fault.kode, with_data=fault.with_data)
            case Advis():
                return self._told(asked, advis=fault.kode, with_data=fault.with_data)
            case SoapFault():
                return self._fault(f"soap:{fault.code}", 500, "simulated")
            case Signature():
                return self._sealed(self._answer_to(asked), fault.how)
            case Broken(kind="strict_cpr"):
                return self._strictly(asked)
            case Broken(kind="too_much"):
                too_much = _search(asked).months > MONTHS_AT_ONCE
                return self._told(asked, fejl=TOO_MUCH) if too_much else self.answer(asked)
            case Broken(kind=kind) if kind in WHOLE:
                return self._sealed(self.variants(asked)[kind])
        return super().broken(fault, asked)

    def _strictly(self, asked: Asked) -> Reply:
        """As the real gateway, whose schema takes no replacement number."""
        number = etree.Element(tag("cpr:PersonCivilRegistrationIdentifier"))
        number.text = asked.citizen
        if self._numbers.validate(number):
            return self.answer(asked)
        refused = _not_of_the_schema("PersonCivilRegistrationIdentifier")
        return self.refusal(refused.status, refused.what)

    def refusal(self, status: int, text: str) -> Reply:
        """A SOAP Fault that blames the caller, or names what is wrong with their signature."""
        code, separator, rest = text.partition(": ")
        if separator and code.isalpha():
            return self._fault(f"wsse:{code}", status, rest)
        return self._fault("soap:Client", status, text)

    def forget(self) -> None:
        """Forgets which transactions were answered."""
        self._answered.clear()

    def _told(
        self, asked: Asked, *, fejl: str | None = None, advis: str | None = None, with_data: bool = False
    ) -> Reply:
        search = _search(asked)
        outcome = Outcome(search.transaction_id, _now(), fejl=fejl, advis=advis)
        wages = self._wages(asked)
        persons = [Person(asked.citizen or "", wages, search.reference)] if with_data and wages else []
        return self._sealed(as_bytes(answer(outcome, persons)))

    def _fault(self, code: str, status: int, text: str) -> Reply:
        return Reply(as_bytes(soap_fault(code, text)), self.content_type, status)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies for the faults that change what an answer says; each is made when it is asked for."""
        search = _search(asked)
        cpr, wages = asked.citizen or "", self._wages(asked)
        said = Outcome(search.transaction_id, _now())
        other = somebody_else(cpr, self.name)
        somebody = Person(cpr, wages or (ONE,))
        extra = Person(cpr, (*wages, replace(ONE, income_type=UNKNOWN_INCOME_TYPE)))
        another = Person(other.cpr, other.wages)
        mixed = [somebody, replace(another, wages=other.wages[:1])]
        return _Made(
            {
                "empty": lambda: as_bytes(answer(said, [])),
                "unknown_value": lambda: as_bytes(answer(said, [extra])),
                "missing_field": lambda: as_bytes(_without_income_type(answer(said, [somebody]))),
                "damaged": lambda: as_bytes(_damaged(answer(said, [somebody]))),
                "undeclared": lambda: as_bytes(_with_undeclared(answer(said, [somebody]))),
                "wrong_person": lambda: as_bytes(answer(said, [another])),
                "mixed_people": lambda: as_bytes(answer(said, mixed)),
                "invalid_body": lambda: _half(as_bytes(answer(said, [somebody]))),
                "invalid_encoding": lambda: as_bytes(answer(said, [somebody])).replace(b"</", b"\xff</", 1),
                "bomb": lambda: _laughing(answer(replace(said, advis="1"), [somebody])),
            }
        )

    def _wages(self, asked: Asked) -> tuple[Wages, ...]:
        citizen = BY_CPR.get(asked.citizen or "")
        return tuple(filter(_search(asked).has, citizen.wages if citizen else ()))


ONE = Wages("11111111", date(2020, 1, 1), date(2020, 1, 31))
"""A report for a citizen without any, and beside the others' own."""
WHOLE = frozenset({
    "empty", "unknown_value", "missing_field", "damaged", "undeclared", "wrong_person", "mixed_people",
})  # fmt: skip
"""The faults that leave an envelope that can be signed."""


class _Made(Mapping[str, bytes]):
    """Kind → body, each of which is made on the way out."""

    def __init__(self, made: Mapping[str, Callable[[], bytes]]) -> None:
        self._made = made

    def __getitem__(self, kind: str) -> bytes:
        return self._made[kind]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


@lru_cache(maxsize=1024)
def answer_about(cpr: str, wages: tuple[Wages, ...], reference: str | None = None, advis: str | None = None) -> bytes:
    """The answer of the contract, kept because to build it anew for each call takes longer than everything else.

    TRANSACTION and MOMENT stand in it for what is the call's own.
    """
    persons = [Person(cpr, wages, reference)] if wages else []
    return as_bytes(answer(Outcome(TRANSACTION, MOMENT, advis=advis), persons))


def as_bytes(envelope: Element) -> bytes:
    """An envelope as it is sent."""
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _not_of_the_schema(element: str) -> Breach:
    return Breach(f"schema validation failed: {element}", 500)


def _envelope(body: bytes) -> Element:
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        raise Breach("the body is not XML", 500) from None
    if envelope.tag != tag("soap:Envelope") or b"<!DOCTYPE" in body:
        raise Breach("the body is no SOAP 1.1 envelope", 500)
    return envelope


def _only_child(envelope: Element) -> Element:
    parts = list(envelope.iterchildren(etree.Element))
    if [part.tag for part in parts] not in ([tag("soap:Body")], [tag("soap:Header"), tag("soap:Body")]):
        raise Breach("the envelope is not a Header, if any, and a Body", 500)
    inside = list(parts[-1].iterchildren(etree.Element))
    if len(inside) != 1:
        raise Breach("the Body is not one question", 500)
    return inside[0]


def _asked(question: Element) -> tuple[str, Search]:
    """The person and what is asked of them, from a question that the schema takes. Raises Breach."""
    people = question.findall(f".//{tag('e:PersonIndkomstSoegeStruktur')}")
    if len(people) != 1:
        raise Breach("only questions about one person are simulated", 500)
    told = {str(one.tag).rpartition("}")[2]: (one.text or "").strip() for one in people[0].iter(etree.Element)}
    if "SoegePeriodeLukketStruktur" in told or "SoegeAarMaanedLukketStruktur" not in told:
        raise Breach("only searches by tax month are simulated", 500)
    first, last = told["SoegeAarMaanedFraKode"], told["SoegeAarMaanedTilKode"]
    if not (_MONTH.fullmatch(first) and _MONTH.fullmatch(last) and first <= last):
        raise Breach("the months are no range of yyyymm", 500)
    transaction_id = question.findtext(f".//{tag('kontekst:TransaktionIdentifikator')}") or ""
    payer = told.get("VirksomhedSENummerIdentifikator")
    reference = told.get("IndkomstOplysningAdgangReferenceNummerIdentifikator")
    return told["PersonCivilRegistrationIdentifier"], Search(transaction_id, first, last, payer, reference)


def _search(asked: Asked) -> Search:
    if not isinstance(asked.question, Search):
        raise TypeError("not a question to eIndkomst")
    return asked.question


def _without_income_type(envelope: Element) -> Element:
    """As from an agreement that does not cover field 012: no report says what it is."""
    number = f"{tag('e:BlanketFeltEnhedStruktur')}/{tag('blanketfelt:BlanketFeltNummerIdentifikator')}"
    for fields in envelope.iter(tag("e:AngivelseFeltSamling")):
        fields[:] = [field for field in fields if field.findtext(number) != field_number(INCOME_TYPE)]
    return envelope


def _damaged(envelope: Element) -> Element:
    """The first report's period has no day at all, which no schema allows; the others are well."""
    period = next(envelope.iter(tag("angivelse:AngivelsePeriode")))
    period[:] = []
    return envelope


def _with_undeclared(envelope: Element) -> Element:
    """With attributes and elements that no schema has, as a register sends them that has moved on."""
    for name in ("e:IndkomstOplysningPersonStruktur", "angivelse:AngivelsePeriode", "e:AngivelseNiveau1"):
        for element in list(envelope.iter(tag(name))):
            element.set("scheme", "imk")
    for name in ("e:LoenPeriodeOplysningStruktur", "kontekst:HovedOplysningerSvar"):
        for element in list(envelope.iter(tag(name))):
            etree.SubElement(element, UNDECLARED).text = "simulated"
    return envelope


def _half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def _laughing(envelope: Element) -> bytes:
    text = next(envelope.iter(tag("kontekst:AdvisTekst")))
    text.text = None
    text.append(etree.Entity("j"))
    return as_bytes(envelope).replace(b"<soap:Envelope", BILLION_LAUGHS + b"<soap:Envelope", 1)
