"""eIndkomst: Skatteforvaltningen's IndkomstOplysningPersonHent over SOAP 1.1."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from xml.sax.saxutils import escape

from aiohttp import web
from lxml import etree
from lxml.builder import ElementMaker
from lxml.etree import _Element as Element

from simulators.citizens import BY_CPR, Wages, somebody_else
from simulators.faults import Broken, Fault, Fejl, Signature, SoapFault
from simulators.protocol import Asked, Breach, Protocol, Reply, cpr_number
from simulators.signatures import Signatures

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
E = "http://rep.oio.dk/skat.dk/eindkomst/"
KONTEKST = "http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/"
VIRKSOMHED = "http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/"
CPR = "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/"
CLASS = "http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/"

TOO_MUCH = "410"
"""An assumption: with which code too long a range is refused is not public."""
TRANSACTION_USED = "500"
MONTHS_AT_ONCE = 12
FORM_INCOME = "11000"
FORM_DETAILS = "15000"
"""An assumption: the number of a form with the amounts, which lies below the other."""
UNKNOWN_INCOME_TYPE = "77"
TRANSACTION = "the-transaction"
"""Where the transaction's id goes in an answer that is kept."""
_MONTH = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])")

NAMESPACES = {"e": E, "k": KONTEKST, "v": VIRKSOMHED, "c": CPR, "soap": SOAP}
e, kontekst, virksomhed, cpr_ns, soap = (
    ElementMaker(namespace=namespace, nsmap=NAMESPACES) for namespace in NAMESPACES.values()
)

BILLION_LAUGHS = (
    '<!DOCTYPE soap:Envelope [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(n + 1)} "{f"&{chr(n)};" * 10}">' for n in range(ord("a"), ord("j")))
    + "]>"
).encode()
"""The last entity, j, stands for 10⁹ times two letters."""


@dataclass(frozen=True, slots=True)
class Search:
    """One question: the transaction's id, and the months from `first` to `last` as yyyymm."""

    transaction_id: str
    first: str
    last: str

    @property
    def months(self) -> int:
        """How many months are asked for."""
        return (int(self.last[:4]) - int(self.first[:4])) * 12 + int(self.last[4:]) - int(self.first[4:]) + 1


class Eindkomst(Protocol):
    """The service; each transaction id is answered once."""

    name = "eindkomst"
    method = "POST"
    path = "/"
    content_type = "text/xml"
    own_faults = frozenset({
        "fejl", "soap_fault", "too_much", "wrong_person", "mixed_people", "unknown_value", "empty", "signature",
    })  # fmt: skip

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self.signatures = Signatures()
        """What is expected of questions, and how answers are signed: neither, unless somebody sets it."""

    def understand(self, request: web.Request, body: bytes) -> Asked:
        """The person, the months and the transaction of the envelope."""
        if request.headers.get("SOAPAction") != '"getIndkomstOplysningPersonHent"':
            raise Breach("SOAPAction is wrong")
        if request.content_type != "text/xml":
            raise Breach("Content-Type is not text/xml")
        try:
            parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            envelope = etree.fromstring(body, parser)
        except etree.XMLSyntaxError:
            raise Breach("the body is not XML") from None
        if envelope.tag != f"{{{SOAP}}}Envelope" or b"<!DOCTYPE" in body:
            raise Breach("the body is no SOAP 1.1 envelope")
        self.signatures.check(envelope)
        root = f"{{{SOAP}}}Body/{{{E}}}IndkomstOplysningPersonHent_I"
        inddata = f"{root}/{{{E}}}IndkomstOplysningPersonInddata"
        access = f"{inddata}/{{{E}}}AbonnentAdgangStruktur"
        choice = (
            f"{inddata}/{{{E}}}IndkomstOplysningValg/{{{E}}}IndkomstPersonSamling/{{{E}}}PersonIndkomstSoegeStruktur"
        )
        months = f"{choice}/{{{E}}}SoegeAarMaanedLukketStruktur"
        subscriber = f"{inddata}/{{{E}}}AbonnentStruktur/{{{E}}}AbonnentVirksomhedStruktur/{{{E}}}AbonnentVirksomhed"
        for path in (
            f"{access}/{{{CLASS.format('abonnenttype')}}}AbonnentTypeKode",
            f"{access}/{{{CLASS.format('abonnementtype')}}}AbonnementTypeKode",
            f"{access}/{{{CLASS.format('adgangformaaltype')}}}AdgangFormaalTypeKode",
            f"{subscriber}/{{{VIRKSOMHED}}}VirksomhedSENummerIdentifikator",
        ):
            _text(envelope, path)
        search = Search(
            _text(envelope, f"{root}/{{{KONTEKST}}}HovedOplysninger/{{{KONTEKST}}}TransaktionIdentifikator"),
            _text(envelope, f"{months}/{{{CLASS.format('soegeaarmaanedfrakode')}}}SoegeAarMaanedFraKode"),
            _text(envelope, f"{months}/{{{CLASS.format('soegeaarmaanedtilkode')}}}SoegeAarMaanedTilKode"),
        )
        if search.transaction_id != request.headers.get("x-requestId"):
            raise Breach("TransaktionIdentifikator is not the request id")
        if not (_MONTH.fullmatch(search.first) and _MONTH.fullmatch(search.last) and search.first <= search.last):
            raise Breach("the months are no range of yyyymm")
        name = "PersonCivilRegistrationIdentifier"
        return Asked(cpr_number(envelope.findtext(f"{choice}/{{{CPR}}}{name}"), name), search)

    def answer(self, asked: Asked) -> Reply:
        """The reports of the months that were asked for; neither error nor persons when there are none."""
        search = _search(asked)
        if search.transaction_id in self._answered:
            return self._fejl(asked, TRANSACTION_USED)
        self._answered.add(search.transaction_id)
        return self._said(self._answer_to(asked))

    def _answer_to(self, asked: Asked) -> bytes:
        body = answer_about(asked.citizen or "", self._wages(asked))
        return body.replace(TRANSACTION.encode(), escape(_search(asked).transaction_id).encode())

    def _said(self, body: bytes, spoilt: str | None = None) -> Reply:
        return Reply(self.signatures.seal(body, spoilt), self.content_type)

    def broken(self, fault: Fault, asked: Asked) -> Reply:
        """With an error inside an answer of status 200, with a SOAP Fault, or otherwise as any upstream."""
        match fault:
            case Fejl():
                return self._fejl(asked, fault.kode, with_data=fault.with_data)
            case SoapFault():
                return self._soap_fault(f"soap:{fault.code}", 500, "simulated")
            case Signature():
                return self._said(self._answer_to(asked), fault.how)
            case Broken(kind="empty" | "unknown_value" | "missing_field" | "wrong_person" | "mixed_people" as kind):
                return self._said(self.variants(asked)[kind])
            case Broken(kind="too_much"):
                return self._fejl(asked, TOO_MUCH) if _search(asked).months > MONTHS_AT_ONCE else self.answer(asked)
        return super().broken(fault, asked)

    def refusal(self, status: int, text: str) -> Reply:
        """A SOAP Fault that blames the caller, or names what is wrong with their signature."""
        code, separator, rest = text.partition(": ")
        if separator and code.isalpha():
            return self._soap_fault(f"wsse:{code}", status, rest)
        return self._soap_fault("soap:Client", status, text)

    def forget(self) -> None:
        """Forgets which transactions were answered."""
        self._answered.clear()

    def _fejl(self, asked: Asked, kode: str, *, with_data: bool = False) -> Reply:
        persons = [person(asked.citizen or "", self._wages(asked))] if with_data else []
        outcome = _outcome(_search(asked).transaction_id, kode)
        return self._said(_xml(response(outcome, persons)))

    def _soap_fault(self, code: str, status: int, text: str) -> Reply:
        fault = soap.Fault(etree.Element("faultcode"), etree.Element("faultstring"))
        fault[0].text, fault[1].text = code, text
        return Reply(_xml(soap.Envelope(soap.Body(fault))), self.content_type, status)

    def variants(self, asked: Asked) -> Mapping[str, bytes]:
        """Bodies that break the contract, each in one way."""
        cpr, wages, transaction_id = asked.citizen or "", self._wages(asked), _search(asked).transaction_id
        one = Wages("11111111", date(2020, 1, 1), date(2020, 1, 31))
        other = somebody_else(cpr, self.name)

        def said(*persons: Element) -> bytes:
            return _xml(response(_outcome(transaction_id), persons))

        whole = said(person(cpr, wages or (one,)))
        lacking = person(cpr, (*wages, one))
        for company in lacking.iter(f"{{{E}}}IndberetningPligtigVirksomhed"):
            company[:] = []
        laughing = _outcome(transaction_id)
        laughing[-1][0].append(kontekst.AdvisTekst(etree.Entity("j")))
        bomb = _xml(response(laughing, [person(cpr, wages)]))
        return {
            "empty": said(),
            "unknown_value": said(person(cpr, (*wages, replace(one, income_type=UNKNOWN_INCOME_TYPE)))),
            "missing_field": said(lacking),
            "wrong_person": said(person(other.cpr, other.wages)),
            "mixed_people": said(person(cpr, wages), person(other.cpr, other.wages[:1])),
            "invalid_body": whole[: len(whole) // 2],
            "invalid_encoding": whole.replace(b"</", b"\xff</", 1),
            "bomb": bomb.replace(b"<soap:Envelope", BILLION_LAUGHS + b"<soap:Envelope", 1),
        }

    def _wages(self, asked: Asked) -> tuple[Wages, ...]:
        search = _search(asked)
        citizen = BY_CPR.get(asked.citizen or "")
        found = citizen.wages if citizen else ()
        return tuple(wages for wages in found if search.first <= f"{wages.start:%Y%m}" <= search.last)


@lru_cache(maxsize=1024)
def answer_about(cpr: str, wages: tuple[Wages, ...]) -> bytes:
    """The answer of the contract, kept because to build it anew for each call takes longer than everything else."""
    persons = [person(cpr, wages)] if wages else []
    return _xml(response(_outcome(TRANSACTION), persons))


def _xml(envelope: Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="utf-8")


def _search(asked: Asked) -> Search:
    if not isinstance(asked.question, Search):
        raise TypeError("not a question to eIndkomst")
    return asked.question


def _text(envelope: Element, path: str) -> str:
    text = envelope.findtext(path)
    if not text:
        raise Breach(f"{path.rpartition('}')[2]} is missing")
    return text


def _outcome(transaction_id: str, kode: str | None = None) -> Element:
    outcome = kontekst.SvarStruktur()
    if kode is not None:
        outcome.append(kontekst.FejlStruktur(kontekst.FejlIdentifikator(kode), kontekst.FejlTekst("simulated")))
    else:
        outcome.append(kontekst.AdvisStruktur(kontekst.AdvisIdentifikator("100")))
    return kontekst.HovedOplysningerSvar(kontekst.TransaktionIdentifikator(transaction_id), outcome)


def response(outcome: Element, persons: Iterable[Element]) -> Element:
    """The envelope of an answer."""
    found = list(persons)
    parts = [outcome]
    if found:
        parts.append(e.IndkomstPersonUddata(e.IndkomstOplysningPersonSamling(*found)))
    return soap.Envelope(soap.Body(e.IndkomstOplysningPersonHent_O(*parts)))


def person(cpr: str, wages: Iterable[Wages]) -> Element:
    """One person with the reports of each company."""
    by_company: dict[str, list[Wages]] = {}
    for report in wages:
        by_company.setdefault(report.se_number, []).append(report)
    return e.IndkomstOplysningPersonStruktur(
        cpr_ns.PersonCivilRegistrationIdentifier(cpr),
        *(
            e.IndkomstOplysningSamling(
                e.IndberetningPligtigVirksomhedStruktur(
                    e.IndberetningPligtigVirksomhed(virksomhed.VirksomhedSENummerIdentifikator(company))
                ),
                *(_period(report) for report in reports),
            )
            for company, reports in by_company.items()
        ),
    )


def _period(report: Wages) -> Element:
    return e.IndkomstLoenPeriodeSamling(
        e.AngivelsePeriodeStruktur(
            e.AngivelsePeriode(
                e.AngivelsePeriodeFraDato(report.start.isoformat()), e.AngivelsePeriodeTilDato(report.end.isoformat())
            )
        ),
        e.AngivelseBlanketIndholdStruktur(
            e.AngivelseOplysningSamling(
                e.BlanketNummerIdentifikator(FORM_INCOME),
                *([_field(6, report.cvr)] if report.cvr else []),
                _field(11, report.kind),
                _field(12, report.income_type),
                _field(16, f"{report.start:%Y%m}"),
                e.UnderAngivelseSamling(e.BlanketNummerIdentifikator(FORM_DETAILS), _field(13, "18500")),
            )
        ),
    )


def _field(number: int, text: str) -> Element:
    return e.AngivelseFeltSamling(
        e.BlanketFeltEnhedStruktur(e.BlanketFeltNummerIdentifikator(f"1{number:017}")),
        e.AngivelseFeltIndholdTekst(text),
    )
