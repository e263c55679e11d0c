"""What the upstreams answer when nothing is wrong, and how they notice a call that breaks the contract."""

import httpx
import pytest
from lxml import etree

from simulators import citizens
from tests.simulators.calls import DFDG, KNOWN, NS, UPSTREAMS, Call, call

EVERYWHERE = pytest.mark.parametrize("upstream", UPSTREAMS)
BEHIND_DFDG = pytest.mark.parametrize("upstream", DFDG)
OUTCOME = "soap:Body/e:IndkomstOplysningPersonHent_O/k:HovedOplysningerSvar"
PERSONS = (
    "soap:Body/e:IndkomstOplysningPersonHent_O/e:IndkomstPersonUddata/e:IndkomstOplysningPersonSamling/"
    "e:IndkomstOplysningPersonStruktur"
)
FORM = "e:AngivelseBlanketIndholdStruktur/e:AngivelseOplysningSamling"


def fields(form):
    return {
        field.findtext("e:BlanketFeltEnhedStruktur/e:BlanketFeltNummerIdentifikator", None, NS): field.findtext(
            "e:AngivelseFeltIndholdTekst", None, NS
        )
        for field in form.findall("e:AngivelseFeltSamling", NS)
    }


def error_code(answer):
    return etree.fromstring(answer.content).findtext(
        f"{OUTCOME}/k:SvarStruktur/k:FejlStruktur/k:FejlIdentifikator", None, NS
    )


def months(answer):
    """The months of an answer's reports, as they are reported."""
    forms = etree.fromstring(answer.content).iterfind(f".//{FORM}", NS)
    return [fields(form)["100000000000000016"] for form in forms]


def test_udb_answers_as_in_the_published_example(send):
    answer = send("udb").json()
    assert answer["civilRegistrationIdentifier"] == KNOWN
    assert answer["uddannelsesforloeb"][0] == {
        "type": "UDDANNELSE", "navn": "Htx", "kompetence": "KOMPETENCEGIVENDE", "status": "GENNEMFOERT",
        "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
        "startdato": "2015-08-10", "slutdato": "2018-06-27",
    }  # fmt: skip
    assert answer["uddannelsesforloeb"][3]["speciale"] == "Almen grunduddannelse"


def test_su_answers_with_registrations(send):
    answer = send("su").json()
    assert answer["civilRegistrationIdentifier"] == KNOWN
    assert answer["forloeb"][0] == {
        "uddannelsestype": "UNGDOMSUDDANNELSE", "uddannelse": "Hf", "startdato": "2019-08-01", "annulleret": False,
    }  # fmt: skip


def test_ydelse_repeats_the_person_in_each_benefit(send):
    (without_end, other) = send("ydelse").json()["ydelser"]["ydelse"]
    assert without_end == {
        "civilRegistrationIdentifier": KNOWN, "kyYdelsesIdentifier": "uddannelseshjaelp-2021-03-01",
        "startdato": "2021-03-01", "ydelsestype": "UDDANNELSESHJAELP", "samtidigJob": True,
    }  # fmt: skip
    assert (other["slutdato"], other["samtidigJob"]) == ("2020-07-15", False)


@BEHIND_DFDG
@pytest.mark.parametrize("cpr", [citizens.STRANGER, citizens.UNKNOWN.cpr])
def test_whom_the_registers_behind_dfdg_do_not_know_is_error_1010(send, upstream, cpr):
    answer = send(upstream, citizen=cpr)
    assert (answer.status_code, answer.json()["fejl"][0]["kode"]) == (404, "1010")


@BEHIND_DFDG
def test_who_is_known_and_has_nothing_gets_an_empty_answer(send, upstream):
    answer = send(upstream, citizen=citizens.EMPTY.cpr)
    assert answer.status_code == 200
    assert b"[]" in answer.content


@pytest.mark.parametrize("cpr", [citizens.STRANGER, citizens.EMPTY.cpr])
def test_eindkomst_answers_with_neither_error_nor_persons_when_it_has_nothing(send, cpr):
    answer = send("eindkomst", citizen=cpr)
    assert answer.status_code == 200
    assert error_code(answer) is None
    assert etree.fromstring(answer.content).find(PERSONS, NS) is None


def test_an_answer_of_eindkomst_has_the_published_structure(send):
    answer = send("eindkomst", request_id="r-<&>-1")
    envelope = etree.fromstring(answer.content)
    assert answer.headers["Content-Type"] == "text/xml"
    assert envelope.findtext(f"{OUTCOME}/k:TransaktionIdentifikator", None, NS) == "r-<&>-1"
    assert envelope.findtext(f"{OUTCOME}/k:SvarStruktur/k:AdvisStruktur/k:AdvisIdentifikator", None, NS)
    (person,) = envelope.findall(PERSONS, NS)
    assert person.findtext("c:PersonCivilRegistrationIdentifier", None, NS) == KNOWN
    companies = person.findall("e:IndkomstOplysningSamling", NS)
    number = "e:IndberetningPligtigVirksomhedStruktur/e:IndberetningPligtigVirksomhed/v:VirksomhedSENummerIdentifikator"
    assert [company.findtext(number, None, NS) for company in companies] == ["11111111", "22222222"]
    first = companies[0].find("e:IndkomstLoenPeriodeSamling", NS)
    period = first.find("e:AngivelsePeriodeStruktur/e:AngivelsePeriode", NS)
    assert period.findtext("e:AngivelsePeriodeFraDato", None, NS) == "2019-01-01"
    assert period.findtext("e:AngivelsePeriodeTilDato", None, NS) == "2019-01-31"
    form = first.find(FORM, NS)
    assert form.findtext("e:BlanketNummerIdentifikator", None, NS) == "11000"
    assert fields(form) == {
        "100000000000000006": "11111111",
        "100000000000000011": "I",
        "100000000000000012": "00",
        "100000000000000016": "201901",
    }
    below = form.find("e:UnderAngivelseSamling", NS)
    assert below.findtext("e:BlanketNummerIdentifikator", None, NS) != "11000"
    assert fields(below)


def test_eindkomst_gives_reports_as_they_came_corrections_and_all(send):
    envelope = etree.fromstring(send("eindkomst", citizen=citizens.RAW_REPORTS.cpr).content)
    forms = [fields(form) for form in envelope.iterfind(f".//{FORM}", NS)]
    assert [form["100000000000000011"] for form in forms] == ["I", "I", "T", "I", "I", "I"]
    assert [form.get("100000000000000006") for form in forms][-3:] == ["66666666", "66666666", None]
    assert len(envelope.findall(".//e:IndberetningPligtigVirksomhed", NS)) == 4


def test_every_month_of_a_job_is_a_report_of_its_own(send):
    assert months(send("eindkomst", citizen=citizens.NEARLY_25.cpr)) == [f"2024{month:02}" for month in range(1, 7)]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [("202403", "202404", ["202403", "202404"]), ("202407", "202612", []), ("200801", "202401", ["202401"])],
)
def test_eindkomst_answers_for_the_months_that_were_asked_for_alone(send, first, last, found):
    assert months(send("eindkomst", citizen=citizens.NEARLY_25.cpr, first=first, last=last)) == found


def test_a_transaction_id_is_answered_once(send):
    assert error_code(send("eindkomst", request_id="r-1")) is None
    assert error_code(send("eindkomst", request_id="r-1")) == "500"
    assert error_code(send("eindkomst", request_id="r-2")) is None


def test_a_transaction_id_that_had_no_success_may_come_again(control, send):
    control.fault("eindkomst", {"kind": "status", "status": 503, "times": 1})
    send("eindkomst", request_id="r-1")
    assert error_code(send("eindkomst", request_id="r-1")) is None


@pytest.mark.parametrize(
    ("first", "last", "code"), [("202401", "202412", None), ("202401", "202501", "410"), ("200801", "202611", "410")]
)
def test_eindkomst_can_refuse_more_than_a_year_at_once(control, send, first, last, code):
    control.fault("eindkomst", {"kind": "too_much"})
    assert error_code(send("eindkomst", first=first, last=last)) == code


def test_cvr_gives_the_names_that_it_knows(send):
    hits = send("cvr").json()["hits"]["hits"]
    assert [hit["_source"]["Vrvirksomhed"] for hit in hits] == [
        {"cvrNummer": 11111111, "virksomhedMetadata": {"nyesteNavn": {"navn": "Føtex Ærøskøbing"}}}
    ]


@pytest.mark.parametrize(("size", "hits"), [("", 10), (', "size": 40', 40), (', "size": 3', 3)])
def test_cvr_gives_ten_hits_unless_it_is_asked_for_more(send, size, hits):
    numbers = [f"6000{n:04}" for n in range(1, 41)]
    assert len(send("cvr", numbers=numbers, size=size).json()["hits"]["hits"]) == hits


@pytest.mark.parametrize("citizen", citizens.CITIZENS, ids=lambda citizen: citizen.name)
def test_cvr_knows_every_employer_but_the_one_that_is_there_for_that(citizen):
    assert {wages.cvr for wages in citizen.wages} - {None, "99999999"} <= citizens.COMPANIES.keys()


def test_the_vendor_keeps_a_report_once_however_often_it_comes(control, send):
    first, second = send("booking_vendor"), send("booking_vendor")
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"sagsnummer": "FM-2023-000001"}
    (kept,) = control.reports().values()
    assert (kept["received"], kept["report"]["beskrivelse"]) == (2, "Kan ikke booke")


def test_the_vendor_has_stored_a_report_whose_answer_was_lost_on_the_way(control, send):
    control.fault("booking_vendor", {"kind": "truncated", "times": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        send("booking_vendor")
    assert send("booking_vendor").status_code == 200
    assert control.reports()["report-1"]["received"] == 2


A_REPORT = call("booking_vendor").content

BREACHES = [
    *((upstream, {"x-requestId": None}, "x-requestId is missing or too long", 400) for upstream in UPSTREAMS),
    *((upstream, {"x-requestId": "r" * 47}, "x-requestId is missing or too long", 400) for upstream in UPSTREAMS),
    *((upstream, {"x-civilRegistrationIdentifier": None}, "is missing", 400) for upstream in DFDG),
    *((upstream, {"x-civilRegistrationIdentifier": "610299-1234"}, "is not ten digits", 400) for upstream in DFDG),
    ("eindkomst", {"SOAPAction": None}, "SOAPAction is wrong", 400),
    ("eindkomst", {"SOAPAction": '"urn:other"'}, "SOAPAction is wrong", 400),
    ("eindkomst", {"Content-Type": "application/soap+xml"}, "Content-Type is not text/xml", 400),
    ("eindkomst", {"x-requestId": "another"}, "TransaktionIdentifikator is not the request id", 400),
    ("cvr", {"Authorization": None}, "wrong user or password", 401),
    ("cvr", {"Authorization": "Basic bm86bm8="}, "wrong user or password", 401),
    ("booking_vendor", {"Authorization": None}, "wrong token", 401),
    ("booking_vendor", {"Authorization": "Bearer no"}, "wrong token", 401),
    ("booking_vendor", {"Idempotency-Key": None}, "Idempotency-Key is missing", 400),
    ("booking_vendor", {"Idempotency-Key": "another"}, "fejlmeldingsId is not the Idempotency-Key", 400),
]


def assert_noticed(control, upstream, breach):
    (kept,) = control.calls(upstream).calls
    assert breach in kept.broke_contract
    assert control.calls(upstream).by_citizen == {}


@pytest.mark.parametrize(("upstream", "headers", "breach", "status"), BREACHES)
def test_a_header_that_is_not_of_the_contract_is_refused_and_noted(control, send, upstream, headers, breach, status):
    assert send(upstream, call(upstream).but(headers)).status_code == status
    assert_noticed(control, upstream, breach)


@EVERYWHERE
@pytest.mark.parametrize("spelling", ["?cpr=6102991234", "/6102991234", "?cpr=610299-1234"])
def test_a_cpr_number_in_the_url_is_refused_and_noted(control, send, upstream, spelling):
    right = call(upstream)
    assert send(upstream, right.but(path=right.path + spelling)).status_code == 400
    assert_noticed(control, upstream, "a CPR number in the URL")


@EVERYWHERE
@pytest.mark.parametrize("wrong", [{"method": "DELETE"}, {"path": "/other"}])
def test_another_path_or_method_is_not_found_and_noted(control, send, upstream, wrong):
    assert send(upstream, call(upstream).but(**wrong)).status_code == 404
    assert_noticed(control, upstream, "not ")


def changed(upstream, old, new, **about):
    right = call(upstream, **about)
    assert old in right.content
    return right.but(content=right.content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "breach"),
    [
        (b"</s:Envelope>", b"", "not XML"),
        (b"<s:Envelope", b'<!DOCTYPE x [<!ENTITY a "b">]><s:Envelope', "no SOAP 1.1 envelope"),
        (b"http://schemas.xmlsoap.org/soap/envelope/", b"http://www.w3.org/2003/05/soap-envelope", "no SOAP 1.1"),
        (b"abonnenttype/xml/schemas/20071202/", b"abonnenttype/", "AbonnentTypeKode is missing"),
        (b">12345678<", b"><", "VirksomhedSENummerIdentifikator is missing"),
        (b"cpr.dk/xml/schemas/core", b"cpr.dk/xml/other", "PersonCivilRegistrationIdentifier is missing"),
        (b"6102991234", b"610299-1234", "not ten digits"),
        (b"200801", b"2008-01", "no range of yyyymm"),
        (b"200801", b"200813", "no range of yyyymm"),
        (b"200801", b"202701", "no range of yyyymm"),
    ],
)
def test_a_soap_request_that_is_not_of_the_contract_is_refused_and_noted(control, send, old, new, breach):
    answer = send("eindkomst", changed("eindkomst", old, new))
    assert answer.status_code == 400
    assert_noticed(control, "eindkomst", breach)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"query": {"terms": {}}}', b'{"query": {"terms": 7}}'])
def test_a_search_in_cvr_that_is_none_is_refused_and_noted(control, send, body):
    assert send("cvr", call("cvr").but(content=body)).status_code == 400
    assert_noticed(control, "cvr", "no terms query")


@pytest.mark.parametrize(
    ("text", "status"),
    [("x" * 500, 201), ("x" * 501, 400), ("😀" * 250, 201), ("😀" * 250 + "x", 400), ("\\n" * 500, 201)],
)
def test_the_vendor_takes_500_utf_16_units(control, send, text, status):
    assert send("booking_vendor", text=text).status_code == status
    (kept,) = control.calls("booking_vendor").calls
    assert kept.broke_contract == {201: None, 400: "beskrivelse is too long"}[status]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"fejlmeldingsId": "report-1"}',
        A_REPORT.replace(b"03-13", b"02-30"),
        A_REPORT.replace(b"+01:00", b""),
    ],
)
def test_a_report_that_is_none_is_refused_and_noted(control, send, body):
    assert send("booking_vendor", call("booking_vendor").but(content=body)).status_code == 400
    assert_noticed(control, "booking_vendor", "no report")
    assert control.reports() == {}


@pytest.mark.parametrize(
    ("upstream", "form"),
    [
        *((upstream, lambda answer: answer.json()["fejl"][0]["kode"] == "1001") for upstream in DFDG),
        ("eindkomst", lambda answer: b"<faultcode>soap:Client</faultcode>" in answer.content),
        ("cvr", lambda answer: answer.json()["status"] == 400),
        ("booking_vendor", lambda answer: "x-requestId" in answer.json()["fejl"]),
    ],
)
def test_a_refusal_is_in_the_upstreams_own_form(send, upstream, form):
    answer = send(upstream, call(upstream).but({"x-requestId": None}))
    assert answer.status_code == 400
    assert form(answer)


def test_a_call_that_breaks_the_contract_does_not_reach_the_faults(control, send):
    control.fault("udb", {"kind": "status", "status": 503, "times": 1})
    assert send("udb", Call("GET", "/v1/ungedata")).status_code == 400
    assert send("udb").status_code == 503
