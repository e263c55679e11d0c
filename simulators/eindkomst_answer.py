"""Answer of IndkomstOplysningPersonHent, element for element as its schemas are published."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from lxml import etree
from lxml.etree import _Element as Element

from simulators.citizens import BY_CPR
from simulators.register_data import Wages

SERVICE = "IndkomstOplysningPersonHent"
_CLASS = "http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/"
NAMESPACES = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "e": "http://rep.oio.dk/skat.dk/eindkomst/",
    "kontekst": "http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/",
    "virksomhed": "http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/",
    "cpr": "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/",
    "itst": "http://rep.oio.dk/itst.dk/xml/schemas/2006/01/17/",
    "dkcc": "http://rep.oio.dk/ebxml/xml/schemas/dkcc/2006/01/23/",
    "xkom06": "http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/",
    "xkom0704": "http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/",
    "xkom07": "http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/",
    **{
        name: _CLASS.format(name)
        for name in (
            *("indkomstoplysningadgangreferencenummer", "angivelse", "ansaettelseforhold", "indkomstpersongruppe"),
            *("supplerendepersonoplysning", "alternativadresse", "land"),
            *("blanket", "blanketfelt", "feltenhedtype", "angivelsefelt"),
        )
    },
}
"""Prefix → namespace; the prefixes are ours, and the namespaces are the register's."""

FORM_INCOME, FORM_EARNINGS, FORM_AMOUNTS = "11000", "16000", "16001"
"""The forms of levels 1, 2 and 3."""
WAGES = 0
"""The income type of ordinary pay."""
INCOME_TYPE = 12
DATE, TIME, TIMESTAMP, SE_NUMBER, CVR_NUMBER, MONTH, FLAG, TEXT, CODE, AMOUNT, HOURS = (
    *(1, 2, 3, 5, 6),
    *(9, 10, 12, 14, 16, 21),
)
UNITS = {
    1: SE_NUMBER, 3: DATE, 4: TIME, 6: CVR_NUMBER, 9: TIMESTAMP, 11: TEXT, INCOME_TYPE: CODE, 14: TEXT, 16: MONTH,
    19: CODE, 20: TEXT, 21: FLAG, 57: AMOUNT, 59: AMOUNT, 60: AMOUNT, 76: AMOUNT, 96: HOURS, 97: AMOUNT,
    151: FLAG, 159: TIMESTAMP, 191: TIMESTAMP,
}  # fmt: skip
"""Number of a field → of the unit in which it is. An assumption for 20, of which no unit is known."""


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an answer is about: the number that it names, the reports, and the question's case number."""

    cpr: str
    wages: tuple[Wages, ...]
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Head of an answer, about the call. `at` is an xs:dateTime; `fejl` and `advis` are codes of such structures."""

    transaction_id: str
    at: str
    fejl: str | None = None
    advis: str | None = None


def tag(name: str) -> str:
    """The name of an element as lxml has it, of `prefix:Name`."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def add(parent: Element, name: str, text: str | None = None) -> Element:
    """A new last child, named `prefix:Name`."""
    child = etree.SubElement(parent, tag(name))
    child.text = text
    return child


def answer(outcome: Outcome, persons: Iterable[Person]) -> Element:
    """The envelope of an answer; without persons there is no IndkomstPersonUddata at all."""
    envelope = etree.Element(tag("soap:Envelope"), nsmap=NAMESPACES)
    root = add(add(envelope, "soap:Body"), "e:IndkomstOplysningPersonHent_O")
    _add_outcome(root, outcome)
    found = list(persons)
    if found:
        people = add(add(root, "e:IndkomstPersonUddata"), "e:IndkomstOplysningPersonSamling")
        for person in found:
            _add_person(people, person)
    return envelope


def soap_fault(code: str, text: str) -> Element:
    """The envelope of a SOAP Fault, whose own elements are in no namespace."""
    envelope = etree.Element(tag("soap:Envelope"), nsmap={"soap": NAMESPACES["soap"], "wsse": WSSE})
    fault = add(add(envelope, "soap:Body"), "soap:Fault")
    for name, content in (("faultcode", code), ("faultstring", text)):
        etree.SubElement(fault, name).text = content
    return envelope


WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
"""A fault about a signature has its code from there."""


def _add_outcome(root: Element, outcome: Outcome) -> None:
    told = add(root, "kontekst:HovedOplysningerSvar")
    add(told, "kontekst:TransaktionIdentifikator", outcome.transaction_id)
    add(told, "kontekst:ServiceIdentifikator", SERVICE)
    add(told, "kontekst:TransaktionTid", outcome.at)
    svar = add(told, "kontekst:SvarStruktur")
    for kind, code in (("Advis", outcome.advis), ("Fejl", outcome.fejl)):
        if code is not None:
            structure = add(svar, f"kontekst:{kind}Struktur")
            add(structure, f"kontekst:{kind}Identifikator", code)
            add(structure, f"kontekst:{kind}Tekst", "simulated")


def _add_person(people: Element, person: Person) -> None:
    told = add(people, "e:IndkomstOplysningPersonStruktur")
    add(told, "cpr:PersonCivilRegistrationIdentifier", person.cpr)
    if person.reference is not None:
        reference = "IndkomstOplysningAdgangReferenceNummerIdentifikator"
        add(told, f"indkomstoplysningadgangreferencenummer:{reference}", person.reference)
    by_company: dict[str, list[tuple[Wages, str]]] = {}
    for report, own_id in zip(person.wages, own_ids(person), strict=True):
        by_company.setdefault(report.se_number, []).append((report, own_id))
    companies = add(told, "e:IndkomstOplysningSamling")
    for se_number, reports in by_company.items():
        company = add(companies, "e:IndberetningPligtigVirksomhed")
        payer = add(add(company, "e:IndberetningPligtigVirksomhedStruktur"), "e:IndberetningPligtigVirksomhed")
        add(payer, "virksomhed:VirksomhedSENummerIdentifikator", se_number)
        periods = add(company, "e:IndkomstLoenPeriodeSamling")
        for report, own_id in reports:
            _add_report(periods, report, own_id, person.cpr)


def own_ids(person: Person) -> Iterator[str]:
    """The own id of each report, in letters alone: the same for the same report, whatever else is asked for."""
    seen: Counter[Wages] = Counter()
    for report in person.wages:
        seen[report] += 1
        said = f"{person.cpr} {report} {seen[report]}"
        yield report.own_id or "".join(chr(ord("A") + byte % 26) for byte in sha256(said.encode()).digest()[:16])


def _add_report(periods: Element, report: Wages, own_id: str, cpr: str) -> None:
    told = add(periods, "e:LoenPeriodeOplysningStruktur")
    add(told, "angivelse:AngivelseVirksomhedEgenIdentifikator", own_id)
    period = add(add(told, "e:AngivelsePeriodeStruktur"), "angivelse:AngivelsePeriode")
    if report.start:
        add(period, "xkom06:StartDate", report.start.isoformat())
    if report.duration:
        add(period, "xkom07:DurationMeasure", report.duration)
    if report.end:
        add(period, "xkom0704:EndDate", report.end.isoformat())
    if report.staff:
        add(told, "ansaettelseforhold:AnsaettelseforholdMedarbejderIdentifikator", report.staff)
    if report.end:
        add(told, "indkomstpersongruppe:IndkomstPersonGruppeDispositionDato", report.end.isoformat())
    if report.names_person:
        _add_name(told, cpr)
    if report.forms:
        _add_forms(told, report)


def _add_name(told: Element, cpr: str) -> None:
    more = add(told, "e:SupplerendePersonOplysningStruktur")
    citizen = BY_CPR.get(cpr)
    add(more, "itst:PersonName", citizen.name if citizen else "Ukendt")
    add(more, "supplerendepersonoplysning:SupplerendePersonOplysningFoedselTekst", "0")
    add(more, "dkcc:PersonGenderCode", "unspecified")
    address = add(more, "e:AlternativAdresseStruktur")
    for number, line in enumerate(("Simulatorvej 1", "", "9999 Ingensteds"), 1):
        add(address, f"alternativadresse:AlternativAdresseAdresseLinie{number}", line)
    # The published type of the element demands the attribute.
    add(address, "land:LandKode", "5100").set("scheme", "imk")


def _add_forms(told: Element, report: Wages) -> None:
    forms = add(add(told, "e:AngivelseBlanketIndholdStruktur"), "e:AngivelseOplysningSamling")
    below = _add_form(forms, "e:AngivelseNiveau1", FORM_INCOME, _income(report))
    below = _add_form(below, "e:AngivelseNiveau2", FORM_EARNINGS, _earnings(report))
    _add_form(below, "e:AngivelseNiveau3", FORM_AMOUNTS, _amounts(report))


def _add_form(parent: Element, level: str, number: str, fields: dict[int, str]) -> Element:
    """One form; returns where those of the next level go."""
    form = add(parent, level)
    add(form, "blanket:BlanketNummerIdentifikator", number)
    told = add(form, "e:AngivelseFeltSamling")
    for field, text in fields.items():
        content = add(told, "e:AngivelseFeltIndholdStruktur")
        unit = add(content, "e:BlanketFeltEnhedStruktur")
        add(unit, "blanketfelt:BlanketFeltNummerIdentifikator", field_number(field))
        add(unit, "feltenhedtype:FeltEnhedTypeKode", f"1{UNITS[field]:08}")
        add(content, "angivelsefelt:AngivelseFeltIndholdTekst", text)
    return add(form, "e:UnderAngivelseSamling")


def field_number(field: int) -> str:
    """The number of a field as it is sent: a one, and the number in 17 digits."""
    return f"1{field:017}"


def _income(report: Wages) -> dict[int, str]:
    day = report.end or report.first_day
    received = f"{day:%Y-%m-%d}-10.15.00.000000"
    # The CVR number is the reporter's; as a number, it has no noughts in front.
    cvr = report.reporter or report.cvr
    return {
        1: report.reporter or report.se_number,
        3: f"{day:%Y%m%d}",
        4: "101500",
        **({6: cvr.lstrip("0")} if cvr else {}),
        9: received,
        11: report.kind,
        INCOME_TYPE: str(int(report.income_type)),
        14: "B",
        16: report.tax_month,
        **({151: "1"} if report.tax_month > f"{day:%Y%m}" else {}),
        159: received,
        191: received,
    }


def _earnings(report: Wages) -> dict[int, str]:
    # No month is the 13th, so that no production unit looks like a person.
    unit = f"1013{report.se_number[-6:]}"
    return {19: "1", 20: unit, **({21: "1"} if report.reversed_later else {})}


def _amounts(report: Wages) -> dict[int, str]:
    amounts = {57: "18500.00", 59: "6100.00", 60: "1480.00", 97: "20000.00"}
    worked = {76: "94.65", 96: "160.33"} if int(report.income_type) == WAGES else {}
    return dict(sorted((amounts | worked).items()))
