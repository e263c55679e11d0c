"""The booking vendor when it takes a report and does not say so."""

import httpx
import pytest

REPORT = {"fejlmeldingsId": "k-9", "beskrivelse": "Kan ikke booke", "oprettet": "2023-03-13T09:15:00+01:00"}
HEADERS = {"x-requestId": "r-1", "Authorization": "Bearer registerbro", "Idempotency-Key": "k-9"}


def post(simulation):
    return httpx.post(f"{simulation.urls['booking_vendor']}/v1/fejlmeldinger", json=REPORT, headers=HEADERS)


def test_it_can_keep_a_report_and_then_reset(simulation, control):
    control.fault("booking_vendor", {"kind": "reset_after"})
    with pytest.raises(httpx.TransportError):
        post(simulation)
    assert control.reports()["k-9"]["received"] == 1


@pytest.mark.parametrize("status", [409, 500])
def test_it_can_keep_a_report_and_answer_with_any_status(simulation, control, status):
    control.fault("booking_vendor", {"kind": "status", "status": status, "answered": True})
    answer = post(simulation)
    assert answer.status_code == status
    assert answer.json()["sagsnummer"] == control.reports()["k-9"]["sagsnummer"]
