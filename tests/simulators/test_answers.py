"""What the upstreams answer when nothing is wrong, and how they notice a call that breaks the contract."""

import httpx
import pytest

from simulators import citizens
from tests.simulators.calls import DFDG, KNOWN, UPSTREAMS, Call, call

EVERYWHERE = pytest.mark.parametrize("upstream", UPSTREAMS)
BEHIND_DFDG = pytest.mark.parametrize("upstream", DFDG)


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
