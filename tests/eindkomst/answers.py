"""eIndkomst's answers, built as specified, so that a test says only what is special about its own."""

from dataclasses import dataclass, field

from workers.domain.cpr import Cpr
from workers.resilience.client import Answer

CPR = Cpr.parse("6102991234")
OTHER_CPR = Cpr.parse("620399-1236")

BLOWN_UP_SECONDS = 5
"""Processor time that no answer takes on a busy machine, and that one which grows out of hand is far beyond."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
E = "http://rep.oio.dk/skat.dk/eindkomst/"
K = "http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/"
V = "http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/"
C = "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/"

KIND, INCOME_TYPE, CVR, TAX_MONTH = (f"1000000000000000{number}" for number in ("11", "12", "06", "16"))


@dataclass
class Form:
    """One form: `fields` by the 18-digit number, `below` the forms nested in it."""

    number: str = "11000"
    fields: dict = field(default_factory=dict)
    below: list = field(default_factory=list)

    def xml(self, tag="AngivelseOplysningSamling"):
        fields = "".join(
            f"<e:AngivelseFeltSamling><e:BlanketFeltEnhedStruktur><e:BlanketFeltNummerIdentifikator>{number}"
            "</e:BlanketFeltNummerIdentifikator></e:BlanketFeltEnhedStruktur>"
            f"<e:AngivelseFeltIndholdTekst>{text}</e:AngivelseFeltIndholdTekst></e:AngivelseFeltSamling>"
            for number, text in self.fields.items()
        )
        below = "".join(form.xml("UnderAngivelseSamling") for form in self.below)
        number = f"<e:BlanketNummerIdentifikator>{self.number}</e:BlanketNummerIdentifikator>"
        return f"<e:{tag}>{number}{fields}{below}</e:{tag}>"


def wages(kind="I", income_type="00", cvr="12345678", **more):
    fields = {KIND: kind, INCOME_TYPE: income_type, CVR: cvr, TAX_MONTH: "202201"}
    return Form(fields={number: text for number, text in fields.items() if text is not None}, **more)


def period(*forms, start="2022-01-01", end="2022-01-31"):
    return (
        "<e:IndkomstLoenPeriodeSamling><e:AngivelsePeriodeStruktur><e:AngivelsePeriode>"
        f"<e:AngivelsePeriodeFraDato>{start}</e:AngivelsePeriodeFraDato>"
        f"<e:AngivelsePeriodeTilDato>{end}</e:AngivelsePeriodeTilDato>"
        "</e:AngivelsePeriode></e:AngivelsePeriodeStruktur><e:AngivelseBlanketIndholdStruktur>"
        f"{''.join(form.xml() for form in forms)}"
        "</e:AngivelseBlanketIndholdStruktur></e:IndkomstLoenPeriodeSamling>"
    )


def company(*periods, se="87654321"):
    return (
        "<e:IndkomstOplysningSamling><e:IndberetningPligtigVirksomhedStruktur><e:IndberetningPligtigVirksomhed>"
        f"<v:VirksomhedSENummerIdentifikator>{se}</v:VirksomhedSENummerIdentifikator>"
        "</e:IndberetningPligtigVirksomhed></e:IndberetningPligtigVirksomhedStruktur>"
        f"{''.join(periods)}</e:IndkomstOplysningSamling>"
    )


def person(*companies, cpr=CPR):
    return (
        "<e:IndkomstOplysningPersonStruktur>"
        f"<c:PersonCivilRegistrationIdentifier>{cpr.digits}</c:PersonCivilRegistrationIdentifier>"
        f"{''.join(companies)}</e:IndkomstOplysningPersonStruktur>"
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
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{SOAP}" xmlns:e="{E}" xmlns:k="{K}" '
        f'xmlns:v="{V}" xmlns:c="{C}">{header}<soap:Body>{content}</soap:Body></soap:Envelope>'
    ).encode()


def response(*parts):
    return envelope(f"<e:IndkomstOplysningPersonHent_O>{''.join(parts)}</e:IndkomstOplysningPersonHent_O>")


def fault(code):
    return envelope(f"<soap:Fault><faultcode>{code}</faultcode><faultstring>Fejl</faultstring></soap:Fault>")


def about(*companies):
    """A whole answer that is well and holds one person's reports."""
    return response(outcome(), persons(person(*companies)))


def answer(body, status=200, content_type="text/xml", charset="utf-8", retry_after=None):
    return Answer(status, content_type, charset, body, retry_after)
