"""What the upstreams answer when nothing is wrong, and how they notice a call that breaks the contract."""

import pytest

from simulators import citizens
from tests.simulators.calls import DFDG, KNOWN, LISTS, QUESTIONS, SECOND_PATHS, UPSTREAMS, Call, call

EVERYWHERE = pytest.mark.parametrize("upstream", UPSTREAMS)
BEHIND_DFDG = pytest.mark.parametrize(("upstream", "operation"), QUESTIONS)


def test_udb_answers_with_events(send):
    answer = send("udb").json()
    assert answer["civilRegistrationIdentifier"] == KNOWN
    begun, completed, *others = answer["haendelser"]
    assert (begun.pop("haendelsesIdentifier"), completed.pop("haendelsesIdentifier")) == (
        "h-OPTAGELSE-2015-08-10-280051-2047", "h-FULDFOERELSE-2018-06-27-280051-2047"
    )  # fmt: skip
    htx = {
        "uddannelse": {"kode": "2047", "navn": "Htx", "type": "UDDANNELSE", "kompetence": "KOMPETENCEGIVENDE"},
        "institution": {"nummer": "280051", "navn": "NEXT Uddannelse"},
    }
    assert begun == htx | {"haendelsestype": "OPTAGELSE", "dato": "2015-08-10"}
    assert completed == htx | {"haendelsestype": "FULDFOERELSE", "dato": "2018-06-27"}
    (fgu, _) = (event for event in others if event["uddannelse"]["type"] == "FGU")
    assert fgu["speciale"] == "Almen grunduddannelse"


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
def test_whom_the_registers_behind_dfdg_do_not_know_is_error_1010(send, upstream, operation, cpr):
    answer = send(upstream, citizen=cpr, operation=operation)
    assert (answer.status_code, answer.json()["fejl"][0]["kode"]) == (404, "1010")


@BEHIND_DFDG
def test_who_is_known_and_has_nothing_gets_an_empty_answer(send, upstream, operation):
    answer = send(upstream, citizen=citizens.EMPTY.cpr, operation=operation)
    assert (answer.status_code, LISTS[upstream, operation](answer.json())) == (200, [])


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
    ("booking_vendor", {"CivilRegistrationIdentifier": "610299-1234"}, "is not ten digits", 400),
    ("booking_vendor", {"CivilRegistrationIdentifier": citizens.STRANGER}, "unknown citizen", 400),
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
@pytest.mark.parametrize("spelling", ["?cpr=6102991234", "/6102991234", "?cpr=610299-1234", "/610299%201234"])
def test_a_cpr_number_in_the_url_is_refused_and_noted(control, send, upstream, spelling):
    right = call(upstream)
    assert send(upstream, right.but(path=right.path + spelling)).status_code == 400
    assert_noticed(control, upstream, "a CPR number in the URL")


@pytest.mark.parametrize(("upstream", "operation"), SECOND_PATHS)
@pytest.mark.parametrize(
    ("header", "breach"),
    [("x-requestId", "is missing or too long"), ("x-civilRegistrationIdentifier", "is missing")],
)
def test_a_header_is_missed_in_a_second_question_too(control, send, upstream, operation, header, breach):
    assert send(upstream, call(upstream, operation=operation).but({header: None})).status_code == 400
    assert_noticed(control, upstream, breach)


@BEHIND_DFDG
@pytest.mark.parametrize(
    "altered",
    [
        lambda path: path.removesuffix("/") if path.endswith("/") else f"{path}/",
        lambda path: f"{path}/" if path.endswith("/") else f"/{path}",
        lambda path: path.replace("/", "//"),
        str.swapcase,
    ],
    ids=["last slash", "one more slash", "double slashes", "other case"],
)
def test_a_slash_too_few_or_too_many_in_a_path_is_not_found_and_noted(control, send, upstream, operation, altered):
    right = call(upstream, operation=operation)
    assert send(upstream, right.but(path=altered(right.path))).status_code == 404
    assert_noticed(control, upstream, "not ")


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
    [("x" * 500, 200), ("x" * 501, 400), ("😀" * 250, 200), ("😀" * 250 + "x", 400), ("\\n" * 500, 200)],
)
def test_the_vendor_takes_500_utf_16_units(control, send, text, status):
    assert send("booking_vendor", text=text).status_code == status
    (kept,) = control.calls("booking_vendor").calls
    assert kept.broke_contract == {200: None, 400: "Fejltekst is too long"}[status]


@pytest.mark.parametrize(
    ("body", "breach"),
    [
        (b"", "no report"),
        (b"[]", "no report"),
        (b"{}", "unknown Fejlkode"),
        (A_REPORT.replace(b"Fejltekst", b"beskrivelse"), "no report"),
        (A_REPORT.replace(b'"Fejlkode": 1', b'"Fejlkode": 10'), "unknown Fejlkode"),
        (A_REPORT.replace(b'"Fejlkode": 1', b'"Fejlkode": "1"'), "unknown Fejlkode"),
        (A_REPORT.replace(b'"FejlOphav": 32', b'"FejlOphav": 31'), "illegal FejlOphav"),
        (A_REPORT.replace(b"03-13", b"02-30"), "FejlTidspunkt is missing"),
        (A_REPORT.replace(b"+01:00", b""), "FejlTidspunkt is missing"),
        (A_REPORT.replace(b', "FejlTidspunkt": "2023-03-13T09:15:00.123+01:00"', b""), "FejlTidspunkt is missing"),
        (A_REPORT.replace(b"{", b'{"MoedetilbudId": "5b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f", '), "MoedetilbudId"),
        (A_REPORT.replace(b"{", b'{"IndkaldelseId": "5b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f", '), "IndkaldelseId"),
    ],
)
def test_a_report_that_is_none_is_refused_and_noted(control, send, body, breach):
    assert send("booking_vendor", call("booking_vendor").but(content=body)).status_code == 400
    assert_noticed(control, "booking_vendor", breach)
    assert control.reports() == []


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
    assert send("udb", Call("GET", "/v1/UDBhaendelser")).status_code == 400
    assert send("udb").status_code == 503
