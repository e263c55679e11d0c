"""The booking vendor takes each report as often as it comes, unless it knows keys; and may not say that it took one."""

import httpx
import pytest

from simulators import citizens
from simulators.booking_vendor import MEETINGS, OFFERS
from tests.simulators.calls import call

VENDOR = "booking_vendor"
A_REPORT = call(VENDOR).content


def test_a_vendor_that_knows_no_keys_takes_a_report_as_often_as_it_comes_and_says_nothing(control, send):
    for _ in range(2):
        answer = send(VENDOR)
        assert (answer.status_code, answer.content) == (200, b"")
    assert [(one["received"], one["report"]["Fejltekst"]) for one in control.reports()] == [(1, "Kan ikke booke")] * 2


def test_it_needs_no_key(control, send):
    assert send(VENDOR, call(VENDOR).but({"Idempotency-Key": None})).status_code == 200
    control.know_keys()
    assert send(VENDOR, call(VENDOR).but({"Idempotency-Key": None})).status_code == 400
    assert control.calls(VENDOR).calls[-1].broke_contract == "Idempotency-Key is missing"


def test_one_that_knows_keys_takes_a_report_once_and_gives_a_case_number(control, send):
    control.know_keys()
    first, second = send(VENDOR), send(VENDOR)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json() == {"sagsnummer": "FM-2023-000001"}
    (kept,) = control.reports()
    assert (kept["received"], kept["key"], kept["report"]["Fejltekst"]) == (2, "report-1", "Kan ikke booke")
    control.reset()
    assert send(VENDOR).content == b""


@pytest.mark.parametrize("known", [False, True])
def test_it_can_keep_a_report_and_then_reset(control, send, known):
    control.know_keys(known)
    control.fault(VENDOR, {"kind": "reset_after"})
    with pytest.raises(httpx.TransportError):
        send(VENDOR)
    assert len(control.reports()) == 1


def test_it_can_keep_a_report_whose_answer_is_lost_on_the_way(control, send):
    control.fault(VENDOR, {"kind": "truncated", "times": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        send(VENDOR)
    assert len(control.reports()) == 1


@pytest.mark.parametrize("status", [409, 500])
def test_it_can_keep_a_report_and_answer_with_any_status(control, send, status):
    control.know_keys()
    control.fault(VENDOR, {"kind": "status", "status": status, "answered": True})
    answer = send(VENDOR)
    assert answer.status_code == status
    assert answer.json()["sagsnummer"] == control.reports()[0]["sagsnummer"]


@pytest.mark.parametrize("kind", ["missing_field", "invalid_body", "invalid_encoding", "bomb"])
def test_an_answer_with_an_odd_body_says_that_it_was_taken_and_it_was(control, send, kind):
    control.fault(VENDOR, {"kind": kind})
    assert send(VENDOR).status_code == 200
    assert len(control.reports()) == 1


def test_a_report_may_be_about_an_offer_or_a_meeting_and_name_its_author(control, send):
    (offer,), (meeting,) = OFFERS, MEETINGS
    about = f'{{"MoedetilbudId": "{offer}", "IndkaldelseId": "{meeting}", '.encode()
    named = call(VENDOR).but(
        {"CivilRegistrationIdentifier": citizens.EXAMPLE.cpr}, content=A_REPORT.replace(b"{", about)
    )
    assert send(VENDOR, named).status_code == 200
    assert control.calls(VENDOR).calls[0].citizen == citizens.EXAMPLE.cpr
    assert control.reports()[0]["report"]["MoedetilbudId"] == offer
