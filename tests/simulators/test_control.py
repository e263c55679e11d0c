"""The control endpoint and its client: faults are set, shown and mended, and what was received is counted."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from simulators import citizens
from simulators.faults import Status
from simulators.server import UpstreamServer
from simulators.ungedata import Ungedata
from tests.simulators.calls import KNOWN, REGISTERS, UPSTREAMS, call, origin

EVERYWHERE = pytest.mark.parametrize("upstream", UPSTREAMS)
BROKEN = {"kind": "status", "status": 503}


@EVERYWHERE
def test_faults_are_set_shown_and_mended_on_the_upstreams_own_port(simulation, control, send, upstream, http):
    faults = f"{origin(simulation.urls[upstream])}/__sim__/faults"
    assert http.put(faults, json=[BROKEN]).status_code == 204
    assert BROKEN.items() <= http.get(faults).json()[0].items()
    assert send(upstream).status_code == 503
    assert http.delete(faults).status_code == 204
    assert http.get(faults).json() == []
    assert send(upstream).is_success


@EVERYWHERE
def test_what_is_received_is_counted_on_the_upstreams_own_port(simulation, send, upstream, http):
    calls = f"{origin(simulation.urls[upstream])}/__sim__/calls"
    send(upstream)
    assert http.get(calls).json()["total"] == 1
    assert http.delete(calls).status_code == 204
    assert http.get(calls).json() == {"total": 0, "by_citizen": {}, "calls": [], "writes": []}


def test_new_faults_take_the_place_of_all_old_ones(control, send):
    control.fault("udb", BROKEN)
    control.fault("udb", {"kind": "status", "status": 504})
    assert send("udb").status_code == 504


def test_a_fault_may_be_given_as_a_model(control, send):
    control.fault("udb", Status(kind="status", status=418))
    assert send("udb").status_code == 418


def test_all_upstreams_can_be_mended_at_once(control, send):
    for upstream in UPSTREAMS:
        control.fault(upstream, BROKEN)
    control.mend()
    assert all(send(upstream).is_success for upstream in UPSTREAMS)


def test_to_mend_one_upstream_leaves_the_others_broken(control, send):
    control.fault("udb", BROKEN)
    control.fault("su", BROKEN)
    control.mend("udb")
    assert (send("udb").status_code, send("su").status_code) == (200, 503)


@pytest.mark.parametrize("upstream", REGISTERS)
def test_calls_are_counted_by_citizen(control, send, upstream):
    for citizen in (KNOWN, KNOWN, citizens.STRANGER):
        send(upstream, citizen=citizen)
    received = control.calls(upstream)
    assert (received.total, received.by_citizen) == (3, {KNOWN: 2, citizens.STRANGER: 1})


def test_a_call_is_kept_with_its_ids_and_its_status(control, send):
    control.fault("udb", BROKEN)
    send("udb", request_id="r-1")
    (kept,) = control.calls("udb").calls
    assert (kept.request_id, kept.citizen, kept.status, kept.broke_contract) == ("r-1", KNOWN, 503, None)
    assert kept.traceparent == f"00-{'a' * 32}-{'b' * 16}-01"
    assert control.calls("udb").request_ids == ["r-1"]


def test_calls_of_one_upstream_are_not_counted_at_another(control, send):
    send("udb")
    assert (control.calls("udb").total, control.calls("su").total) == (1, 0)


def test_a_call_that_only_asks_the_control_endpoint_is_not_counted(simulation, control, http):
    http.get(f"{origin(simulation.urls['udb'])}/__sim__/faults")
    assert control.calls("udb").total == 0


def test_a_reset_mends_everything_and_forgets_what_was_received(control, send):
    control.fault("udb", BROKEN)
    send("udb")
    send("booking_vendor")
    control.reset()
    assert (control.calls("udb").total, control.reports()) == (0, [])
    assert send("udb").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "nonsense"},
        {"kind": "status"},
        {"kind": "status", "status": 600},
        {"kind": "status", "status": 503, "retry_after": "soon\r\nX: y"},
        {"kind": "reset", "share": 2},
        {"kind": "reset", "citizen": "610299-1234"},
        {"kind": "reset", "colour": "red"},
        {"kind": "latency"},
        {"kind": "latency", "seconds": 1, "median": 1},
        {"kind": "latency", "seconds": 1, "p99": 1},
        {"kind": "latency", "median": 1, "p99": 0.5},
        {"kind": "gone", "citizen": KNOWN},
        {"kind": "gone", "share": 0.5},
        {"kind": "soap_fault", "code": "Server"},
        {"kind": "too_much"},
        {"kind": "advis", "kode": "100"},
        {"kind": "partial"},
        {"kind": "huge", "over_months": 12},
        {"kind": "huge", "mebibytes": 65},
        {},
        7,
    ],
)
def test_what_is_no_fault_of_this_upstream_is_refused_with_what_is_wrong(simulation, control, send, fault, http):
    answer = http.put(f"{origin(simulation.urls['udb'])}/__sim__/faults", json=[fault])
    assert answer.status_code == 422
    assert answer.json()[0]["problem"]
    assert send("udb").status_code == 200


def test_what_is_no_json_is_refused(simulation, control, http):
    assert http.put(f"{origin(simulation.urls['udb'])}/__sim__/faults", content=b"[{").status_code == 422


@pytest.mark.parametrize(
    ("upstream", "fault", "problem"),
    [
        ("udb", {"kind": "nonsense"}, "nonsense"),
        ("udb", {"kind": "soap_fault", "code": "Client"}, "udb has no soap_fault"),
        ("udb", {"kind": "huge", "over_months": 12}, "udb is not asked for months"),
        ("eindkomst", {"kind": "advis", "kode": "x"}, "pattern"),
        ("eindkomst", {"kind": "partial"}, "eindkomst has no partial"),
        ("cvr", {"kind": "wrong_person"}, "cvr has no wrong_person"),
        ("cvr", {"kind": "reset", "citizen": KNOWN}, "cvr is not asked about citizens"),
        ("booking_vendor", {"kind": "empty"}, "booking_vendor has no empty"),
    ],
)
def test_the_client_says_why_a_fault_cannot_be(control, upstream, fault, problem):
    with pytest.raises(ValueError, match=problem):
        control.fault(upstream, fault)


def test_only_the_vendor_has_reports(simulation, send, http):
    send("booking_vendor")
    assert len(http.get(f"{origin(simulation.urls['booking_vendor'])}/__sim__/reports").json()) == 1
    assert http.get(f"{origin(simulation.urls['udb'])}/__sim__/reports").status_code == 404
    assert http.put(f"{origin(simulation.urls['udb'])}/__sim__/knows_keys", json=True).status_code == 404


def test_a_log_in_can_list_the_constructed_citizens(control):
    listed = control.citizens()
    assert [one["cpr"] for one in listed] == [citizen.cpr for citizen in citizens.CITIZENS]
    assert listed[0].keys() == {"cpr", "name", "about", "contact_groups", "education_order", "known_to"}


def test_the_last_ten_thousand_calls_are_kept_and_all_are_counted():
    server = UpstreamServer(Ungedata(), "127.0.0.1", 0)

    for _ in range(10_001):
        server._record(SimpleNamespace(headers={}, path="/"))
    assert (server.received()["total"], len(server.received()["calls"])) == (10_001, 10_000)


def test_calls_that_come_at_once_are_all_counted(simulation, control):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call("udb").send(simulation.urls["udb"]), range(64)))
    assert {answer.status_code for answer in answers} == {200}
    assert control.calls("udb").total == 64
