"""Calls as the contracts want them, written out from the formats, so that a test says only what is special."""

import itertools
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

import httpx

from simulators import citizens

KNOWN = citizens.EXAMPLE.cpr
SERVICES = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
DFDG = ("udb", "su", "ydelse", *SERVICES)
REGISTERS = (*DFDG, "eindkomst")
UPSTREAMS = (*REGISTERS, "cvr", "booking_vendor")

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
E = "http://rep.oio.dk/skat.dk/eindkomst/"
K = "http://rep.oio.dk/skat.dk/basis/kontekst/xml/schemas/2006/09/01/"
V = "http://rep.oio.dk/skat.dk/motor/class/virksomhed/xml/schemas/20080401/"
C = "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/"
NS = {"soap": SOAP, "e": E, "k": K, "v": V, "c": C}
CLASS = "http://rep.oio.dk/skat.dk/eindkomst/class/{}/xml/schemas/20071202/"

# Of eIndkomst the address is all of it.
PATHS = {
    "udb": "/v1/UDBhaendelser",
    "su": "/v1/su-forloeb",
    "ydelse": "/v1/ydelse",
    "visitering": "/v2/VisiteringOgStatusStatus",
    "kontaktforloeb": "/v2/Indkaldelse",
    "jobsearch": "/v2/Joboenske",
    "borgerindsats": "/v1/Aktivitet",
    "eindkomst": "",
    "cvr": "/cvr-permanent/virksomhed/_search",
    "booking_vendor": "/v1/BorgerBooking/Fejlmelding",
}
SECOND_PATHS = {
    ("visitering", "absences"): "/v1/Fravaer/",
    ("kontaktforloeb", "deadlines"): "/v1/Borgerstatus",
    ("jobsearch", "history"): "/v2/Joboenske/historik",
    ("borgerindsats", "joblog"): "/v1/Joblog",
}
QUESTIONS = [*((name, None) for name in DFDG), *SECOND_PATHS]
"""What the registers behind DFDG are asked: each one's question, and the second one of a service that has two."""
LISTS = {
    ("udb", None): lambda whole: whole["haendelser"],
    ("su", None): lambda whole: whole["forloeb"],
    ("ydelse", None): lambda whole: whole["ydelser"]["ydelse"],
    ("visitering", None): lambda whole: whole["kontaktgrupper"],
    ("visitering", "absences"): lambda whole: whole["fravaer"],
    ("kontaktforloeb", None): lambda whole: whole["indkaldelser"],
    ("kontaktforloeb", "deadlines"): lambda whole: whole["Frister"]["Frist"] if "Frister" in whole else [],
    ("jobsearch", None): lambda whole: whole["joboensker"],
    ("jobsearch", "history"): lambda whole: whole["joboensker"],
    ("borgerindsats", None): lambda whole: (
        whole["aktiviteter"]["AktivitetOpsummering"]["aktivitet"] if "aktiviteter" in whole else []
    ),
    ("borgerindsats", "joblog"): lambda whole: whole["jobsoegningslogning"],
}
"""Where an answer to each of them has its items."""
REPORT = '{"Fejlkode": 1, "Fejltekst": "%s", "FejlOphav": 32, "FejlTidspunkt": "2023-03-13T09:15:00.123+01:00"}'

_ids = itertools.count(1)


@dataclass(frozen=True)
class Call:
    """One call; a header of None is left out."""

    method: str
    path: str
    headers: dict = field(default_factory=dict)
    content: bytes = b""

    def but(self, headers=None, **changed):
        return replace(self, headers=self.headers | (headers or {}), **changed)

    def send(self, url, **options):
        with self.stream(url, **options) as answer:
            answer.read()
        return answer

    def stream(self, url, timeout=10.0):
        headers = {name: text for name, text in self.headers.items() if text is not None}
        # There is no TLS here, so that loading the certificates of the world would only take time.
        options = {"headers": headers, "content": self.content, "timeout": timeout, "verify": False}
        return httpx.stream(self.method, url + self.path, **options)


def origin(url):
    """An upstream's address without a path, which is where its control endpoint is."""
    return str(httpx.URL(url).copy_with(path="/")).rstrip("/")


def call(upstream, citizen=KNOWN, **more):
    """A call of the contract; with a request id of its own, unless one is given. `operation` is a second question."""
    request_id = more.pop("request_id", None) or f"request-{next(_ids)}"
    common = {"x-requestId": request_id, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    operation = more.pop("operation", None)
    path = SECOND_PATHS[upstream, operation] if operation else PATHS[upstream]
    if upstream in DFDG:
        return Call("GET", path, common | {"x-civilRegistrationIdentifier": citizen})
    if upstream == "eindkomst":
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"getIndkomstOplysningPersonHent"'}
        return Call("POST", path, common | headers, soap(request_id, citizen, **more))
    if upstream == "cvr":
        return cvr(common, **more)
    return report(common, **more)


def subscribe(citizen=KNOWN, request_id=None, method="POST"):
    """A subscription at Ungedatabasen; with DELETE, its end."""
    headers = {"x-requestId": request_id or f"request-{next(_ids)}", "x-civilRegistrationIdentifier": citizen}
    if method == "DELETE":
        return Call(method, "/v1/UDBabonnement", headers)
    return Call(method, "/v1/UDBabonnement", headers | {"Content-Type": "application/json"}, b"{}")


def cvr(common, numbers=("11111111", "99999999"), size=""):
    wanted = ", ".join(number.lstrip("0") for number in numbers)
    terms = f'{{"query": {{"terms": {{"Vrvirksomhed.cvrNummer": [{wanted}]}}}}{size}}}'
    headers = {"Authorization": "Basic cmVnaXN0ZXJicm86cmVnaXN0ZXJicm8="}
    return Call("POST", PATHS["cvr"], common | headers, terms.encode())


def report(common, key="report-1", text="Kan ikke booke"):
    headers = {"Authorization": "Bearer registerbro", "Idempotency-Key": key}
    return Call("POST", PATHS["booking_vendor"], common | headers, (REPORT % text).encode())


def soap(transaction_id, citizen, first="200801", last="202611"):
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="{SOAP}" xmlns:e="{E}"><s:Body><e:IndkomstOplysningPersonHent_I>
  <k:HovedOplysninger xmlns:k="{K}"><k:TransaktionIdentifikator>{escape(transaction_id)}</k:TransaktionIdentifikator></k:HovedOplysninger>
  <e:IndkomstOplysningPersonInddata>
    <e:AbonnentAdgangStruktur>
      <AbonnentTypeKode xmlns="{CLASS.format("abonnenttype")}">3154</AbonnentTypeKode>
      <AbonnementTypeKode xmlns="{CLASS.format("abonnementtype")}">3154</AbonnementTypeKode>
      <AdgangFormaalTypeKode xmlns="{CLASS.format("adgangformaaltype")}">154</AdgangFormaalTypeKode>
    </e:AbonnentAdgangStruktur>
    <e:AbonnentStruktur><e:AbonnentVirksomhedStruktur><e:AbonnentVirksomhed>
      <v:VirksomhedSENummerIdentifikator xmlns:v="{V}">12345678</v:VirksomhedSENummerIdentifikator>
    </e:AbonnentVirksomhed></e:AbonnentVirksomhedStruktur></e:AbonnentStruktur>
    <e:IndkomstOplysningValg><e:IndkomstPersonSamling><e:PersonIndkomstSoegeStruktur>
      <c:PersonCivilRegistrationIdentifier xmlns:c="{C}">{citizen}</c:PersonCivilRegistrationIdentifier>
      <e:SoegeAarMaanedLukketStruktur>
        <SoegeAarMaanedFraKode xmlns="{CLASS.format("soegeaarmaanedfrakode")}">{first}</SoegeAarMaanedFraKode>
        <SoegeAarMaanedTilKode xmlns="{CLASS.format("soegeaarmaanedtilkode")}">{last}</SoegeAarMaanedTilKode>
      </e:SoegeAarMaanedLukketStruktur>
    </e:PersonIndkomstSoegeStruktur></e:IndkomstPersonSamling></e:IndkomstOplysningValg>
  </e:IndkomstOplysningPersonInddata>
</e:IndkomstOplysningPersonHent_I></s:Body></s:Envelope>""".encode()  # noqa: E501 - as it is on the wire
