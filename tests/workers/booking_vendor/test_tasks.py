"""Delivery against the vendor's simulator over sockets: each of its answers, outages of days, and two at a time."""

import asyncio
from datetime import timedelta

import pytest

from config.settings.types import parse_fault_codes
from registerbro.fault_reports.model import DEAD_LETTERS, State
from registerbro.fault_reports.outbox import Outbox
from registerbro.services import Services
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.upstreams.admission import UpstreamAdmission
from simulators.booking_vendor import MEETINGS, OFFERS
from tests.registerbro.fault_reports.conftest import CITIZEN, Bridge
from workers.booking_vendor import tasks, wire
from workers.booking_vendor.client import Delivery

VENDOR = "booking_vendor"
DOWN = {"kind": "status", "status": 503}
LEASE = timedelta(seconds=15)


def named(value):
    return str(value.get("status") or value["kind"]) if isinstance(value, dict) else ""


async def test_a_report_arrives_as_it_was_written(bridge, control):
    (offer,), (meeting,) = OFFERS, MEETINGS
    text = "Første linje\r\nanden 😀 »æøå«  "
    report = await bridge.submit(
        text, page="/moedebooking", error_code="4769/9018", meeting_offer=offer, meeting=meeting.upper()
    )
    codes = parse_fault_codes("/moedebooking 4769/9018=3; /moedebooking=2; *=1")
    record = await bridge.deliver(report.id, fault_codes=codes)
    (received,) = control.reports()
    assert received["report"] == {
        "MoedetilbudId": offer,
        "IndkaldelseId": meeting,
        "Fejlkode": 3,
        "Fejltekst": "Første linje\nanden 😀 »æøå«",
        "FejlOphav": 32,
        "FejlTidspunkt": "2023-03-13T09:15:00.000+01:00",
    }
    assert (record.state, record.case, received["received"]) == (State.DELIVERED, None, 1)


async def test_what_was_not_said_is_not_sent(bridge, control):
    report = await bridge.submit()
    await bridge.deliver(report.id)
    assert set(control.reports()[0]["report"]) == {"Fejlkode", "Fejltekst", "FejlOphav", "FejlTidspunkt"}


async def test_five_hundred_characters_arrive_whole(bridge, control):
    report = await bridge.submit("😀" * 250)
    await bridge.deliver(report.id)
    assert control.reports()[0]["report"]["Fejltekst"] == "😀" * 250


async def test_the_author_is_not_told_of_unless_the_vendor_wants_it(bridge, control, logged, caplog):
    caplog.set_level("DEBUG")
    await bridge.portal.citizens.remember(CITIZEN)
    report = await bridge.submit()
    await bridge.deliver(report.id)
    assert control.calls(VENDOR).calls[0].citizen is None
    named = await bridge.submit("En anden")
    assert (await bridge.deliver(named.id, send_cpr=True)).state is State.DELIVERED
    assert control.calls(VENDOR).calls[1].citizen == CITIZEN.digits
    assert CITIZEN.digits not in caplog.text + repr(logged)


async def test_an_author_whose_number_is_gone_is_waited_for(bridge, control, logged):
    report = await bridge.submit()
    record = await bridge.deliver(report.id, send_cpr=True)
    assert (record.state, record.reason, control.calls(VENDOR).total) == (State.ACCEPTED, "author_unknown", 0)
    assert "report_author_unknown" in {event["event"] for event in logged}
    await bridge.portal.citizens.remember(CITIZEN)
    assert (await bridge.deliver_when_due(report.id, send_cpr=True)).state is State.DELIVERED


async def test_a_cache_that_is_away_makes_no_attempt_of_it(bridge, control, redis_servers):
    report = await bridge.submit()
    redis_servers["cache"].process.kill()
    try:
        record = await bridge.deliver(report.id, send_cpr=True)
    finally:
        await asyncio.to_thread(redis_servers["cache"].start)
    assert (record.state, record.reason, record.unknown) == (State.ACCEPTED, "cache_down", 0)
    assert control.calls(VENDOR).total == 0


@pytest.mark.parametrize(
    "fault",
    [
        *({"kind": "status", "status": status, "answered": True} for status in (200, 201, 202, 204, 299)),
        {"kind": "missing_field"},
        {"kind": "invalid_body"},
        {"kind": "invalid_encoding"},
        {"kind": "bomb"},
        {"kind": "huge"},
        {"kind": "truncated"},
        {"kind": "hang_after_headers"},
    ],
    ids=named,
)
@pytest.mark.parametrize("idempotent", [False, True])
async def test_any_2xx_is_a_delivery_whatever_its_body(bridge, control, fault, idempotent):
    control.know_keys(idempotent)
    control.fault(VENDOR, fault)
    report = await bridge.submit()
    record = await bridge.deliver(report.id, idempotent=idempotent, attempt_timeout=timedelta(seconds=0.5))
    assert (record.state, record.unknown, record.reason) == (State.DELIVERED, 0, None)
    assert len(control.reports()) == 1


async def test_a_case_number_is_kept_if_one_comes(bridge, control):
    control.know_keys()
    report = await bridge.submit()
    assert (await bridge.deliver(report.id, idempotent=True)).case == control.reports()[0]["sagsnummer"]


NOT_TAKEN = [
    *(({"kind": "status", "status": status}, "unavailable") for status in (408, 500, 501, 503, 505)),
    *(({"kind": "status", "status": status}, "invalid_response") for status in (301, 307, 308)),
    ({"kind": "status", "status": 429}, "rate_limited"),
    ({"kind": "status", "status": 412}, "request_id_used"),
    ({"kind": "gone"}, "unavailable"),
]


@pytest.mark.parametrize(("fault", "reason"), NOT_TAKEN, ids=named)
async def test_what_the_vendor_has_not_taken_is_sent_until_it_has(bridge, control, fault, reason):
    control.fault(VENDOR, fault)
    report = await bridge.submit()
    for attempts in (1, 2, 3):
        record = await bridge.deliver_when_due(report.id, repeat_unknown=0)
        assert (record.state, record.reason, record.unknown) == (State.ACCEPTED, reason, 0)
        assert len(record.attempts) == attempts
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    assert len(control.reports()) == 1


MAY_HAVE_ARRIVED = [
    *(({"kind": "status", "status": status, "answered": True}, "unavailable") for status in (502, 504, 599)),
    *(({"kind": "status", "status": status, "answered": True}, "invalid_response") for status in (302, 303, 304)),
    ({"kind": "wrong_content_type"}, "invalid_response"),
    ({"kind": "reset_after"}, "unavailable"),
    ({"kind": "reset"}, "unavailable"),
    ({"kind": "hang_before_headers"}, "timeout"),
]
"""For 502 and 504 see docs/fault-reports.md; a page for people is a gateway's, with 200 or not."""
SOON = timedelta(seconds=0.5)


@pytest.mark.parametrize(("fault", "reason"), MAY_HAVE_ARRIVED, ids=named)
async def test_what_the_vendor_may_have_is_sent_again_once_and_then_left_to_an_operator(
    bridge, control, fault, reason, logged
):
    control.fault(VENDOR, fault)
    report = await bridge.submit()
    record = await bridge.deliver(report.id, attempt_timeout=SOON)
    assert (record.state, record.reason, record.unknown) == (State.UNKNOWN_OUTCOME, reason, 1)
    assert not record.needs_decision
    record = await bridge.deliver_when_due(report.id, attempt_timeout=SOON)
    assert (record.state, record.unknown, record.due_at, record.needs_decision) == (
        State.UNKNOWN_OUTCOME, 2, None, True,
    )  # fmt: skip
    assert [attempt.outcome for attempt in record.attempts] == [f"unknown_outcome: {reason}"] * 2
    control.mend(VENDOR)
    bridge.clock.pass_(days=30)
    assert await bridge.outbox.take_due() == ()
    await bridge.deliver(report.id)
    assert control.calls(VENDOR).total == 2
    assert len({one["report"]["FejlTidspunkt"] for one in control.reports()}) <= 1
    assert {"report_outcome_unknown", "report_sent_again"} <= {event["event"] for event in logged}


async def test_a_token_that_is_not_issued_leaves_nothing_unknown(
    make_settings, simulation, clock, empty_redis, control, app
):
    async def hangs(reader, writer):
        await reader.read()
        writer.close()

    async with await asyncio.start_server(hangs, "127.0.0.1") as endpoint:
        settings = make_settings(
            BOOKING_VENDOR__BASE_URL=simulation.urls[VENDOR],
            BOOKING_VENDOR__TOKEN_URL=f"http://127.0.0.1:{endpoint.sockets[0].getsockname()[1]}/token",
            BOOKING_VENDOR__CLIENT_ID="client",
            BOOKING_VENDOR__CLIENT_SECRET="secret",
            BOOKING_VENDOR__ATTEMPT_TIMEOUT="PT0.3S",
        )
        bridge = Bridge(settings, clock, empty_redis)
        report = await bridge.submit()
        record = await bridge.deliver(report.id)
        await bridge.portal.close()
    assert (record.state, record.reason, record.unknown) == (State.ACCEPTED, "timeout", 0)
    assert control.calls(VENDOR).total == 0


@pytest.mark.parametrize("repeats", [0, 1, 3])
async def test_a_report_comes_at_most_as_often_again_as_the_setting_says_with_the_same_time(bridge, control, repeats):
    control.fault(VENDOR, {"kind": "reset_after"})
    report = await bridge.submit()
    while not (await bridge.deliver_when_due(report.id, repeat_unknown=repeats)).needs_decision:
        pass
    assert len(control.reports()) == 1 + repeats
    assert len({one["report"]["FejlTidspunkt"] for one in control.reports()}) == 1


async def test_a_repeat_that_was_not_taken_is_not_used_up(bridge, control):
    control.fault(VENDOR, {"kind": "reset_after"})
    report = await bridge.submit()
    await bridge.deliver(report.id)
    control.fault(VENDOR, DOWN)
    for _ in range(3):
        record = await bridge.deliver_when_due(report.id)
        assert (record.state, record.unknown, record.needs_decision) == (State.UNKNOWN_OUTCOME, 1, False)
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    assert len(control.reports()) == 2


async def test_whoever_may_have_come_twice_is_listed_and_counted(bridge, control):
    once = await bridge.submit("En gang")
    await bridge.deliver(once.id)
    control.fault(VENDOR, {"kind": "reset_after"})
    twice = await bridge.submit("To gange")
    await bridge.deliver(twice.id)
    control.mend(VENDOR)
    assert await bridge.outbox.sent_again() == []
    await bridge.deliver_when_due(twice.id)
    (listed,) = await bridge.outbox.sent_again()
    assert (listed.id, listed.state, listed.unknown) == (twice.id, State.DELIVERED, 1)
    assert (await bridge.outbox.stats()).sent_again == 1


async def test_an_operator_has_a_report_repeated_or_settles_it(bridge, control):
    control.fault(VENDOR, {"kind": "reset_after"})
    reports = [await bridge.submit(text) for text in ("En", "To")]
    for report in reports:
        await bridge.deliver(report.id, repeat_unknown=0)
    assert (await bridge.outbox.stats()).undecided == 2
    settled, repeated = (report.id for report in reports)
    await bridge.outbox.settle(settled, "FM-7")
    await bridge.outbox.replay(repeated)
    assert (await bridge.deliver(repeated, repeat_unknown=0)).needs_decision, "one attempt is what was said"
    await bridge.outbox.replay(repeated)
    control.mend(VENDOR)
    assert (await bridge.deliver(repeated, repeat_unknown=0)).state is State.DELIVERED
    record = await bridge.deliver(settled)
    assert (record.state, record.case) == (State.DELIVERED, "FM-7")
    assert [one["report"]["Fejltekst"] for one in control.reports()] == ["En", "To", "To", "To"]


async def test_a_killed_workers_report_is_found_by_its_mark_and_sent_again_once(bridge, control):
    report = await bridge.submit()
    for unknown in (1, 2):
        assert await bridge.outbox.begin_delivery(report.id, LEASE)  # and its worker was killed
        control.fault(VENDOR, DOWN)
        record = await bridge.deliver_when_due(report.id)
        assert (record.state, record.unknown) == (State.UNKNOWN_OUTCOME, unknown)
        bridge.clock.pass_(minutes=1)
    assert record.needs_decision
    assert record.attempts[-1].outcome == "unknown_outcome: interrupted"
    assert control.calls(VENDOR).total == 1


async def test_a_worker_killed_once_after_it_delivered_leaves_two_at_the_vendor(bridge, control):
    report = await bridge.submit()
    sending = await bridge.outbox.begin_delivery(report.id, LEASE)
    delivery = Delivery(sending, bridge.outbox.open(sending), bridge.settings.booking_vendor, None)
    await delivery.send(bridge.portal.upstream(VENDOR))
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    first, second = control.reports()
    assert first["report"] == second["report"]
    assert [one.id for one in await bridge.outbox.sent_again()] == [report.id]


@pytest.mark.parametrize(("fault", "reason"), [*MAY_HAVE_ARRIVED, *NOT_TAKEN], ids=named)
async def test_a_vendor_that_knows_keys_is_sent_the_same_one_until_it_has_it_and_has_it_once(
    bridge, control, fault, reason
):
    control.know_keys()
    control.fault(VENDOR, fault)
    report = await bridge.submit()
    for _ in range(3):
        record = await bridge.deliver_when_due(report.id, idempotent=True, attempt_timeout=SOON)
        assert (record.state, record.reason, record.unknown) == (State.ACCEPTED, reason, 0)
    control.know_keys()
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id, idempotent=True)).state is State.DELIVERED
    assert [one["key"] for one in control.reports()] == [report.id]


@pytest.mark.parametrize(("answered", "state"), [(True, State.DELIVERED), (False, State.ACCEPTED)])
async def test_a_conflict_of_a_vendor_that_knows_keys_is_a_delivery_with_a_case_number_alone(
    bridge, control, answered, state
):
    control.know_keys()
    control.fault(VENDOR, {"kind": "status", "status": 409, "answered": answered})
    report = await bridge.submit()
    assert (await bridge.deliver(report.id, idempotent=True)).state is state


async def test_a_killed_worker_of_a_vendor_that_knows_keys_leaves_nothing_unknown(bridge, control):
    control.know_keys()
    report = await bridge.submit()
    await bridge.outbox.begin_delivery(report.id, LEASE)
    record = await bridge.deliver_when_due(report.id, idempotent=True)
    assert (record.state, record.unknown) == (State.DELIVERED, 0)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 413, 415, 422, 451])
async def test_a_refusal_is_final_and_keeps_what_the_vendor_said(bridge, control, status):
    control.fault(VENDOR, {"kind": "status", "status": status})
    report = await bridge.submit()
    record = await bridge.deliver(report.id)
    assert (record.state, record.attempts[0].outcome) == (State.REJECTED, record.reason)
    assert (await bridge.outbox.contents(report.id))[1] == "simulated"
    control.mend(VENDOR)
    bridge.clock.pass_(days=30)
    await bridge.deliver(report.id)
    assert control.reports() == []


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_stops_everything_and_loses_nothing(bridge, control, status, logged):
    control.fault(VENDOR, {"kind": "status", "status": status})
    first, second = await bridge.submit(), await bridge.submit()
    assert (await bridge.deliver(first.id)).state is State.ACCEPTED
    assert (await bridge.deliver(second.id)).attempts == ()
    assert control.calls(VENDOR).total == 1
    assert "sending_halted" in {event["event"] for event in logged}
    control.mend(VENDOR)
    bridge.clock.pass_(minutes=15)
    assert [(await bridge.deliver(report.id)).state for report in (first, second)] == [State.DELIVERED] * 2


async def test_a_retry_after_is_respected(bridge, control):
    control.fault(VENDOR, {"kind": "status", "status": 503, "retry_after": 600})
    report = await bridge.submit()
    await bridge.deliver(report.id)
    bridge.clock.pass_(seconds=599)
    await bridge.deliver(report.id)
    assert control.calls(VENDOR).total == 1
    bridge.clock.pass_(seconds=1)
    await bridge.deliver(report.id)
    assert control.calls(VENDOR).total == 2


async def test_after_three_days_of_outage_a_report_is_delivered_within_one_wait(bridge, control):
    control.fault(VENDOR, DOWN)
    report, began = await bridge.submit(), bridge.clock.now
    returns = began + round(timedelta(days=3).total_seconds() * 1000)
    while (await bridge.outbox.record(report.id)).due_at.timestamp() * 1000 < returns:
        await bridge.deliver_when_due(report.id)
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    assert bridge.clock.now - returns <= timedelta(hours=3).total_seconds() * 1000
    assert len(control.reports()) == 1


async def test_after_seven_days_of_outage_it_is_given_up_listed_and_delivered_by_replay(bridge, control):
    control.fault(VENDOR, DOWN)
    report, began = await bridge.submit(), bridge.clock.now
    while (await bridge.deliver_when_due(report.id)).state is State.ACCEPTED:
        pass
    assert timedelta(milliseconds=bridge.clock.now - began) == timedelta(days=7)
    assert [(found.id, found.state) for found in await bridge.outbox.records(DEAD_LETTERS)] == [
        (report.id, State.GAVE_UP)
    ]
    control.mend(VENDOR)
    await bridge.outbox.replay(report.id)
    assert (await bridge.deliver(report.id)).state is State.DELIVERED


async def test_two_workers_with_the_same_message_send_it_once(bridge, control):
    control.fault(VENDOR, {"kind": "latency", "seconds": 0.2})
    report = await bridge.submit()
    workers = [Services(bridge.settings, clock=bridge.clock) for _ in range(2)]
    await asyncio.gather(*(tasks.deliver(worker, report.id) for worker in workers for _ in range(5)))
    assert len(control.reports()) == 1
    for worker in workers:
        await worker.close()


@pytest.mark.parametrize(("idempotent", "unknown"), [(False, 1), (True, 0)])
async def test_a_worker_that_is_stopped_in_a_call_hands_the_report_back_at_once(bridge, control, idempotent, unknown):
    control.know_keys(idempotent)
    control.fault(VENDOR, {"kind": "hang_before_headers"})
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id, idempotent=idempotent))
    await bridge.until_called(control)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    control.mend(VENDOR)
    record = await bridge.deliver_when_due(report.id, idempotent=idempotent)
    assert (record.state, record.unknown) == (State.DELIVERED, unknown)


async def test_a_worker_that_is_stopped_before_its_call_leaves_nothing_unknown(bridge, monkeypatch):
    asked = asyncio.Event()

    async def waits(*_, **__):
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(UpstreamAdmission, "enter", waits)
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id))
    await asked.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    record = await bridge.outbox.record(report.id)
    assert (record.state, record.unknown, record.reason) == (State.ACCEPTED, 0, "cancelled")


async def test_a_worker_that_is_stopped_while_it_records_a_delivery_records_it(bridge, control, monkeypatch):
    begun = asyncio.Event()
    deliver = Outbox.deliver

    async def slowly(*given):
        begun.set()
        await asyncio.sleep(0.2)
        return await deliver(*given)

    monkeypatch.setattr(Outbox, "deliver", slowly)
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id))
    await begun.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (await bridge.outbox.record(report.id)).state is State.DELIVERED


async def test_a_result_that_the_ledger_did_not_take_at_once_is_recorded_when_it_is_back(
    bridge, control, redis_servers
):
    control.fault(VENDOR, {"kind": "latency", "seconds": 0.5})
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id))
    await bridge.until_called(control)
    redis_servers["ledger"].process.kill()
    await asyncio.sleep(1)
    await asyncio.to_thread(redis_servers["ledger"].start)
    await bridge.portal.ledger.redis.connection_pool.disconnect()
    record = await run
    assert (record.state, record.unknown) == (State.DELIVERED, 0)
    assert len(control.reports()) == 1


async def test_a_result_that_cannot_be_written_down_is_an_unknown_outcome(bridge, control, redis_servers, monkeypatch):
    monkeypatch.setattr(tasks, "LEASE_BEYOND_CALL", timedelta(seconds=0.1))
    control.fault(VENDOR, {"kind": "latency", "seconds": 0.5})
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id, total_timeout=timedelta(seconds=1)))
    await bridge.until_called(control)
    redis_servers["ledger"].process.kill()
    with pytest.raises(REDIS_DOWN):
        await run
    await asyncio.to_thread(redis_servers["ledger"].start)
    await bridge.portal.ledger.redis.connection_pool.disconnect()
    control.mend(VENDOR)
    record = await bridge.deliver_when_due(report.id)
    assert (record.state, record.unknown) == (State.DELIVERED, 1)
    assert len(control.reports()) == 2


async def test_a_defect_in_reading_the_answer_is_an_unknown_outcome(bridge, control, monkeypatch):
    def fails(*_):
        raise RuntimeError

    monkeypatch.setattr(Delivery, "_read", fails)
    report = await bridge.submit()
    record = await bridge.deliver(report.id)
    assert (record.state, record.reason, record.unknown) == (State.UNKNOWN_OUTCOME, "internal", 1)


async def test_what_another_key_sealed_waits_for_that_key(bridge, control, logged):
    report = await bridge.submit()
    await bridge.portal.ledger.redis.hset(f"{{reports}}:report:{report.id}", "content", b"\x01nonsense")
    record = await bridge.deliver(report.id)
    assert (record.state, record.reason) == (State.ACCEPTED, "unreadable")
    assert "report_unreadable" in {event["event"] for event in logged}


async def test_what_is_due_is_sent_for_with_its_id_as_the_only_argument(bridge, app):
    report = await bridge.submit()
    bridge.clock.pass_(minutes=1)
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.amqp.queues["booking_vendor"])
        queue.clear()
        await tasks.deliver_due(bridge.portal)
        message = queue.get(timeout=5)
        assert (message.headers["task"], message.payload[0]) == ("booking_vendor.deliver", [report.id])
        message.ack()
        queue.close()


async def test_without_the_ledger_nothing_raises(bridge, make_settings):
    settings = make_settings(LEDGER_URL="redis://127.0.0.1:1/0")
    services = Services(settings)
    await tasks.deliver(services, "some-id")
    await tasks.deliver_due(services)
    await tasks.tidy(services)
    await services.close()


async def test_tidying_goes_on_until_nothing_is_left(bridge):
    report = await bridge.submit()
    await bridge.deliver(report.id)
    bridge.clock.pass_(days=91)
    await tasks.tidy(bridge.portal)
    assert await bridge.outbox.record(report.id) is None


async def test_no_log_line_holds_anything_of_a_text(bridge, control, caplog, logged):
    caplog.set_level("DEBUG")
    for fault in (DOWN, {"kind": "status", "status": 422}, {"kind": "invalid_body"}, {"kind": "reset_after"}):
        control.fault(VENDOR, fault)
        report = await bridge.submit("Zebrafinken sang", page="/hemmeligside")
        await bridge.deliver(report.id)
    written = caplog.text + repr(logged)
    assert report.id in written
    assert "Zebra" not in written
    assert "hemmelig" not in written
    assert CITIZEN.digits not in written


async def test_a_defect_before_the_report_is_sent_keeps_it_and_tells_nothing_of_it(
    bridge, control, monkeypatch, capsys
):
    def fails(*given):
        raise ValueError(given)

    monkeypatch.setattr(wire, "fejlmelding", fails)
    report = await bridge.submit("Zebrafinken sang")
    record = await bridge.deliver(report.id)
    assert (record.state, record.reason) == (State.ACCEPTED, "internal")
    assert control.calls("booking_vendor").total == 0
    assert "Zebra" not in "".join(capsys.readouterr())
