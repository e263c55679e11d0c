"""UngedataService played: subscriptions, events that come later, and what it refuses."""

import time

import pytest

from simulators import Simulation, citizens
from tests.simulators.calls import KNOWN, call, subscribe

URL = "udb"


@pytest.fixture
def own():
    """A simulation of the test's own, in which no citizen is subscribed."""
    with Simulation() as running:
        yield running


@pytest.fixture
def ask(own):
    """Sends calls to Ungedatabasen."""
    return lambda one: one.send(own.urls[URL])


def events(answer):
    assert answer.status_code == 200
    return answer.json()["haendelser"]


def test_without_a_subscription_the_list_is_empty_and_with_one_it_has_the_events(ask):
    assert events(ask(call(URL))) == []
    receipt = ask(subscribe())
    assert (receipt.status_code, receipt.content) == (200, b"")
    assert events(ask(call(URL))) == list(citizens.EXAMPLE.udb)
    assert events(ask(call(URL, citizen=citizens.EVERY_EDUCATION.cpr))) == []


def test_events_come_as_long_after_a_subscription_as_is_set(own, ask):
    own.control.events_after(0.3)
    ask(subscribe())
    began = time.monotonic()
    seen = events(ask(call(URL)))
    while not seen and time.monotonic() - began < 10:
        seen = events(ask(call(URL)))
    assert seen
    # The first look may have come late on a busy machine; what is sure is that none came early.
    assert time.monotonic() - began >= 0.2


def test_events_that_are_set_to_come_never_do_not_come(own, ask):
    own.control.events_after(3600)
    ask(subscribe())
    assert events(ask(call(URL))) == []
    own.control.unsubscribe_all()
    ask(subscribe())
    assert events(ask(call(URL))) != []


def test_a_second_subscription_leaves_the_first_as_it_is(own, ask):
    ask(subscribe())
    own.control.events_after(3600)
    since = own.control.subscriptions()[KNOWN]
    assert ask(subscribe()).status_code == 200
    assert own.control.subscriptions()[KNOWN] >= since


def test_a_request_id_that_was_seen_is_refused_with_412_and_changes_nothing(own, ask):
    assert ask(subscribe(request_id="seen")).status_code == 200
    again = ask(subscribe(citizen=citizens.EVERY_EDUCATION.cpr, request_id="seen"))
    assert (again.status_code, again.content) == (412, b"")
    assert list(own.control.subscriptions()) == [KNOWN]
    # Reads are not told by their ids.
    assert [ask(call(URL, request_id="read")).status_code for _ in range(2)] == [200, 200]


def test_a_cancelled_subscription_has_no_events(own, ask):
    ask(subscribe())
    receipt = ask(subscribe(method="DELETE"))
    assert (receipt.status_code, receipt.content, own.control.subscriptions()) == (200, b"", {})
    assert events(ask(call(URL))) == []
    assert ask(subscribe(method="DELETE")).status_code == 200


@pytest.mark.parametrize(
    ("citizen", "code"),
    [(citizens.NOT_SUBSCRIBED.cpr, "8066"), (citizens.UNKNOWN.cpr, "1010"), (citizens.STRANGER, "1010")],
)
def test_who_cannot_be_subscribed_is_refused_by_a_code(own, ask, citizen, code):
    answer = ask(subscribe(citizen))
    assert answer.status_code >= 400
    assert answer.json()["fejl"][0]["kode"] == code
    assert own.control.subscriptions() == {}


def test_a_subscription_that_is_no_json_is_refused(own, ask):
    assert ask(subscribe().but(headers={"Content-Type": "text/plain"})).status_code == 400
    assert own.control.subscriptions() == {}


def test_a_fault_is_for_the_events_unless_it_names_another_operation(own, ask):
    own.control.fault(URL, {"kind": "status", "status": 503})
    assert (ask(subscribe()).status_code, ask(call(URL)).status_code) == (200, 503)
    own.control.fault(URL, {"kind": "status", "status": 503, "operation": "subscribe"})
    assert (ask(subscribe()).status_code, ask(call(URL)).status_code) == (503, 200)
    own.control.fault(URL, {"kind": "status", "status": 503, "operation": "cancel"})
    assert (ask(subscribe()).status_code, ask(subscribe(method="DELETE")).status_code) == (200, 503)
    with pytest.raises(ValueError, match="su has no operation cancel"):
        own.control.fault("su", {"kind": "reset", "operation": "cancel"})


def test_writes_are_kept_apart_from_the_questions(own, ask):
    ask(subscribe())
    ask(call(URL))
    ask(subscribe(method="DELETE"))
    received = own.control.calls(URL)
    assert (received.total, [one.operation for one in received.calls]) == (1, [None])
    assert [(one.citizen, one.operation) for one in received.writes] == [(KNOWN, "subscribe"), (KNOWN, "cancel")]


def test_one_event_can_be_damaged_and_all_can_lack_a_field(own, ask):
    ask(subscribe())
    whole = events(ask(call(URL)))
    own.control.fault(URL, {"kind": "damaged"})
    *rest, damaged = events(ask(call(URL)))
    assert rest == whole
    assert "haendelsestype" not in damaged
    own.control.fault(URL, {"kind": "missing_field"})
    assert all("haendelsestype" not in event for event in events(ask(call(URL))))


def test_only_ungedatabasen_has_subscriptions(own, http):
    assert http.get(f"{own.urls['su']}/__sim__/subscriptions").status_code == 404
    assert http.get(f"{own.urls[URL]}/__sim__/subscriptions").json() == {}
