"""Booking a meeting over HTTP, at the vendor's simulator: once however often asked, and never a page that hangs."""

import asyncio
import time
import uuid
from datetime import datetime, timedelta

import pytest

from ops.local import DEMO_CREDENTIALS
from portal.api.pages import today
from simulators import Simulation
from tests.portal.api.conftest import ME, OTHER, problem, settle
from workers.booking_vendor import reports, tasks
from workers.booking_vendor.outbox import State
from workers.domain.cpr import Cpr
from workers.domain.overview import BookingDeadline

DEADLINE = "frist-alma-1"
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
    urls = {f"{name.upper()}__BASE_URL": simulation.urls[name] for name in ("dfdg", "booking_vendor")}
    return {"BOOKING_VENDOR__BOOKING_TIMEOUT": "PT2S", **urls, **DEMO_CREDENTIALS}


async def known(services, cpr=ME, *, key=DEADLINE, booked=False):
    """The citizen's deadline, as DFDG gave it."""
    day = today() + timedelta(days=9)
    one = BookingDeadline(id=key, deadline=day, meeting_type="Jobsamtale", active=True, booked=booked)
    await settle(services, "dfdg", {"deadlines": [one]}, cpr=cpr)


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
    assert answer.json() == {**chosen, "id": "booking-1"}
    calendar = (await client.get("/v1/calendar")).json()
    assert calendar["deadlines"] == []
    assert len(control.bookings()) == 1


async def test_after_a_booking_dfdg_is_asked_anew_though_what_is_kept_was_fresh(client, services):
    await book(client, (await free(client))[0]["id"])
    who = services.citizens.id_of(Cpr.parse(ME))
    assert (await client.get("/v1/calendar")).json()["stale"] is True
    assert await services.coordination.zscore("wanted:{dfdg}", who) is not None


async def test_what_dfdg_says_long_after_the_booking_goes_before_what_we_remember(client, services):
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


async def test_a_second_click_after_the_answer_reaches_the_vendor_which_books_once(client, control):
    chosen = (await free(client))[0]["id"]
    first, second = await book(client, chosen), await book(client, chosen)
    assert (first.text, first.status_code) == (second.text, second.status_code)
    (only,) = control.bookings()
    assert only["received"] == 2


async def test_the_same_key_gives_the_same_answer_also_when_the_deadline_is_booked_and_gone(client, services, control):
    chosen = (await free(client))[0]["id"]
    first = await book(client, chosen)
    await settle(services, "dfdg")
    again = await book(client, chosen)
    assert (again.status_code, again.text) == (201, first.text)
    assert len(control.bookings()) == 1


async def test_when_the_answer_was_lost_the_same_key_gives_the_booking_and_books_no_other(client, control):
    chosen = (await free(client))[0]["id"]
    control.fault("booking_vendor", {"kind": "reset_after"})
    assert problem(await book(client, chosen)) == (503, UNREACHABLE[0])
    control.mend("booking_vendor")
    assert (await book(client, chosen)).status_code == 201
    assert len(control.bookings()) == 1


async def test_the_same_key_for_another_time_is_refused(client, control):
    first, second, *_ = await free(client)
    await book(client, first["id"])
    assert problem(await book(client, second["id"])) == (422, "idempotency-key-reused")
    assert len(control.bookings()) == 1


async def test_another_key_for_a_deadline_that_is_booked_books_nothing_more(client, control):
    first, second, *_ = await free(client)
    await book(client, first["id"])
    assert problem(await book(client, second["id"], key="two")) == (409, "wrong-state")
    assert len(control.bookings()) == 1


async def test_two_citizens_with_the_same_key_never_share_an_answer(client, signer, services, control):
    await known(services, OTHER, key="frist-karin-1")
    await book(client, (await free(client))[0]["id"])
    answer = await book(client, "tid-x", token=signer.token(OTHER), deadline="frist-karin-1")
    assert problem(answer) == (404, "not-found")
    assert len(control.bookings()) == 1


async def test_a_time_that_somebody_else_has_taken_is_told_as_such(client, control):
    offered = (await times(client)).json()["times"]
    snatched = next(one for one in offered if datetime.fromisoformat(one["start"]).hour == 10)
    assert problem(await book(client, snatched["id"])) == (409, "time-taken")
    assert control.bookings() == []
    assert len((await client.get("/v1/calendar")).json()["deadlines"]) == 1


async def test_anothers_deadline_is_not_there_and_the_booking_system_is_not_asked(client, signer, services, control):
    await known(services, OTHER, key="frist-karin-1")
    token = signer.token(OTHER)
    assert problem(await times(client, token)) == (404, "not-found")
    assert problem(await book(client, "tid-x", token=token)) == (404, "not-found")
    assert control.calls("booking_vendor").total == 0


async def test_a_deadline_that_is_booked_already_offers_no_times(client, services):
    await known(services, booked=True)
    assert problem(await times(client)) == (404, "not-found")


async def test_while_the_citizens_deadlines_are_not_known_nothing_is_booked(client, services, control):
    await services.cache.flushall()
    assert problem(await times(client)) == (503, "temporarily-unavailable")
    assert problem(await book(client, "tid-x")) == (503, "temporarily-unavailable")
    assert control.calls("booking_vendor").total == 0


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
        ({"kind": "redirect"}, 502, CONTRACT),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
async def test_no_contact_and_a_broken_contract_are_two_problems(client, control, method, fault, status, expected):
    control.fault("booking_vendor", fault)
    answer = await (times(client) if method == "times" else book(client, "tid-x"))
    assert problem(answer) == (status, expected[0])
    assert answer.json()["error_code"] == expected[1]


@pytest.mark.parametrize("kind", ["hang_before_headers", "hang_after_headers"])
async def test_a_booking_system_that_hangs_is_given_up_within_the_time_for_it(client, services, control, kind):
    control.fault("booking_vendor", {"kind": kind})
    answer = await book(client, "tid-x")
    assert problem(answer) == (503, UNREACHABLE[0])
    assert services.settings.booking_vendor.booking_timeout == timedelta(seconds=2)
    assert control.calls("booking_vendor").total == 1


async def test_a_booking_system_that_is_down_is_spared_after_a_few_calls(client, services, control):
    control.fault("booking_vendor", {"kind": "status", "status": 503})
    for _ in range(8):
        assert problem(await times(client)) == (503, UNREACHABLE[0])
    failures = services.settings.booking_vendor.booking_admission.consecutive_failures
    assert control.calls("booking_vendor").total == failures


async def test_time_and_again_a_refusal_is_no_failure_of_the_booking_system(client, control):
    for attempt in range(8):
        assert problem(await book(client, "tid-x", key=str(attempt))) == (404, "not-found")
    assert control.calls("booking_vendor").total == 8


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"deadline": DEADLINE},
        {"deadline": DEADLINE, "time": ""},
        {"deadline": DEADLINE, "time": "a b"},
        {"deadline": DEADLINE, "time": 7},
        {"deadline": DEADLINE, "time": "tid-x", "cpr": ME},
    ],
)
async def test_what_is_no_booking_is_a_problem(client, body):
    answer = await client.post("/v1/booking/bookings", json=body, headers={"Idempotency-Key": "one"})
    assert problem(answer) == (422, "invalid-request")


async def test_a_booking_without_an_idempotency_key_is_a_problem(client):
    answer = await client.post("/v1/booking/bookings", json={"deadline": DEADLINE, "time": "tid-x"})
    assert problem(answer) == (422, "invalid-request")


async def test_booking_needs_its_own_scope_and_a_citizen(client, signer):
    for token in (signer.token(scope=OTHER_SCOPES), signer.token(None)):
        assert problem(await times(client, token)) == (403, "forbidden")
        assert problem(await book(client, "tid-x", token=token)) == (403, "forbidden")


async def test_no_call_breaks_the_contract_or_names_the_citizen(client, services, control, capfd):
    await book(client, (await free(client))[0]["id"])
    assert [call.broke_contract for call in control.calls("booking_vendor").calls] == [None, None]
    assert ME not in str(control.bookings())
    assert control.bookings()[0]["wish"]["reference"] == services.citizens.id_of(Cpr.parse(ME))
    assert ME not in "".join(capfd.readouterr())


async def test_however_often_a_citizen_asks_at_once_the_booking_system_is_asked_hardly_ever(client, control):
    control.fault("booking_vendor", {"kind": "latency", "seconds": 1})
    answers = await asyncio.gather(*(times(client) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    # Once, unless a busy machine lets some of them come only after the answer.
    assert control.calls("booking_vendor").total < 5


async def test_one_of_a_citizens_bookings_is_under_way_at_a_time_and_keeps_nobody_else_waiting(
    client, signer, services, control
):
    mine, another, *_ = await free(client)
    await known(services, OTHER, key="frist-karin-1")
    control.fault("booking_vendor", {"kind": "latency", "seconds": 1.5})
    first, second, theirs, asked = await asyncio.gather(
        book(client, mine["id"]),
        book(client, another["id"], key="two"),
        book(client, "tid-x", key="theirs", token=signer.token(OTHER), deadline="frist-karin-1"),
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

    async def test_a_citizen_reaches_the_booking_system_so_often_within_a_minute(
        self, client, signer, services, control
    ):
        await known(services, OTHER)
        assert {(await times(client)).status_code for _ in range(2)} == {200}
        assert problem(await book(client, "tid-x")) == (404, "not-found")
        for refused in (await times(client), await book(client, "tid-x")):
            assert problem(refused) == (429, "rate-limited")
            assert 50 <= int(refused.headers["retry-after"]) <= 60
        assert control.calls("booking_vendor").total == 3
        assert (await times(client, signer.token(OTHER))).status_code == 200


async def deliver(services):
    """Hands in a report, and delivers it as a worker does."""
    taken = await reports.submit(services, Cpr.parse(ME), "Kalenderen er tom.", idempotency_key=str(uuid.uuid4()))
    await tasks.deliver(services, taken.id)
    return (await reports.status(services, Cpr.parse(ME), taken.id)).state


@pytest.mark.parametrize("fails", ["booking", "reports"])
async def test_neither_bookings_nor_reports_that_fail_keep_the_other_away(client, services, control, fails):
    """One vendor, and two admissions to it."""
    control.fault("booking_vendor", {"kind": "status", "status": 503})
    for _ in range(6):
        if fails == "booking":
            assert problem(await times(client)) == (503, UNREACHABLE[0])
        else:
            assert await deliver(services) == State.ACCEPTED
    open_, closed = ("booking", "booking_vendor") if fails == "booking" else ("booking_vendor", "booking")
    assert (await services.admission(open_).shared.look())["state"] == "open"
    assert (await services.admission(closed).shared.look()).get("state", "closed") == "closed"
    control.mend("booking_vendor")
    if fails == "booking":
        assert await deliver(services) == State.DELIVERED
    else:
        assert (await times(client)).status_code == 200


@pytest.mark.parametrize(("ordered", "status"), [("booking", 503), ("booking_vendor", 200)])
async def test_an_operator_spares_the_one_without_the_other(client, signer, ordered, status):
    body = {"override": "forced_open", "reason": "announced maintenance"}
    answer = await client.put(f"/v1/registers/{ordered}/override", signer.token(None, scope="ops:write"), json=body)
    assert answer.json() == {"name": ordered, "override": "forced_open"}
    assert (await times(client)).status_code == status
