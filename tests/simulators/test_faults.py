"""What each fault does to a call, over real sockets, at every upstream that can have it."""

import gzip
import json
import re
import socket
import time

import httpx
import pytest
from lxml import etree

from simulators import citizens
from simulators.faults import FAULTS, FaultSet, Latency
from tests.simulators.calls import (
    KNOWN,
    LISTS,
    NS,
    QUESTIONS,
    REGISTERS,
    SECOND_PATHS,
    SERVICES,
    UPSTREAMS,
    call,
)

EVERYWHERE = pytest.mark.parametrize("upstream", UPSTREAMS)
BEHIND_DFDG = pytest.mark.parametrize(("upstream", "operation"), QUESTIONS)
SECOND = pytest.mark.parametrize(("upstream", "operation"), SECOND_PATHS)
SOON = 0.15
"""Seconds after which a call that hangs is given up."""


def listed(upstream, answer, operation=None):
    """The items of an answer of a register behind DFDG."""
    return LISTS[upstream, operation](answer.json())


REQUIRED = {
    ("visitering", None): "KontaktgruppeType",
    ("visitering", "absences"): "startDato",
    ("kontaktforloeb", None): "starttidspunkt",
    ("kontaktforloeb", "deadlines"): "Fristdato",
    ("jobsearch", None): "conceptUriDa",
    ("jobsearch", "history"): "conceptUriDa",
    ("borgerindsats", None): "startdato",
    ("borgerindsats", "joblog"): "joblogOpgaver",
}
"""A field that an item of a service must have."""


def received(control, upstream):
    """The calls that an upstream received; waits for the first, which may be underway when its client gives it up."""
    ends = time.monotonic() + 10
    while not (calls := control.calls(upstream).calls) and time.monotonic() < ends:
        time.sleep(0.01)
    return calls


def people(answer):
    """Every CPR number in an answer, as often as it stands there."""
    if "xml" in answer.headers["Content-Type"]:
        return [element.text for element in xml(answer).iter("{*}PersonCivilRegistrationIdentifier")]
    found = []

    def note(pairs):
        found.extend(value for name, value in pairs if name == "civilRegistrationIdentifier")
        return dict(pairs)

    json.loads(answer.content, object_pairs_hook=note)
    return found


def xml(answer):
    return etree.fromstring(answer.content)


def at_no_time(body):
    """An answer without the moment at which it was given."""
    return re.sub(rb"(?<=TransaktionTid>)[^<]*", b"", body)


def content_type(upstream):
    return "text/xml" if upstream == "eindkomst" else "application/json"


@EVERYWHERE
def test_a_fixed_latency_only_delays_the_answer(control, send, upstream):
    control.fault(upstream, {"kind": "latency", "seconds": 0.05})
    started = time.monotonic()
    assert send(upstream).is_success
    assert time.monotonic() - started >= 0.05


def test_latencies_add_up_and_go_before_the_fault_that_follows(control, send):
    late = {"kind": "latency", "seconds": 0.03}
    control.fault("udb", late, late, {"kind": "status", "status": 503})
    started = time.monotonic()
    assert send("udb").status_code == 503
    assert time.monotonic() - started >= 0.06


def test_log_normal_latency_has_its_median_and_its_99th_percentile():
    fault = Latency(kind="latency", median=0.2, p99=1.0)
    waits = sorted(fault.wait() for _ in range(20_000))
    assert 0.18 < waits[10_000] < 0.22
    assert 0.8 < waits[19_800] < 1.25


@EVERYWHERE
def test_before_the_headers_it_hangs_without_a_byte(simulation, control, upstream):
    control.fault(upstream, {"kind": "hang_before_headers"})
    with pytest.raises(httpx.ReadTimeout):
        call(upstream).send(simulation.urls[upstream], timeout=SOON)
    assert [kept.status for kept in received(control, upstream)] == [None]


@EVERYWHERE
def test_after_the_headers_it_hangs_within_the_body(simulation, control, upstream):
    control.fault(upstream, {"kind": "hang_after_headers"})
    with call(upstream).stream(simulation.urls[upstream]) as answer:
        assert answer.is_success
        # The headers may take their time on a busy machine; only the body, which never ends, is given up soon.
        answer.request.extensions["timeout"]["read"] = SOON
        with pytest.raises(httpx.ReadTimeout):
            answer.read()


@EVERYWHERE
def test_a_reset_comes_before_any_byte_of_the_answer(control, send, upstream):
    control.fault(upstream, {"kind": "reset"})
    with pytest.raises(httpx.ReadError) as error:
        send(upstream)
    causes = []
    cause = error.value
    while cause is not None:
        causes.append(type(cause))
        cause = cause.__cause__ or cause.__context__
    assert ConnectionResetError in causes
    assert [kept.status for kept in control.calls(upstream).calls] == [None]


@EVERYWHERE
@pytest.mark.parametrize("status", [204, 400, 401, 403, 409, 418, 429, 500, 502, 503, 504, 599])
def test_any_status_can_be_answered(control, send, upstream, status):
    control.fault(upstream, {"kind": "status", "status": status})
    answer = send(upstream)
    assert answer.status_code == status
    assert "Retry-After" not in answer.headers
    assert [kept.status for kept in control.calls(upstream).calls] == [status]


@pytest.mark.parametrize("retry_after", [0, 30, "Wed, 21 Oct 2026 07:28:00 GMT", "soon"])
def test_a_status_can_say_when_to_come_again(control, send, retry_after):
    control.fault("udb", {"kind": "status", "status": 503, "retry_after": retry_after})
    assert send("udb").headers["Retry-After"] == str(retry_after)


def test_a_status_can_have_a_body_of_the_upstreams_type(control, send):
    control.fault("booking_vendor", {"kind": "status", "status": 409, "body": '{"sagsnummer": "FM-2023-000009"}'})
    answer = send("booking_vendor")
    assert (answer.status_code, answer.json()) == (409, {"sagsnummer": "FM-2023-000009"})
    assert answer.headers["Content-Type"] == "application/json"


@EVERYWHERE
def test_a_truncated_answer_ends_before_its_promised_length(simulation, control, upstream):
    control.fault(upstream, {"kind": "truncated"})
    parts = []
    with call(upstream).stream(simulation.urls[upstream]) as answer:
        promised = int(answer.headers["Content-Length"])
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            parts.extend(answer.iter_raw(1))
    assert len(parts) < promised
    assert parts or promised == 1, "an empty answer has no half"


@EVERYWHERE
def test_a_wrong_content_type_is_a_page_for_people(control, send, upstream):
    control.fault(upstream, {"kind": "wrong_content_type"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")


@EVERYWHERE
def test_an_invalid_body_has_the_right_type_and_cannot_be_parsed(control, send, upstream):
    control.fault(upstream, {"kind": "invalid_body"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type(upstream))
    with pytest.raises((json.JSONDecodeError, etree.XMLSyntaxError)):
        (xml if upstream == "eindkomst" else httpx.Response.json)(answer)


@EVERYWHERE
def test_an_invalid_encoding_is_not_utf_8(control, send, upstream):
    control.fault(upstream, {"kind": "invalid_encoding"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type(upstream))
    with pytest.raises(UnicodeDecodeError):
        answer.content.decode("utf-8")


@pytest.mark.parametrize("upstream", ["udb", "su"])
def test_a_required_field_is_missing_in_one_item_alone(control, send, upstream):
    whole = listed(upstream, send(upstream))
    # One event of many refuses none of the others, so that there the fault is another one.
    control.fault(upstream, {"kind": "damaged" if upstream == "udb" else "missing_field"})
    found = listed(upstream, send(upstream))
    assert found[:-1] == whole
    assert ("haendelsestype" if upstream == "udb" else "startdato") not in found[-1]


@pytest.mark.parametrize(("upstream", "operation"), REQUIRED)
def test_a_required_field_is_missing_in_every_item_of_a_service_or_in_one_that_is_damaged(
    control, send, upstream, operation
):
    whole = listed(upstream, send(upstream, operation=operation), operation)
    required = REQUIRED[upstream, operation]
    control.fault(upstream, {"kind": "missing_field", "operation": operation})
    found = listed(upstream, send(upstream, operation=operation), operation)
    assert [required in item for item in found] == [False]
    control.fault(upstream, {"kind": "damaged", "operation": operation})
    *rest, damaged = listed(upstream, send(upstream, operation=operation), operation)
    assert rest == whole
    assert required not in damaged


def test_a_required_field_is_missing_in_every_benefit(control, send):
    control.fault("ydelse", {"kind": "missing_field"})
    found = listed("ydelse", send("ydelse"))
    assert [("startdato" in item, "ydelsestype" in item) for item in found] == [(False, True)]


@pytest.mark.parametrize(("upstream", "field"), [("cvr", "hits"), ("booking_vendor", "sagsnummer")])
def test_a_required_field_is_missing(control, send, upstream, field):
    control.know_keys()
    assert field in send(upstream).json()
    control.fault(upstream, {"kind": "missing_field"})
    answer = send(upstream)
    assert answer.status_code == 200
    assert field not in answer.json()


@pytest.mark.parametrize(("upstream", "operation"), [*QUESTIONS, ("cvr", None), ("booking_vendor", None)])
def test_the_json_bomb_overflows_a_parser_and_is_otherwise_well_formed(control, send, upstream, operation):
    control.fault(upstream, {"kind": "bomb", "operation": operation})
    answer = send(upstream, **({"operation": operation} if operation else {}))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.content.count(b"[") == answer.content.count(b"]") >= 100_000
    with pytest.raises(RecursionError):
        answer.json()


def test_the_xml_bomb_is_an_answer_whose_text_would_be_a_billion_laughs(control, send):
    control.fault("eindkomst", {"kind": "bomb"})
    answer = send("eindkomst")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml")
    assert answer.content.count(b"<!ENTITY") == 10
    with pytest.raises(etree.XMLSyntaxError):
        etree.fromstring(answer.content, etree.XMLParser(resolve_entities=True))
    defused = etree.fromstring(answer.content.replace(b"&j;", b""))
    assert defused.find("soap:Body/e:IndkomstOplysningPersonHent_O/e:IndkomstPersonUddata", NS) is not None


@EVERYWHERE
@pytest.mark.parametrize("compressed", [False, True])
def test_a_huge_answer_is_right_but_for_its_length_which_it_does_not_say(simulation, control, upstream, compressed):
    plain = call(upstream, request_id="r-1").send(simulation.urls[upstream])
    control.reset()
    control.fault(upstream, {"kind": "huge", "compressed": compressed})
    with call(upstream, request_id="r-1").stream(simulation.urls[upstream]) as answer:
        assert "Content-Length" not in answer.headers
        raw = b"".join(answer.iter_raw())
    assert answer.status_code == plain.status_code
    assert (len(raw) < 100_000) == compressed
    body = gzip.decompress(raw) if compressed else raw
    assert len(body) >= 10 * 1024 * 1024
    assert at_no_time(body.rstrip()) == at_no_time(plain.content)


def test_a_client_that_has_had_enough_of_a_huge_answer_may_hang_up(simulation, control, send):
    control.fault("udb", {"kind": "huge", "times": 1})
    with call("udb").stream(simulation.urls["udb"]) as answer:
        next(answer.iter_raw())
    assert send("udb").status_code == 200


@BEHIND_DFDG
@pytest.mark.parametrize(("more", "status"), [({}, 500), ({"status": 400}, 400), ({"status": 404}, 404)])
def test_dfdgs_codes_come_in_its_form(control, send, upstream, operation, more, status):
    control.fault(upstream, {"kind": "fejl", "kode": "1011", "operation": operation, **more})
    answer = send(upstream, operation=operation)
    assert (answer.status_code, answer.json()) == (status, {"fejl": [{"kode": "1011", "tekst": "simulated"}]})


@BEHIND_DFDG
def test_dfdgs_codes_can_come_beside_data(control, send, upstream, operation):
    whole = send(upstream, operation=operation).json()
    control.fault(upstream, {"kind": "fejl", "kode": "1011", "with_data": True, "operation": operation})
    assert send(upstream, operation=operation).json() == {"fejl": [{"kode": "1011", "tekst": "simulated"}], **whole}


@pytest.mark.parametrize("with_data", [False, True])
def test_an_error_of_eindkomst_comes_with_status_200_and_data_if_wished(control, send, with_data):
    control.fault("eindkomst", {"kind": "fejl", "kode": "2000", "with_data": with_data})
    answer = send("eindkomst")
    outcome = "soap:Body/e:IndkomstOplysningPersonHent_O/k:HovedOplysningerSvar/k:SvarStruktur"
    assert answer.status_code == 200
    assert xml(answer).findtext(f"{outcome}/k:FejlStruktur/k:FejlIdentifikator", None, NS) == "2000"
    assert people(answer) == [KNOWN] * with_data


@pytest.mark.parametrize("code", ["Server", "Client"])
def test_a_soap_fault_comes_with_status_500(control, send, code):
    control.fault("eindkomst", {"kind": "soap_fault", "code": code})
    answer = send("eindkomst")
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "text/xml")
    assert xml(answer).findtext("soap:Body/soap:Fault/faultcode", None, NS) == f"soap:{code}"


@pytest.mark.parametrize("upstream", REGISTERS)
@pytest.mark.parametrize("citizen", citizens.BY_CPR.values(), ids=lambda citizen: citizen.name)
def test_another_persons_answer_is_all_about_one_other(control, send, upstream, citizen):
    control.fault(upstream, {"kind": "wrong_person"})
    (other,) = set(people(send(upstream, citizen=citizen.cpr)))
    assert other != citizen.cpr
    assert upstream in citizens.BY_CPR[other].known_to


@SECOND
def test_another_persons_answer_comes_to_a_second_question_too_with_their_items(control, send, upstream, operation):
    control.fault(upstream, {"kind": "wrong_person", "operation": operation})
    answer = send(upstream, operation=operation)
    (other,) = people(answer)
    assert other != KNOWN
    control.mend(upstream)
    theirs = listed(upstream, send(upstream, citizen=other, operation=operation), operation)
    assert listed(upstream, answer, operation) == theirs != []


@BEHIND_DFDG
def test_a_service_names_no_person_but_under_a_fault(send, upstream, operation):
    assert bool(people(send(upstream, operation=operation))) == (upstream not in SERVICES)


@pytest.mark.parametrize(("upstream", "operation"), REQUIRED)
def test_among_mixed_people_of_a_service_are_the_one_that_was_asked_about_and_another(
    control, send, upstream, operation
):
    whole = listed(upstream, send(upstream, operation=operation), operation)
    control.fault(upstream, {"kind": "mixed_people", "operation": operation})
    answer = send(upstream, operation=operation)
    assert len(set(people(answer))) == 2
    *rest, others = listed(upstream, answer, operation)
    assert rest == whole
    assert others["civilRegistrationIdentifier"] in citizens.BY_CPR.keys() - {KNOWN}


@pytest.mark.parametrize("upstream", [name for name in REGISTERS if name not in SERVICES])
def test_among_mixed_people_are_all_items_of_the_one_and_one_of_another(control, send, upstream):
    before = people(send(upstream))
    control.fault(upstream, {"kind": "mixed_people"})
    after = people(send(upstream))
    (other,) = set(after) - {KNOWN}
    assert (after.count(KNOWN), after.count(other)) == (len(before), 1)


@pytest.mark.parametrize(
    ("upstream", "operation", "field", "value"),
    [
        ("udb", None, "haendelsestype", "PAUSE"),
        ("su", None, "uddannelsestype", "FRITID"),
        ("ydelse", None, "ydelsestype", "BORGERLOEN"),
        ("visitering", None, "KontaktgruppeType", 999),
        ("visitering", "absences", "fravaerType", 99),
        ("kontaktforloeb", None, "SamtaleType", 99),
        ("kontaktforloeb", "deadlines", "FriststatusType", 99),
    ],
)
def test_an_unknown_value_comes_in_one_more_item(control, send, upstream, operation, field, value):
    whole = listed(upstream, send(upstream, operation=operation), operation)
    control.fault(upstream, {"kind": "unknown_value", "operation": operation})
    found = listed(upstream, send(upstream, operation=operation), operation)
    assert found[:-1] == whole
    assert found[-1][field] == value
    assert type(value) is type(whole[-1][field])
    assert found[-1].keys() >= whole[-1].keys() - {"slutdato", "varighed", "afholdt", "fravaersKommentar"}


@pytest.mark.parametrize("upstream", ["jobsearch", "borgerindsats"])
def test_a_service_without_codes_has_no_unknown_value(control, upstream):
    with pytest.raises(ValueError, match=f"{upstream} has no unknown_value"):
        control.fault(upstream, {"kind": "unknown_value"})


@BEHIND_DFDG
def test_an_empty_answer_is_of_the_contract(control, send, upstream, operation):
    control.fault(upstream, {"kind": "empty", "operation": operation})
    answer = send(upstream, operation=operation)
    assert (answer.status_code, listed(upstream, answer, operation)) == (200, [])
    assert b"[]" in answer.content


@SECOND
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "status", "status": 503}, 503),
        ({"kind": "not_found"}, 404),
        ({"kind": "redirect"}, 302),
        ({"kind": "wrong_content_type"}, 200),
        ({"kind": "invalid_body"}, 200),
        ({"kind": "invalid_encoding"}, 200),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_fault_of_a_second_question_leaves_the_first_as_it_is_and_the_other_way_round(
    control, send, upstream, operation, fault, status
):
    first, second = send(upstream).content, send(upstream, operation=operation).content
    control.fault(upstream, fault | {"operation": operation})
    broken = send(upstream, operation=operation)
    assert (broken.status_code, broken.content == second, send(upstream).content) == (status, False, first)
    control.fault(upstream, fault)
    broken = send(upstream)
    assert (broken.status_code, broken.content == first) == (status, False)
    assert send(upstream, operation=operation).content == second


@SECOND
@pytest.mark.parametrize("kind", ["reset", "truncated"])
def test_a_connection_breaks_in_a_second_question_alone(control, send, upstream, operation, kind):
    control.fault(upstream, {"kind": kind, "operation": operation})
    with pytest.raises(httpx.TransportError):
        send(upstream, operation=operation)
    assert send(upstream).status_code == 200


def test_an_empty_answer_of_cvr_has_no_hits(control, send):
    control.fault("cvr", {"kind": "empty"})
    assert send("cvr").json()["hits"]["hits"] == []


@EVERYWHERE
def test_not_found_can_be_a_web_servers(control, send, upstream):
    control.fault(upstream, {"kind": "not_found"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html")


@BEHIND_DFDG
def test_not_found_can_be_dfdgs(control, send, upstream, operation):
    control.fault(upstream, {"kind": "not_found", "kode": "1010", "operation": operation})
    answer = send(upstream, operation=operation)
    assert (answer.status_code, answer.json()["fejl"][0]["kode"]) == (404, "1010")


@pytest.mark.parametrize("upstream", ["eindkomst", "cvr", "booking_vendor"])
def test_not_found_can_be_in_the_upstreams_own_form(control, send, upstream):
    control.fault(upstream, {"kind": "not_found", "kode": "x"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, content_type(upstream))


@EVERYWHERE
def test_a_redirect_leads_elsewhere_and_who_follows_it_is_found_out(simulation, control, http, send, upstream):
    control.fault(upstream, {"kind": "redirect"})
    answer = send(upstream)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/elsewhere")
    control.mend(upstream)
    assert http.get(f"{simulation.urls[upstream]}/elsewhere").status_code == 404
    assert control.calls(upstream).calls[-1].broke_contract


@EVERYWHERE
def test_an_upstream_that_is_gone_refuses_connections_and_comes_back_on_the_same_port(control, send, upstream):
    control.fault(upstream, {"kind": "gone"})
    for _ in range(2):
        with pytest.raises(httpx.ConnectError):
            send(upstream)
    control.mend(upstream)
    assert send(upstream).is_success
    assert control.calls(upstream).total == 1


def test_while_an_upstream_is_gone_its_port_is_given_to_nobody(simulation, control):
    port = int(simulation.urls["udb"].rpartition(":")[2])
    control.fault("udb", {"kind": "gone"})
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


def test_a_connection_that_was_open_before_is_of_no_use_while_the_upstream_is_gone(simulation, control):
    asked = call("udb")
    with httpx.Client(base_url=simulation.urls["udb"], verify=False) as client:
        assert client.get(asked.path, headers=asked.headers).status_code == 200
        control.fault("udb", {"kind": "gone"})
        with pytest.raises(httpx.TransportError):
            client.get(asked.path, headers=asked.headers)
    assert control.calls("udb").total == 1


@pytest.mark.parametrize("upstream", REGISTERS)
def test_a_fault_can_be_for_one_citizen_alone(control, send, upstream):
    control.fault(upstream, {"kind": "status", "status": 503, "citizen": citizens.EMPTY.cpr})
    assert send(upstream).status_code == 200
    assert send(upstream, citizen=citizens.EMPTY.cpr).status_code == 503


def test_a_fault_can_mend_itself_after_some_calls(control, send):
    control.fault("udb", {"kind": "status", "status": 503, "times": 2})
    assert [send("udb").status_code for _ in range(3)] == [503, 503, 200]


@pytest.mark.parametrize(("share", "fewest", "most"), [(0.0, 0, 0), (0.5, 350, 650), (1.0, 1000, 1000)])
def test_a_share_of_the_calls_can_fail(share, fewest, most):
    faults = FaultSet()
    faults.replace(FAULTS.validate_python([{"kind": "reset", "share": share}]))
    assert fewest <= sum(faults.draw(None)[1] is not None for _ in range(1000)) <= most


def test_of_several_faults_the_first_that_hits_decides(control, send):
    control.fault(
        "udb",
        {"kind": "status", "status": 500, "citizen": citizens.EMPTY.cpr},
        {"kind": "status", "status": 502, "share": 0},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 504},
    )
    assert send("udb").status_code == 503


def test_faults_cannot_be_changed():
    (fault,) = FAULTS.validate_python([{"kind": "reset"}])
    with pytest.raises(ValueError, match="frozen"):
        fault.share = 0.5
