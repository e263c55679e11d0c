"""eIndkomst's answers, built as specified, so that a test says only what is special about its own."""

from dataclasses import dataclass, field

from domain.cpr import Cpr
from registerbro.upstreams.messages import Answer

CPR = Cpr.parse("6102991234")
OTHER_CPR = Cpr.parse("620399-1236")

BLOWN_UP_SECONDS = 5
"""Processor time that no answer takes on a busy machine, and that one which grows out of hand is far beyond."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
E = "http://rep.oio.dk/skat.dk/eindkomst/"
K = "http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/"
V = "http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/"
C = "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/"
NAMESPACES = {"soap": SOAP, "e": E, "k": K, "v": V, "c": C} | {
    "x06": "http://rep.oio.dk/xkom.dk/xml/schemas/2006/09/01/",
    "x07": "http://rep.oio.dk/xkom.dk/xml/schemas/2007/09/01/",
    "x0704": "http://rep.oio.dk/xkom.dk/xml/schemas/2007/04/15/",
    **{
        name: f"http://rep.oio.dk/skat.dk/eindkomst/class/{name}/xml/schemas/20071202/"
        for name in ("angivelse", "blanket", "blanketfelt", "feltenhedtype", "angivelsefelt")
    },
}

NAMESPACE_DECLARATIONS = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in NAMESPACES.items())

REPORTER, CVR, KIND, INCOME_TYPE, TAX_MONTH, MARKED = (f"1{number:017}" for number in (1, 6, 11, 12, 16, 21))


@dataclass
class Form:
    """One form: `fields` by the 18-digit number, `below` the forms at the next level."""

    number: str = "11000"
    fields: dict = field(default_factory=dict)
    below: list = field(default_factory=list)

    def xml(self, level=1):
        fields = "".join(
            "<e:AngivelseFeltIndholdStruktur><e:BlanketFeltEnhedStruktur>"
            f"<blanketfelt:BlanketFeltNummerIdentifikator>{number}</blanketfelt:BlanketFeltNummerIdentifikator>"
            "<feltenhedtype:FeltEnhedTypeKode>100000000000000014</feltenhedtype:FeltEnhedTypeKode>"
            "</e:BlanketFeltEnhedStruktur>"
            f"<angivelsefelt:AngivelseFeltIndholdTekst>{text}</angivelsefelt:AngivelseFeltIndholdTekst>"
            "</e:AngivelseFeltIndholdStruktur>"
            for number, text in self.fields.items()
        )
        below = "".join(form.xml(level + 1) for form in self.below)
        return (
            f"<e:AngivelseNiveau{level}>"
            f"<blanket:BlanketNummerIdentifikator>{self.number}</blanket:BlanketNummerIdentifikator>"
            f"<e:AngivelseFeltSamling>{fields}</e:AngivelseFeltSamling>"
            + (f"<e:UnderAngivelseSamling>{below}</e:UnderAngivelseSamling>" if level < 4 else "")
            + f"</e:AngivelseNiveau{level}>"
        )


def wages(kind="I", income_type="0", cvr="12345678", reporter=None, *, marked=None, **more):
    """Form 11000, with a form 16000 below it when it is `marked` as taken back, or expressly not."""
    fields = {REPORTER: reporter, CVR: cvr, KIND: kind, INCOME_TYPE: income_type, TAX_MONTH: "202201"}
    below = [] if marked is None else [Form("16000", {MARKED: marked})]
    return Form(fields={number: text for number, text in fields.items() if text is not None}, below=below, **more)


def interval(start=None, end=None, duration=None):
    """The parts of a DateInterval that are there."""
    return (
        ("" if start is None else f"<x06:StartDate>{start}</x06:StartDate>")
        + ("" if duration is None else f"<x07:DurationMeasure>{duration}</x07:DurationMeasure>")
        + ("" if end is None else f"<x0704:EndDate>{end}</x0704:EndDate>")
    )


def report(*forms, start="2022-01-01", end="2022-01-31", duration=None, own_id="r-1"):
    """One report; its dates are left out where None."""
    return (
        "<e:LoenPeriodeOplysningStruktur>"
        f"<angivelse:AngivelseVirksomhedEgenIdentifikator>{own_id}</angivelse:AngivelseVirksomhedEgenIdentifikator>"
        "<e:AngivelsePeriodeStruktur><angivelse:AngivelsePeriode>"
        f"{interval(start, end, duration)}</angivelse:AngivelsePeriode></e:AngivelsePeriodeStruktur>"
        "<e:AngivelseBlanketIndholdStruktur><e:AngivelseOplysningSamling>"
        f"{''.join(form.xml() for form in forms)}</e:AngivelseOplysningSamling>"
        "</e:AngivelseBlanketIndholdStruktur></e:LoenPeriodeOplysningStruktur>"
    )


def company(*reports, se="87654321"):
    return (
        "<e:IndberetningPligtigVirksomhed><e:IndberetningPligtigVirksomhedStruktur><e:IndberetningPligtigVirksomhed>"
        f"<v:VirksomhedSENummerIdentifikator>{se}</v:VirksomhedSENummerIdentifikator>"
        "</e:IndberetningPligtigVirksomhed></e:IndberetningPligtigVirksomhedStruktur>"
        f"<e:IndkomstLoenPeriodeSamling>{''.join(reports)}</e:IndkomstLoenPeriodeSamling>"
        "</e:IndberetningPligtigVirksomhed>"
    )


def person(*companies, cpr=CPR):
    return (
        "<e:IndkomstOplysningPersonStruktur>"
        f"<c:PersonCivilRegistrationIdentifier>{cpr.digits}</c:PersonCivilRegistrationIdentifier>"
        f"<e:IndkomstOplysningSamling>{''.join(companies)}</e:IndkomstOplysningSamling>"
        "</e:IndkomstOplysningPersonStruktur>"
    )


def persons(*all_of_them):
    return (
        "<e:IndkomstPersonUddata><e:IndkomstOplysningPersonSamling>"
        f"{''.join(all_of_them)}</e:IndkomstOplysningPersonSamling></e:IndkomstPersonUddata>"
    )


def error(code):
    return (
        f"<k:FejlStruktur><k:FejlIdentifikator>{code}</k:FejlIdentifikator>"
        "<k:FejlTekst>Fejl</k:FejlTekst></k:FejlStruktur>"
    )


def notice(code, text="Advis"):
    return (
        f"<k:AdvisStruktur><k:AdvisIdentifikator>{code}</k:AdvisIdentifikator>"
        f"<k:AdvisTekst>{text}</k:AdvisTekst></k:AdvisStruktur>"
    )


def outcome(*structures):
    return (
        "<k:HovedOplysningerSvar><k:TransaktionIdentifikator>r-1</k:TransaktionIdentifikator>"
        f"<k:SvarStruktur>{''.join(structures)}</k:SvarStruktur></k:HovedOplysningerSvar>"
    )


def envelope(content, header=""):
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope {NAMESPACE_DECLARATIONS}>'
        f"{header}<soap:Body>{content}</soap:Body></soap:Envelope>"
    ).encode()


def response(*parts):
    return envelope(f"<e:IndkomstOplysningPersonHent_O>{''.join(parts)}</e:IndkomstOplysningPersonHent_O>")


def fault(code, text="Fejl"):
    return envelope(f"<soap:Fault><faultcode>{code}</faultcode><faultstring>{text}</faultstring></soap:Fault>")


def about(*companies):
    """A whole answer that is well and holds one person's reports; nothing when there is no company."""
    return response(outcome(), *([persons(person(*companies))] if companies else []))


def answer(body, status=200, content_type="text/xml", charset="utf-8", retry_after=None):
    return Answer(status, content_type, charset, body, retry_after)
