"""Delivery against the vendor's simulator over sockets: each of its answers, outages of days, and two at a time."""

import asyncio
from datetime import timedelta

import pytest

from tests.booking_vendor.conftest import CITIZEN
from workers.booking_vendor import tasks, wire
from workers.booking_vendor.outbox import DEAD_LETTERS, State
from workers.connections import REDIS_DOWN
from workers.runtime import Services

VENDOR = "booking_vendor"
DOWN = {"kind": "status", "status": 503}


async def test_a_report_arrives_as_it_was_written(bridge, control):
    text = "Første linje\r\nanden 😀 »æøå«  "
    report = await bridge.submit(text, page="/moedebooking", error_code="4769")
    record = await bridge.deliver(report.id)
    received = control.reports()[report.id]
    assert received["report"] == {
        "fejlmeldingsId": report.id,
        "beskrivelse": "Første linje\nanden 😀 »æøå«",
        "oprettet": "2023-03-13T09:15:00+01:00",
        "side": "/moedebooking",
        "fejlkode": "4769",
    }
    assert (record.state, record.case, received["received"]) == (State.DELIVERED, received["sagsnummer"], 1)


async def test_what_was_not_said_is_not_sent(bridge, control):
    report = await bridge.submit()
    await bridge.deliver(report.id)
    assert set(control.reports()[report.id]["report"]) == {"fejlmeldingsId", "beskrivelse", "oprettet"}


@pytest.mark.parametrize("status", [200, 201, 409])
async def test_a_case_number_means_delivered(bridge, control, status):
    control.fault(VENDOR, {"kind": "status", "status": status, "answered": True})
    report = await bridge.submit()
    assert (await bridge.deliver(report.id)).state is State.DELIVERED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        *(({"kind": "status", "status": status}, "unavailable") for status in (500, 502, 503, 504)),
        ({"kind": "status", "status": 500, "answered": True}, "unavailable"),
        ({"kind": "status", "status": 429}, "rate_limited"),
        *(({"kind": "status", "status": status}, "invalid_response") for status in (200, 201, 202, 204, 409)),
        ({"kind": "redirect"}, "invalid_response"),
        ({"kind": "missing_field"}, "invalid_response"),
        ({"kind": "invalid_body"}, "invalid_response"),
        ({"kind": "invalid_encoding"}, "invalid_response"),
        ({"kind": "truncated"}, "unavailable"),
        ({"kind": "huge"}, "too_long"),
        ({"kind": "reset"}, "unavailable"),
        ({"kind": "reset_after"}, "unavailable"),
        ({"kind": "gone"}, "unavailable"),
        ({"kind": "hang_before_headers"}, "timeout"),
        ({"kind": "hang_after_headers"}, "timeout"),
    ],
    ids=lambda value: str(value.get("status") or value["kind"]) if isinstance(value, dict) else "",
)
async def test_an_unknown_outcome_is_sent_again_with_the_same_key_and_counts_once(bridge, control, fault, reason):
    control.fault(VENDOR, fault)
    report = await bridge.submit()
    record = await bridge.deliver(report.id, attempt_timeout=timedelta(seconds=0.2))
    assert (record.state, record.reason, len(record.attempts)) == (State.ACCEPTED, reason, 1)
    assert control.calls(VENDOR).total <= 1  # no retry inside an attempt
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    assert list(control.reports()) == [report.id]


@pytest.mark.parametrize("status", [400, 404, 405, 410, 413, 415, 422, 451])
async def test_a_refusal_is_final_and_keeps_what_the_vendor_said(bridge, control, status):
    control.fault(VENDOR, {"kind": "status", "status": status})
    report = await bridge.submit()
    record = await bridge.deliver(report.id)
    assert (record.state, record.attempts[0].outcome) == (State.REJECTED, record.reason)
    assert (await bridge.outbox.contents(report.id))[1] == "simulated"
    control.mend(VENDOR)
    bridge.clock.pass_(days=30)
    await bridge.deliver(report.id)
    assert control.reports() == {}


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
    assert control.reports()[report.id]["received"] == 1


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
    assert control.reports()[report.id]["received"] == 1
    for worker in workers:
        await worker.close()


async def test_a_worker_that_is_stopped_hands_the_report_back_at_once(bridge, control):
    control.fault(VENDOR, {"kind": "hang_before_headers"})
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id))
    await bridge.until_called(control)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    control.mend(VENDOR)
    assert (await bridge.deliver(report.id)).state is State.DELIVERED


async def test_a_result_that_cannot_be_written_down_is_sent_again_with_the_same_key(bridge, control, redis_servers):
    control.fault(VENDOR, {"kind": "latency", "seconds": 0.5})
    report = await bridge.submit()
    run = asyncio.create_task(bridge.deliver(report.id))
    await bridge.until_called(control)
    redis_servers["ledger"].process.kill()
    with pytest.raises(REDIS_DOWN):
        await run
    await asyncio.to_thread(redis_servers["ledger"].start)
    await bridge.portal.ledger.redis.connection_pool.disconnect()
    control.mend(VENDOR)
    assert (await bridge.deliver_when_due(report.id)).state is State.DELIVERED
    assert control.reports()[report.id]["received"] == 2  # and one case, since the key was the same


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
        queue = connection.SimpleQueue("booking_vendor")
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
