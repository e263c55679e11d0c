"""Booking a meeting over HTTP, at Kontaktforloeb's simulator: once however often asked, and never a page that hangs.

Over 350 lines, since it is the list of what bookings promise.
"""

import asyncio
import json
import time
from datetime import datetime, timedelta

import pytest

from demo.installation import DEMO_CREDENTIALS
from domain.cpr import Cpr
from domain.overview import BookingDeadline
from domain.service_windows import danish_today
from registerbro.audit_log.chain import Chain
from registerbro.storage.coordination.leases import CITIZENS_WISH
from simulators import Simulation, booking, citizens
from tests.portal.conftest import ME, OTHER, problem, settle
from workers.kontaktforloeb import tasks

REGISTER = "kontaktforloeb"
DAY = danish_today() + timedelta(days=9)
DEADLINE, THEIRS = f"7-{DAY}", f"7-{DAY - timedelta(days=3)}"
"""The active deadline of the constructed citizen, which the booking system knows; and another citizen's."""
MOMENTS = f"{DAY:%Y%m%d}T080000Z.{DAY:%Y%m%d}T084500Z"
NOBODYS = f"4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f.{MOMENTS}"
"""A time of an offer that nobody has."""
EVERYTHING = (None, "deadlines", *sorted(booking.OPERATIONS))
UNREACHABLE, CONTRACT = ("booking-system-unreachable", "4769/9018"), ("booking-system-contract", "9303/9329")
OTHER_SCOPES = "overview:read overview:refresh calendar:read profile:read fault-report:write"


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def control(simulation):
    simulation.control.reset()
    yield simulation.control
    simulation.control.reset()


@pytest.fixture
def own_settings(simulation):
    urls = {"KONTAKTFORLOEB__BASE_URL": simulation.urls[REGISTER]}
    return {"KONTAKTFORLOEB__BOOKING_TIMEOUT": "PT2S", **urls, **DEMO_CREDENTIALS}


@pytest.fixture
def breaks(control):
    """Sets a fault of all that the register does, or of some operations."""

    def breaks(fault, *operations):
        only = [{}] if fault["kind"] == "gone" else [{"operation": one} for one in operations or EVERYTHING]
        control.fault(REGISTER, *(fault | one for one in only))

    return breaks


@pytest.fixture
def asked(control):
    """How often the register was asked for one of these operations, or for anything at all."""

    def asked(*operations):
        received = control.calls(REGISTER)
        return sum(one.operation in (operations or EVERYTHING) for one in (*received.calls, *received.writes))

    return asked


async def known(services, cpr=ME, *, key=DEADLINE, active=True):
    """The citizen's deadline, as the register gave it."""
    one = BookingDeadline(id=key, deadline=DAY, meeting_type="Jobsamtale", active=active)
    await settle(services, "kontaktforloeb", {"deadlines": [one]}, cpr=cpr)


@pytest.fixture(autouse=True)
async def deadline(services, control):
    await known(services)


async def times(client, token=None):
    return await client.get(f"/v1/booking/times?deadline={DEADLINE}", token)


async def free(client):
    """The times that nobody else takes in the meantime."""
    offered = (await times(client)).json()["times"]
    return [one for one in offered if datetime.fromisoformat(one["start"]).hour != 10]


async def book(client, time_id, key="one", token=None, deadline=DEADLINE):
    body = {"deadline": deadline, "time": time_id}
    return await client.post("/v1/booking/bookings", token, json=body, headers={"Idempotency-Key": key})


async def test_the_times_are_those_of_the_booking_system_in_danish_time(client):
    answer = await times(client)
    assert answer.status_code == 200
    offered = answer.json()["times"]
    assert len(offered) == 15
    assert offered == sorted(offered, key=lambda one: one["start"])
    assert set(offered[0]) == {"id", "start", "end", "place"}
    assert offered[0]["start"][10:] in {"T09:00:00+01:00", "T09:00:00+02:00"}


async def test_a_booking_gives_the_meeting_and_the_deadline_is_gone_at_once(client, control):
    chosen = (await free(client))[0]
    assert [one["id"] for one in (await client.get("/v1/calendar")).json()["deadlines"]] == [DEADLINE]
    answer = await book(client, chosen["id"])
    assert answer.status_code == 201
    (booked,) = control.bookings()
    assert answer.json() == {**chosen, "id": booked["id"]}
    calendar = (await client.get("/v1/calendar")).json()
    assert calendar["deadlines"] == []


async def test_after_a_booking_the_register_is_asked_anew_though_what_is_kept_was_fresh(client, services):
    await book(client, (await free(client))[0]["id"])
    who = services.citizens.id_of(Cpr.parse(ME))
    assert (await client.get("/v1/calendar")).json()["stale"] is True
    assert await services.coordination.zscore("wanted:{kontaktforloeb}", who) is not None


async def test_what_the_register_says_long_after_the_booking_goes_before_what_we_remember(client, services):
    await book(client, (await free(client))[0]["id"])
    await known(services)
    assert (await client.get("/v1/calendar")).json()["deadlines"] == []
    who = services.citizens.id_of(Cpr.parse(ME))
    long_ago = int((time.time() - 16 * 60) * 1000)
    await services.cache.hset(f"booked:{{{who}}}", DEADLINE, long_ago)
    assert len((await client.get("/v1/calendar")).json()["deadlines"]) == 1


async def test_a_deadline_is_hidden_for_no_longer_because_the_clock_was_set_back(client, services):
    await book(client, (await free(client))[0]["id"])
    key = f"booked:{{{services.citizens.id_of(Cpr.parse(ME))}}}"
    in_an_hour = round((time.time() + 3600) * 1000)
    await services.cache.hset(key, DEADLINE, in_an_hour)
    assert (await client.get("/v1/calendar")).json()["deadlines"] == []
    assert abs(int(await services.cache.hget(key, DEADLINE)) - in_an_hour + 3_600_000) < 60_000


async def test_a_double_click_at_the_same_moment_books_once_and_both_get_the_same_answer(client, control):
    chosen = (await free(client))[0]["id"]
    answers = await asyncio.gather(*(book(client, chosen) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(control.bookings()) == 1


@pytest.mark.parametrize("hour", [9, 13])
async def test_a_second_click_after_the_answer_reaches_the_register_which_books_once(client, control, hour):
    chosen = next(one["id"] for one in await free(client) if datetime.fromisoformat(one["start"]).hour == hour)
    first, second = await book(client, chosen), await book(client, chosen)
    assert (first.text, first.status_code) == (second.text, second.status_code)
    (only,) = control.bookings()
    assert only["received"] == 2


@pytest.mark.parametrize(
    ("operation", "status"), [("reserve", 409), ("book", 409), ("reserve", 204), ("book", 204), ("book", 500)]
)
async def test_whatever_a_repeat_is_answered_with_the_answer_is_the_meeting(client, breaks, control, operation, status):
    chosen = (await free(client))[0]["id"]
    first = await book(client, chosen)
    # A reservation that is taken once more leads to a booking of what is booked.
    breaks({"kind": "status", "status": 200, "body": ""}, "reserve")
    breaks({"kind": "status", "status": status, "body": ""}, operation)
    for _ in range(2):
        again = await book(client, chosen)
        assert (again.status_code, again.text) == (201, first.text)
    assert len(control.bookings()) == 1


@pytest.mark.parametrize("code", ["4770", "90036", "4783", "8107", "1010"])
async def test_a_meeting_that_is_booked_is_the_answer_also_when_its_time_is_offered_no_longer(client, breaks, code):
    chosen = (await free(client))[0]["id"]
    first = await book(client, chosen)
    for operation in ("offers", "reserve") if code != "8107" else ("reserve",):
        breaks(said(code), operation)
        assert (await book(client, chosen)).text == first.text


async def test_the_same_key_gives_the_same_answer_also_when_the_deadline_is_booked_and_gone(client, services, control):
    chosen = (await free(client))[0]["id"]
    first = await book(client, chosen)
    await settle(services, "kontaktforloeb")
    again = await book(client, chosen)
    assert (again.status_code, again.text) == (201, first.text)
    assert len(control.bookings()) == 1


async def test_when_the_answer_was_lost_the_same_key_gives_the_booking_and_books_no_other(client, control, breaks):
    chosen = (await free(client))[0]["id"]
    breaks({"kind": "reset_after"})
    assert problem(await book(client, chosen)) == (503, UNREACHABLE[0])
    for lost in (["reserve"], ["book", None]):
        breaks({"kind": "reset_after"}, *lost)
        assert problem(await book(client, chosen)) == (503, UNREACHABLE[0])
        assert len(control.bookings()) == (lost != ["reserve"])
    control.mend(REGISTER)
    assert (await book(client, chosen)).status_code == 201
    assert len(control.bookings()) == 1


@pytest.mark.parametrize("kind", ["reset_after", "truncated", "wrong_content_type", "invalid_body"])
async def test_when_the_answer_to_a_booking_is_lost_the_citizens_meetings_tell_at_once(client, control, breaks, kind):
    chosen = (await free(client))[0]
    breaks({"kind": kind}, "book")
    answer = await book(client, chosen["id"])
    is_done = kind in {"reset_after", "truncated"}
    assert answer.status_code == (201 if is_done else 502)
    assert len(control.bookings()) == is_done
    if is_done:
        assert answer.json() == {**chosen, "id": control.bookings()[0]["id"]}


async def test_the_same_key_for_another_time_is_refused(client, control):
    first, second, *_ = await free(client)
    await book(client, first["id"])
    assert problem(await book(client, second["id"])) == (422, "idempotency-key-reused")
    assert len(control.bookings()) == 1


@pytest.mark.parametrize("status", [409, 404, 503])
async def test_the_same_key_for_another_time_is_refused_also_where_the_register_does_not_say_so(client, breaks, status):
    first, second, *_ = await free(client)
    await book(client, first["id"])
    breaks({"kind": "status", "status": status, "body": ""}, "reserve")
    assert problem(await book(client, second["id"])) == (422, "idempotency-key-reused")


async def test_a_time_of_an_offer_that_is_for_another_sort_of_meeting_is_not_there(client, control):
    other = next(one for one in booking.offers_of(citizens.EXAMPLE) if one.kind == booking.ANOTHER_TYPE)
    theirs = next(iter(booking.offers_of(citizens.OUTSIDE)))
    offered = (await times(client)).json()["times"]
    for offer in (other, theirs):
        assert offer.id not in {one["id"][:36] for one in offered}
        assert problem(await book(client, f"{offer.id}.{MOMENTS}")) == (404, "not-found")
    assert control.calls(REGISTER).writes == []
    assert (await times(client)).status_code == 200


@pytest.mark.parametrize(
    "time_id",
    ["tid-x", NOBODYS[:36], f"{NOBODYS}.x", NOBODYS.replace("T08", "T8"), NOBODYS.replace("0800", "0900"),
     NOBODYS.replace(f"{DAY:%m%d}", "0230"), NOBODYS.replace("-", "_")],
)  # fmt: skip
async def test_what_is_no_time_of_ours_is_not_there_and_nobody_is_asked(client, asked, time_id):
    assert problem(await book(client, time_id)) == (404, "not-found")
    assert asked() == 0


async def test_another_key_for_a_deadline_that_is_booked_books_nothing_more(client, control):
    first, second, *_ = await free(client)
    await book(client, first["id"])
    assert problem(await book(client, second["id"], key="two")) == (409, "wrong-state")
    assert len(control.bookings()) == 1


async def test_two_citizens_with_the_same_key_never_share_an_answer(client, signer, services, control):
    await known(services, OTHER, key=THEIRS)
    await book(client, (await free(client))[0]["id"])
    answer = await book(client, NOBODYS, token=signer.token(OTHER), deadline=THEIRS)
    assert problem(answer) == (404, "not-found")
    assert len(control.bookings()) == 1


async def test_a_time_that_somebody_else_has_taken_is_told_as_such(client, control):
    offered = (await times(client)).json()["times"]
    snatched = next(one for one in offered if datetime.fromisoformat(one["start"]).hour == 10)
    assert problem(await book(client, snatched["id"])) == (409, "time-taken")
    assert control.bookings() == []
    assert len((await client.get("/v1/calendar")).json()["deadlines"]) == 1


async def test_anothers_deadline_is_not_there_and_the_booking_system_is_not_asked(client, signer, services, asked):
    await known(services, OTHER, key=THEIRS)
    token = signer.token(OTHER)
    assert problem(await times(client, token)) == (404, "not-found")
    assert problem(await book(client, NOBODYS, token=token)) == (404, "not-found")
    assert asked() == 0


async def test_a_deadline_that_is_booked_already_offers_no_times(client, services):
    await known(services, active=False)
    assert problem(await times(client)) == (404, "not-found")


async def test_booking_needs_the_deadlines_alone_whatever_else_is_down(client, services):
    who = services.citizens.id_of(Cpr.parse(ME))
    for register in ("visitering", "jobsearch", "borgerindsats"):
        await services.entries.fail(who, register, "timeout", age=timedelta(0), retry_after=timedelta(minutes=1))
    assert (await times(client)).status_code == 200
    await services.entries.discard(who, "kontaktforloeb")
    await services.entries.fail(who, "kontaktforloeb", "timeout", age=timedelta(0), retry_after=timedelta(minutes=1))
    answer = await times(client)
    assert problem(answer) == (503, "temporarily-unavailable")
    assert 50 <= int(answer.headers["retry-after"]) <= 60


async def test_while_the_citizens_deadlines_are_not_known_nothing_is_booked(client, services, asked):
    await services.cache.flushall()
    assert problem(await times(client)) == (503, "temporarily-unavailable")
    assert problem(await book(client, NOBODYS)) == (503, "temporarily-unavailable")
    assert asked() == 0


@pytest.mark.parametrize("method", ["times", "book"])
@pytest.mark.parametrize(
    ("fault", "status", "expected"),
    [
        ({"kind": "gone"}, 503, UNREACHABLE),
        ({"kind": "reset"}, 503, UNREACHABLE),
        ({"kind": "status", "status": 500}, 503, UNREACHABLE),
        ({"kind": "status", "status": 401}, 503, UNREACHABLE),
        ({"kind": "status", "status": 429}, 503, UNREACHABLE),
        ({"kind": "truncated"}, 503, UNREACHABLE),
        ({"kind": "missing_field"}, 502, CONTRACT),
        ({"kind": "invalid_body"}, 502, CONTRACT),
        ({"kind": "wrong_content_type"}, 502, CONTRACT),
        ({"kind": "status", "status": 400}, 502, CONTRACT),
        ({"kind": "status", "status": 404}, 502, CONTRACT),
        ({"kind": "status", "status": 409}, 502, CONTRACT),
        ({"kind": "status", "status": 422}, 502, CONTRACT),
        ({"kind": "redirect"}, 502, CONTRACT),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_no_contact_and_a_broken_contract_are_two_problems(client, breaks, method, fault, status, expected):
    breaks(fault)
    answer = await (times(client) if method == "times" else book(client, NOBODYS))
    assert problem(answer) == (status, expected[0])
    assert answer.json()["error_code"] == expected[1]


def said(code, status=400):
    """The fault with which the booking system answers with one of STAR's codes."""
    return {"kind": "status", "status": status, "body": f'{{"fejl": [{{"kode": "{code}", "tekst": "x"}}]}}'}


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [("4769", 500, UNREACHABLE), ("9018", 400, UNREACHABLE), ("9303", 200, CONTRACT), ("9329", 404, CONTRACT)],
)
async def test_the_published_codes_of_the_two_problems_are_told_as_such(client, breaks, code, status, expected):
    chosen = (await free(client))[0]["id"]
    for operation in ("offers", "times"):
        breaks(said(code, status), operation)
        answer = await times(client)
        assert (problem(answer)[1], answer.json()["error_code"]) == expected
    for operation in ("offers", "reserve", "book"):
        breaks(said(code, status), operation)
        answer = await book(client, chosen)
        assert (problem(answer)[1], answer.json()["error_code"]) == expected


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize("operation", ["offers", "times"])
async def test_no_free_times_is_an_answer_like_another(client, services, breaks, operation, status):
    chosen = (await free(client))[0]["id"]
    breaks(said("4770", status), operation)
    for _ in range(8):
        answer = await times(client)
        assert (answer.status_code, answer.json()) == (200, {"times": []})
    breaks(said("4770", status), "reserve")
    assert (await services.admission("booking").status()).get("state", "closed") == "closed"
    assert problem(await book(client, chosen)) == (409, "time-taken")


@pytest.mark.parametrize("operation", ["offers", "times"])
@pytest.mark.parametrize("beside", ["4769", "9329", "1011", "8107", "77"])
async def test_a_failure_beside_it_is_never_told_as_no_free_times(client, breaks, beside, operation):
    breaks(said(f'4770"}}, {{"kode": "{beside}'), operation)
    assert (await times(client)).status_code in {502, 503}


@pytest.mark.parametrize("fault", [said("8107"), {"kind": "wrong_person"}, {"kind": "mixed_people"}], ids=str)
@pytest.mark.parametrize("operation", ["offers", "times"])
async def test_an_answer_about_another_person_cuts_the_booking_system_off(
    client, services, breaks, control, asked, logged, operation, fault
):
    breaks(fault, operation)
    assert problem(await times(client)) == (503, UNREACHABLE[0])
    assert ("upstream_alarm", "wrong_person") in {(event["event"], event.get("outcome")) for event in logged}
    control.mend(REGISTER)
    so_far = asked()
    assert problem(await times(client)) == (503, UNREACHABLE[0])
    assert asked() == so_far
    assert (await services.admission("booking").status())["override"] == "forced_open"
    assert (await services.admission(REGISTER).status()).get("override") is None


@pytest.mark.parametrize("answers", ["wrong_person", "mixed_people"])
async def test_meetings_of_another_person_are_never_taken_for_the_citizens_own(client, services, breaks, answers):
    chosen = (await free(client))[0]["id"]
    await book(client, chosen)
    breaks({"kind": answers}, None)
    assert problem(await book(client, chosen)) == (503, UNREACHABLE[0])
    assert (await services.admission("booking").status())["override"] == "forced_open"


async def test_who_caused_it_is_not_asked_about_until_an_operator_lets_them(client, signer, services, breaks, control):
    await known(services, OTHER)
    breaks({"kind": "wrong_person"}, "offers")
    await times(client)
    control.mend(REGISTER)
    await services.admission("booking").set_override(None)
    assert problem(await times(client)) == (503, UNREACHABLE[0])
    assert (await times(client, signer.token(OTHER))).status_code == 200
    assert await services.quarantine.release("booking", services.citizens.id_of(Cpr.parse(ME)))
    await services.admission("booking").set_override(None)


@pytest.mark.parametrize("code", ["8107", "4768", "90036", "4783", "90002", "4792", "90004"])
@pytest.mark.parametrize("operation", ["reserve", "book"])
async def test_a_time_that_a_browser_made_up_is_not_there_and_cuts_nobody_off(
    client, services, breaks, control, operation, code
):
    chosen = (await free(client))[0]["id"]
    breaks(said(code), operation)
    for _ in range(8):
        assert problem(await book(client, chosen)) == (404, "not-found")
    control.mend(REGISTER)
    assert (await services.admission("booking").status()).get("state", "closed") == "closed"
    assert (await times(client)).status_code == 200


@pytest.mark.parametrize("kind", ["hang_before_headers", "hang_after_headers"])
@pytest.mark.parametrize("operation", ["offers", "reserve", "book"])
async def test_a_booking_system_that_hangs_is_given_up_within_the_time_for_it(
    client, services, breaks, asked, kind, operation
):
    chosen = (await free(client))[0]["id"]
    breaks({"kind": kind}, operation)
    began = time.monotonic()
    answer = await book(client, chosen)
    assert problem(answer) == (503, UNREACHABLE[0])
    assert services.settings.kontaktforloeb.booking_timeout == timedelta(seconds=2)
    # The times were looked for before it; and nothing is asked for when the time is up.
    assert (asked(operation), asked(None)) == (2 if operation == "offers" else 1, 0)
    assert time.monotonic() - began >= 1.9


async def test_a_booking_system_that_is_down_is_spared_after_a_few_calls(client, services, breaks, asked):
    breaks({"kind": "status", "status": 503})
    for _ in range(8):
        assert problem(await times(client)) == (503, UNREACHABLE[0])
    assert asked() == services.settings.kontaktforloeb.booking_admission.consecutive_failures


async def test_time_and_again_a_refusal_is_no_failure_of_the_booking_system(client, asked):
    for attempt in range(8):
        assert problem(await book(client, NOBODYS, key=str(attempt))) == (404, "not-found")
    assert (asked("offers"), asked("reserve", "book")) == (8, 0)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"deadline": DEADLINE},
        {"deadline": DEADLINE, "time": ""},
        {"deadline": DEADLINE, "time": "a b"},
        {"deadline": DEADLINE, "time": 7},
        {"deadline": DEADLINE, "time": NOBODYS, "cpr": ME},
    ],
)
async def test_what_is_no_booking_is_a_problem(client, body):
    answer = await client.post("/v1/booking/bookings", json=body, headers={"Idempotency-Key": "one"})
    assert problem(answer) == (422, "invalid-request")


async def test_a_booking_without_an_idempotency_key_is_a_problem(client):
    answer = await client.post("/v1/booking/bookings", json={"deadline": DEADLINE, "time": NOBODYS})
    assert problem(answer) == (422, "invalid-request")


async def test_booking_needs_its_own_scope_and_a_citizen(client, signer):
    for token in (signer.token(scope=OTHER_SCOPES), signer.token(None)):
        assert problem(await times(client, token)) == (403, "forbidden")
        assert problem(await book(client, NOBODYS, token=token)) == (403, "forbidden")


async def test_no_call_breaks_the_contract_and_the_citizen_is_named_in_a_header_alone(client, control, capfd):
    await book(client, (await free(client))[0]["id"])
    received = control.calls(REGISTER)
    calls = (*received.calls, *received.writes)
    assert [call.broke_contract for call in calls] == [None] * len(calls)
    assert {call.citizen for call in calls} == {ME}
    assert [call.operation for call in received.writes] == ["reserve", "book"]
    assert len({call.request_id for call in calls}) == len(calls)
    assert ME not in "".join(capfd.readouterr())


async def test_each_look_up_is_on_record_as_the_citizens_own(client, services, settings):
    await book(client, (await free(client))[0]["id"])
    lines = [json.loads(line) for file in settings.audit_dir.glob("*.jsonl") for line in file.read_text().splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    # Offers, and the times of the two of them; offers again, the reservation, and the booking.
    assert len(calls) == 6
    assert {(line["upstream"], line["behalf"], line["purpose"]) for line in calls} == {
        ("booking", "citizen", "book_meeting")
    }
    assert {line["citizen"] for line in calls} == {services.citizens.id_of(Cpr.parse(ME))}
    assert ME not in json.dumps(lines)


async def test_what_cannot_be_put_on_record_is_not_asked(client, asked, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Chain, "append", full)
    assert problem(await times(client)) == (503, UNREACHABLE[0])
    assert asked() == 0


async def test_however_often_a_citizen_asks_at_once_the_booking_system_is_asked_hardly_ever(client, breaks, asked):
    breaks({"kind": "latency", "seconds": 1}, "offers")
    answers = await asyncio.gather(*(times(client) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    # Once, unless a busy machine lets some of them come only after the answer.
    assert asked("offers") < 5


async def test_one_of_a_citizens_bookings_is_under_way_at_a_time_and_keeps_nobody_else_waiting(
    client, signer, services, breaks
):
    mine, another, *_ = await free(client)
    await known(services, OTHER, key=THEIRS)
    breaks({"kind": "latency", "seconds": 1}, "offers")
    first, second, theirs, asked = await asyncio.gather(
        book(client, mine["id"]),
        book(client, another["id"], key="two"),
        book(client, NOBODYS, key="theirs", token=signer.token(OTHER), deadline=THEIRS),
        times(client),
    )
    assert {first.status_code, second.status_code} == {201, 429}
    refused = next(one for one in (first, second) if one.status_code == 429)
    assert (problem(refused)[1], refused.headers["retry-after"]) == ("rate-limited", "1")
    assert problem(theirs) == (404, "not-found")
    assert asked.status_code == 200


class TestLimit:
    @pytest.fixture
    def own_settings(self, own_settings):
        return {**own_settings, "PORTAL__BOOKING_CALLS_PER_MINUTE": "3"}

    async def test_a_citizen_reaches_the_booking_system_so_often_within_a_minute(self, client, signer, services, asked):
        await known(services, OTHER)
        assert {(await times(client)).status_code for _ in range(2)} == {200}
        assert problem(await book(client, NOBODYS)) == (404, "not-found")
        for refused in (await times(client), await book(client, NOBODYS)):
            assert problem(refused) == (429, "rate-limited")
            assert 50 <= int(refused.headers["retry-after"]) <= 60
        assert asked("offers") == 3
        assert (await times(client, signer.token(OTHER))).status_code == 200


async def fetched(services):
    """Why a refresh of the register fails; None when it does not."""
    who = services.citizens.id_of(Cpr.parse(ME))
    await services.citizens.remember(Cpr.parse(ME))
    await services.entries.discard(who, REGISTER)
    await services.leases.acquire(who, REGISTER, timedelta(minutes=1), CITIZENS_WISH)
    await tasks.REGISTER.refresh(services, who)
    return (await services.entries.read(who, [REGISTER]))[REGISTER].failure


@pytest.mark.parametrize("fails", ["booking", REGISTER])
async def test_neither_bookings_nor_refreshes_that_fail_keep_the_other_away(client, services, breaks, control, fails):
    """One register, and two admissions to it."""
    breaks({"kind": "status", "status": 503})
    for _ in range(6):
        if fails == "booking":
            assert problem(await times(client)) == (503, UNREACHABLE[0])
        else:
            assert await fetched(services) is not None
    control.mend(REGISTER)
    open_, closed = ("booking", REGISTER) if fails == "booking" else (REGISTER, "booking")
    assert (await services.admission(open_).status())["state"] == "open"
    assert (await services.admission(closed).status()).get("state", "closed") == "closed"
    if fails == "booking":
        assert await fetched(services) is None
    else:
        await known(services)
        assert (await times(client)).status_code == 200


@pytest.mark.parametrize(("ordered", "status"), [("booking", 503), (REGISTER, 200)])
async def test_an_operator_spares_the_one_without_the_other(client, signer, ordered, status):
    body = {"override": "forced_open", "reason": "announced maintenance"}
    answer = await client.put(f"/v1/registers/{ordered}/override", signer.token(None, scope="ops:write"), json=body)
    assert answer.json() == {"name": ordered, "override": "forced_open"}
    assert (await times(client)).status_code == status
