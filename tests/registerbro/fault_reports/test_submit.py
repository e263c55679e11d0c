"""What portals call: a report is on disk when it is accepted, or refused in words that say which."""

import asyncio

import pytest
from celery import current_app
from kombu.exceptions import OperationalError

from domain.fault_report import FaultReportTooLong
from registerbro.fault_reports import submit
from registerbro.fault_reports.model import State
from registerbro.fault_reports.submit import (
    IdempotencyKeyReused,
    InvalidContext,
    LedgerNotDurable,
    LedgerUnavailable,
    TooManyReports,
)
from registerbro.services import Services
from tests.registerbro.fault_reports.conftest import CITIZEN, STRANGER


async def test_a_report_is_accepted_and_its_author_sees_what_becomes_of_it(bridge, control):
    report = await bridge.submit()
    seen = await submit.status(bridge.portal, CITIZEN, report.id)
    assert (seen.id, seen.state, seen.accepted_at, seen.case) == (
        report.id,
        State.ACCEPTED,
        report.accepted_at,
        None,
    )
    await bridge.deliver(report.id)
    seen = await submit.status(bridge.portal, CITIZEN, report.id)
    assert (seen.state, seen.case) == (State.DELIVERED, None)


async def test_nobody_else_sees_it(bridge):
    report = await bridge.submit()
    assert await submit.status(bridge.portal, STRANGER, report.id) is None
    assert await submit.status(bridge.portal, CITIZEN, "nonsense") is None


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
        {"page": "/borger/610299-1234"},
        {"page": "/borger/610299 1234"},
        {"page": "/borger/610299%201234"},
        {"error_code": "x" * 51},
        {"error_code": "47\n69"},
        {"error_code": "6102991234"},
        {"error_code": "610299-1234"},
        {"error_code": "610299 1234"},
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
        await submit.submit(services, CITIZEN, "x", idempotency_key="k")
    assert "report_refused" in {event["event"] for event in logged}
    await services.close()


async def test_without_the_ledger_it_is_not_known_and_said_so(bridge, make_settings):
    services = Services(make_settings(LEDGER_URL="redis://127.0.0.1:1/0"))
    with pytest.raises(LedgerUnavailable):
        await submit.submit(services, CITIZEN, "x", idempotency_key="k")
    with pytest.raises(LedgerUnavailable):
        await submit.status(services, CITIZEN, "x")
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


@pytest.mark.parametrize("what", ["meeting_offer", "meeting"])
@pytest.mark.parametrize("value", ["", "x", "6102991234", "d2719a0e-0c5b-4f5e-8d1a-3f6f2b7c9e0"])
async def test_what_is_no_id_of_the_booking_systems_is_refused_and_not_repeated(bridge, what, value):
    with pytest.raises(InvalidContext) as caught:
        await bridge.submit(**{what: value})
    assert str(caught.value) == f"the {what.replace('_', ' ')} is not a UUID"


async def test_an_author_whom_the_vendor_is_told_of_is_remembered_and_no_other(bridge, make_settings):
    await bridge.submit()
    who = bridge.portal.citizens.id_of(CITIZEN)
    assert await bridge.portal.citizens.recall(who) is None
    told = Services(make_settings(BOOKING_VENDOR__SEND_CPR="true"), clock=bridge.clock)
    await submit.submit(told, CITIZEN, "x", idempotency_key="k")
    assert await told.citizens.recall(who) == CITIZEN
    await told.close()


async def test_without_the_cache_a_report_is_accepted_all_the_same(bridge, make_settings, logged):
    services = Services(make_settings(BOOKING_VENDOR__SEND_CPR="true", CACHE_URL="redis://127.0.0.1:1/0"))
    report = await submit.submit(services, CITIZEN, "x", idempotency_key="k")
    assert (await services.outbox.record(report.id)).state is State.ACCEPTED
    assert "report_author_not_remembered" in {event["event"] for event in logged}
    await services.close()
