"""What portals call: a report is on disk when it is accepted, or refused in words that say which."""

import asyncio

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from tests.booking_vendor.conftest import CITIZEN, STRANGER
from workers.booking_vendor import reports
from workers.booking_vendor.outbox import State
from workers.booking_vendor.reports import (
    IdempotencyKeyReused,
    InvalidContext,
    LedgerNotDurable,
    LedgerUnavailable,
    TooManyReports,
)
from workers.domain.fault_report import FaultReportTooLong
from workers.runtime import Services


async def test_a_report_is_accepted_and_its_author_sees_what_becomes_of_it(bridge, control):
    report = await bridge.submit()
    seen = await reports.status(bridge.portal, CITIZEN, report.id)
    assert (seen.id, seen.state, seen.accepted_at, seen.case) == (
        report.id,
        State.ACCEPTED,
        report.accepted_at,
        None,
    )
    await bridge.deliver(report.id)
    seen = await reports.status(bridge.portal, CITIZEN, report.id)
    assert (seen.state, seen.case) == (State.DELIVERED, control.reports()[report.id]["sagsnummer"])


async def test_nobody_else_sees_it(bridge):
    report = await bridge.submit()
    assert await reports.status(bridge.portal, STRANGER, report.id) is None
    assert await reports.status(bridge.portal, CITIZEN, "nonsense") is None


async def test_a_text_that_is_too_long_is_refused_and_nothing_is_kept(bridge):
    with pytest.raises(FaultReportTooLong):
        await bridge.submit("x" * 501)
    assert await bridge.outbox.records(list(State)) == []


@pytest.mark.parametrize(
    "context",
    [
        {"page": ""},
        {"page": "/" * 201},
        {"page": "/borger/6102991234"},
        {"error_code": "x" * 51},
        {"error_code": "47\n69"},
        {"error_code": "610299-1234"},
        {"key": "k" * 201},
    ],
)
async def test_what_cannot_be_a_page_or_a_code_or_a_key_is_refused(bridge, context):
    with pytest.raises(InvalidContext) as caught:
        await bridge.submit(**context)
    assert "1234" not in str(caught.value)


async def test_the_same_key_gives_the_first_answer_whatever_the_line_breaks(bridge):
    first = await bridge.submit("en\r\nto ", key="k")
    assert (await bridge.submit("en\nto", key="k")).id == first.id
    with pytest.raises(IdempotencyKeyReused):
        await bridge.submit("tre", key="k")


async def test_two_at_the_same_moment_give_one_report(bridge):
    answers = await asyncio.gather(*(bridge.submit(key="k") for _ in range(2)))
    assert answers[0].id == answers[1].id
    assert len(await bridge.outbox.records([State.ACCEPTED])) == 1


async def test_more_than_ten_an_hour_are_refused(bridge):
    for _ in range(10):
        await bridge.submit()
    with pytest.raises(TooManyReports):
        await bridge.submit()
    await bridge.submit(citizen=STRANGER)


async def test_a_ledger_that_may_forget_takes_no_report(bridge, make_settings, empty_redis, logged):
    services = Services(make_settings(LEDGER_URL=empty_redis["cache"].url))
    with pytest.raises(LedgerNotDurable):
        await reports.submit(services, CITIZEN, "x", idempotency_key="k")
    assert "report_refused" in {event["event"] for event in logged}
    await services.close()


async def test_without_the_ledger_it_is_not_known_and_said_so(bridge, make_settings):
    services = Services(make_settings(LEDGER_URL="redis://127.0.0.1:1/0"))
    with pytest.raises(LedgerUnavailable):
        await reports.submit(services, CITIZEN, "x", idempotency_key="k")
    with pytest.raises(LedgerUnavailable):
        await reports.status(services, CITIZEN, "x")
    await services.close()


async def test_without_the_broker_a_report_is_accepted_all_the_same(bridge, monkeypatch):
    def refuse(*_, **__):
        raise OperationalError

    monkeypatch.setattr(current_app, "send_task", refuse)
    report = await bridge.submit()
    bridge.clock.pass_(minutes=1)
    assert await bridge.outbox.take_due() == (report.id,)


async def test_nothing_of_a_text_is_on_the_queue(bridge, empty_redis):
    await bridge.submit("Zebrafinken sang", page="/hemmeligside")
    with empty_redis["broker"].client() as client:
        messages = client.lrange("booking_vendor", 0, -1)
        assert len(messages) == 1
        stored = b"".join(client.dump(key) for key in client.scan_iter())
    assert b"Zebra" not in stored
    assert b"hemmelig" not in stored
