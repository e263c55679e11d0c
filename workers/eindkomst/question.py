"""Question to eIndkomst: IndkomstOplysningPersonHent's request as a SOAP envelope, signed where that is set up."""

from datetime import UTC, date, datetime

from lxml import etree
from lxml.etree import _Element as Element

from config.settings import EindkomstSettings
from domain.cpr import Cpr
from registerbro.upstreams.ws_security import Security
from workers.eindkomst.xml_names import CLASS, CPR, EINDKOMST, KONTEKST, PERSON_IDENTIFIER, SOAP, VIRKSOMHED

_UNSIGNED = Security()

_SUBSCRIBER_TYPE = CLASS.format("abonnenttype") + "AbonnentTypeKode"
_SUBSCRIPTION_TYPE = CLASS.format("abonnementtype") + "AbonnementTypeKode"
_ACCESS_PURPOSE = CLASS.format("adgangformaaltype") + "AdgangFormaalTypeKode"
_CASEWORKER = (
    CLASS.format("indkomstoplysningadgangmedarbejderidentifikator") + "IndkomstOplysningAdgangMedarbejderIdentifikator"
)
_FIRST_MONTH = CLASS.format("soegeaarmaanedfrakode") + "SoegeAarMaanedFraKode"
_LAST_MONTH = CLASS.format("soegeaarmaanedtilkode") + "SoegeAarMaanedTilKode"


def request(
    transaction_id: str,
    cpr: Cpr,
    settings: EindkomstSettings,
    first: date,
    last: date,
    *,
    secured: Security = _UNSIGNED,
) -> bytes:
    """Makes the request for a citizen's reports from the tax month of `first` to that of `last`, both included.

    `transaction_id` is the call's request id. The envelope is signed as of now, so that each call must have its own.
    """
    envelope = etree.Element(f"{SOAP}Envelope", nsmap={"soap": SOAP[1:-1], "e": EINDKOMST[1:-1]})
    root = _add(_add(envelope, f"{SOAP}Body"), f"{EINDKOMST}IndkomstOplysningPersonHent_I")
    context = _add(root, f"{KONTEKST}HovedOplysninger")
    _add(context, f"{KONTEKST}TransaktionIdentifikator", transaction_id)

    inddata = _add(root, f"{EINDKOMST}IndkomstOplysningPersonInddata")
    access = _add(inddata, f"{EINDKOMST}AbonnentAdgangStruktur")
    _add(access, _SUBSCRIBER_TYPE, str(settings.abonnent_type))
    _add(access, _SUBSCRIPTION_TYPE, str(settings.abonnement_type))
    _add(access, _ACCESS_PURPOSE, str(settings.adgang_formaal))
    subscriber = _add(inddata, f"{EINDKOMST}AbonnentStruktur")
    company = _add(_add(subscriber, f"{EINDKOMST}AbonnentVirksomhedStruktur"), f"{EINDKOMST}AbonnentVirksomhed")
    _add(company, f"{VIRKSOMHED}VirksomhedSENummerIdentifikator", settings.se_number)
    if settings.medarbejder_identifikator:
        _add(subscriber, _CASEWORKER, settings.medarbejder_identifikator)

    choice = _add(_add(inddata, f"{EINDKOMST}IndkomstOplysningValg"), f"{EINDKOMST}IndkomstPersonSamling")
    search = _add(choice, f"{EINDKOMST}PersonIndkomstSoegeStruktur")
    _add(search, CPR + PERSON_IDENTIFIER, cpr.digits)
    months = _add(search, f"{EINDKOMST}SoegeAarMaanedLukketStruktur")
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
