"""Kontaktforloeb offers each citizen meetings and times of their own; one is reserved, booked once, and a summons."""

import itertools
import json
import re
from datetime import datetime, timedelta

import httpx
import pytest

from simulators import booking, citizens
from simulators.register_data import danish_today
from tests.simulators.calls import KNOWN, SECOND_PATHS, Call

UPSTREAM = "kontaktforloeb"
DEADLINE = danish_today() + timedelta(days=9)
ID, ANOTHER = "0d9f3c52-6a0e-4f7e-8c0b-1a2b3c4d5e6f", "1e0a4d63-7b1f-4a8f-9d1c-2b3c4d5e6f70"
OTHER = citizens.OUTSIDE.cpr

_ids = itertools.count(1)


@pytest.fixture
def ask(send):
    """Asks for something below the path of bookings; with a body, or as a write without one."""

    def ask(path, body=None, method="GET", citizen=KNOWN, **headers):
        common = {"x-requestId": f"booking-{next(_ids)}", "x-civilRegistrationIdentifier": citizen} | headers
        if body is not None:
            common |= {"Content-Type": "application/json"}
        content = b"" if body is None else json.dumps(body).encode()
        return send(UPSTREAM, Call(method, f"/v1/Selvbooking{path}", common, content))

    return ask


@pytest.fixture
def offers(ask):
    return lambda citizen=KNOWN: ask("/Moedetilbud", citizen=citizen).json()["MoedetilbudSamling"]["Moedetilbud"]


@pytest.fixture
def times(ask):
    return lambda offer, citizen=KNOWN: ask(f"/Moedetilbud/{offer['id']}/Tider", citizen=citizen).json()["Tider"]


@pytest.fixture
def reserve(ask):
    def reserve(meeting, offer, time, **more):
        return ask(f"/Booking/{meeting}/action/reserver", {"MoedetilbudId": offer["id"], **time}, "POST", **more)

    return reserve


@pytest.fixture
def book(ask):
    return lambda meeting, **more: ask(f"/Booking/{meeting}", method="POST", **more)


@pytest.fixture
def wish(offers, times):
    """A digital offer for the deadline that is ahead, and its first times."""
    offer = offers()[1]
    return offer, *times(offer)[:2]


def test_there_are_two_offers_for_each_active_deadline_and_one_of_another_type(offers):
    told = offers()
    assert [(one["SamtaleType"], one["samtaleform"], "sted" in one) for one in told] == [
        (7, [1], True), (7, [8], False), (4, [1], True), (4, [8], False), (12, [8], False),
    ]  # fmt: skip
    assert len({one["id"] for one in told}) == 5
    assert {one["id"] for one in told} & {one["id"] for one in offers(OTHER)} == set()


def test_who_has_no_deadline_has_no_offer_and_who_is_unknown_is_told_as_such(ask):
    assert ask("/Moedetilbud", citizen=citizens.EMPTY.cpr).json() == {}
    assert (ask("/Moedetilbud", citizen=citizens.STRANGER).status_code) == 404


def test_times_are_on_the_five_days_before_the_deadline(offers, times):
    at_the_jobcentre, digital, *_ = offers()
    starts = [datetime.fromisoformat(one["starttidspunkt"]) for one in times(digital)]
    assert sorted({one.date() for one in starts}) == [DEADLINE - timedelta(days=n) for n in range(4, -1, -1)]
    assert {one.hour for one in starts} == {9, 13}
    assert {datetime.fromisoformat(one["starttidspunkt"]).hour for one in times(at_the_jobcentre)} == {10}
    for one in times(digital):
        start, end = (datetime.fromisoformat(one[name]) for name in ("starttidspunkt", "sluttidspunkt"))
        assert end - start == timedelta(minutes=45)


def test_another_citizens_offer_is_told_as_such_and_one_of_nobody_is_unknown(ask, offers, reserve, wish):
    (theirs, *_), (_, time, _) = offers(OTHER), wish
    nobodys = {"id": ID}
    for offer, code in ((theirs, "8107"), (nobodys, "90036")):
        for answer in (ask(f"/Moedetilbud/{offer['id']}/Tider"), reserve(ID, offer, time)):
            assert (answer.status_code, answer.json()["fejl"][0]["kode"]) == (400, code)


def test_a_meeting_is_reserved_and_booked_with_empty_receipts_and_is_among_the_others(
    control, send, times, reserve, book, wish
):
    offer, time, _ = wish
    before = send(UPSTREAM).json()["indkaldelser"]
    for answer in (reserve(ID, offer, time), book(ID)):
        assert (answer.status_code, answer.content) == (200, b"")
    *rest, booked = send(UPSTREAM).json()["indkaldelser"]
    assert rest == before
    assert booked == {"indkaldelseId": ID, "SamtaleType": 7, "samtaleform": [8], **time}
    deadlines = send(UPSTREAM, operation="deadlines").json()["Frister"]["Frist"]
    assert deadlines[0]["FriststatusType"] == 2
    assert time not in times(offer)
    (kept,) = control.bookings()
    assert (kept["id"], kept["citizen"], kept["received"]) == (ID, KNOWN, 1)
    control.reset()
    assert (control.bookings(), send(UPSTREAM).json()["indkaldelser"]) == ([], before)


def test_a_meeting_that_is_booked_is_its_own_citizens_alone(send, reserve, book, wish):
    others = [(citizen, operation) for citizen in (OTHER, citizens.OPEN_ENDS.cpr) for operation in (None, "deadlines")]
    before = [send(UPSTREAM, citizen=citizen, operation=operation).json() for citizen, operation in others]
    reserve(ID, *wish[:2])
    assert book(ID, citizen=OTHER).status_code == 404
    assert book(ID).status_code == 200
    assert [send(UPSTREAM, citizen=one, operation=operation).json() for one, operation in others] == before


def test_a_repeat_changes_nothing_and_another_wish_is_refused(control, reserve, book, wish):
    offer, time, later = wish
    assert [reserve(ID, offer, time).status_code for _ in range(2)] == [200, 200]
    assert reserve(ID, offer, later).status_code == 422
    assert [book(ID).status_code for _ in range(2)] == [200, 200]
    assert (reserve(ID, offer, time).status_code, reserve(ID, offer, later).status_code) == (409, 422)
    assert len(control.bookings()) == 1


def test_a_time_that_is_taken_a_snatched_hour_and_a_deadline_that_is_met_are_refused(
    control, offers, times, reserve, book, wish
):
    offer, time, later = wish
    at_the_jobcentre = offers()[0]
    assert reserve(ID, at_the_jobcentre, times(at_the_jobcentre)[0]).status_code == 409
    reserve(ID, offer, time)
    assert reserve(ANOTHER, offer, time).status_code == 409
    book(ID)
    assert (reserve(ANOTHER, offer, later).status_code, book(ANOTHER).status_code) == (200, 409)
    assert later in times(offer)
    assert [one["id"] for one in control.bookings()] == [ID]


def test_what_is_not_reserved_is_not_booked_and_a_time_that_is_not_offered_is_not_reserved(reserve, book, wish):
    offer, time, _ = wish
    assert book(ID).status_code == 404
    shifted = {name: (datetime.fromisoformat(one) + timedelta(minutes=1)).isoformat() for name, one in time.items()}
    assert reserve(ID, offer, shifted).json()["fejl"][0]["kode"] == "4783"


@pytest.mark.parametrize(
    "broken",
    [{"starttidspunkt": "soon"}, {"sluttidspunkt": None}, {"starttidspunkt": "2023-03-15T09:00:00"}, {"andet": 1}],
)
def test_a_reservation_that_is_none_breaks_the_contract(control, reserve, wish, broken):
    offer, time, _ = wish
    assert reserve(ID, offer, time | broken).status_code == 400
    assert control.calls(UPSTREAM).writes[-1].broke_contract is not None


def test_a_booking_has_no_body_and_a_request_id_of_its_own(ask, book, reserve, wish):
    reserve(ID, *wish[:2], **{"x-requestId": "again"})
    assert book(ID, **{"x-requestId": "again"}).status_code == 412
    assert ask(f"/Booking/{ID}", {}, "POST").status_code == 400
    assert book(ID).status_code == 200


@pytest.mark.parametrize("path", ["/Moedetilbud/", "/Moedetilbud/x/Tider", f"/Booking/{ID}/action", "/Booking/x"])
def test_another_path_is_none(ask, path):
    assert {ask(path).status_code, ask(path, method="POST").status_code} == {404}


def test_an_id_may_hold_what_looks_like_a_cpr_number(ask):
    assert ask("/Moedetilbud/ab610299-1234-4c8e-9d51-5a6102991234/Tider").json()["fejl"][0]["kode"] == "90036"
    assert ask("/Moedetilbud?x=610299-1234").status_code == 400


def test_writes_are_counted_apart_and_what_is_lost_is_done(control, offers, reserve, book, wish):
    reserve(ID, *wish[:2])
    control.fault(UPSTREAM, {"kind": "reset_after", "operation": "book"})
    with pytest.raises(httpx.TransportError):
        book(ID)
    received = control.calls(UPSTREAM)
    assert [one.operation for one in received.writes] == ["reserve", "book"]
    assert {one.operation for one in received.calls} == {"offers", "times"}
    assert len(control.bookings()) == 1


@pytest.mark.parametrize("operation", ["offers", "times"])
@pytest.mark.parametrize("kind", ["wrong_person", "mixed_people"])
def test_another_person_is_named_under_a_fault_alone(control, ask, offers, operation, kind):
    path = "/Moedetilbud" if operation == "offers" else f"/Moedetilbud/{offers()[1]['id']}/Tider"
    assert "civilRegistrationIdentifier" not in ask(path).text
    control.fault(UPSTREAM, {"kind": kind, "operation": operation})
    named = set(re.findall(r'"civilRegistrationIdentifier": "(\d+)"', ask(path).text))
    assert named - {KNOWN}


def test_no_other_service_has_these_operations(control):
    for name, _ in SECOND_PATHS:
        if name != UPSTREAM:
            for operation in booking.OPERATIONS:
                with pytest.raises(ValueError, match=f"{name} has no operation {operation}"):
                    control.fault(name, {"kind": "reset", "operation": operation})
