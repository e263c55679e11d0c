"""Delivery: what each answer of the vendor means for a report, and the tasks that carry it out."""

import asyncio
import time
from datetime import timedelta

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError

from config.celery import BOOKING_VENDOR
from workers import heartbeat, metrics, runtime
from workers.booking_vendor import reports
from workers.booking_vendor.client import Delivery
from workers.booking_vendor.outbox import Outbox, Sending, State
from workers.cache.sealing import Unreadable
from workers.connections import REDIS_DOWN
from workers.resilience import deadline
from workers.resilience.errors import BadRequest, NotAuthorised, NotCalled, UpstreamError
from workers.runtime import Services

log = structlog.get_logger()

LEASE_BEYOND_CALL = timedelta(seconds=5)
"""What a sender's lease outlasts its call by, so that the result can be written while it still holds."""
INTERNAL_ERROR, UNREADABLE = "internal", "unreadable"
"""Reasons of failures that the vendor is not to blame for."""


async def deliver(services: Services, report_id: str) -> None:
    """Sends one report, if it is due and nobody else is at it, and writes down what became of it.

    When that cannot be written, the lease ends, and the report is sent again with the same key.
    """
    outbox = reports.outbox(services)
    total = services.settings.booking_vendor.total_timeout
    began = time.monotonic()
    try:
        sending = await outbox.begin(report_id, total + LEASE_BEYOND_CALL)
        if sending is None:
            log.debug("report_not_due", report=report_id)
            return
        try:
            # Counted from before the lease was taken, so that the call never outlasts it.
            with deadline.within(total - timedelta(seconds=time.monotonic() - began)):
                outcome = await _send(services, outbox, sending)
        except asyncio.CancelledError:
            await asyncio.shield(_release(outbox, sending))
            raise
    except REDIS_DOWN as error:
        outcome = "redis_down"
        log.error("report_result_not_kept", report=report_id, detail=type(error).__name__)
    metrics.REPORTS.labels(outcome).inc()


async def deliver_due(services: Services) -> None:
    """Sends for the reports that are due: those that wait for another attempt, and those whose message was lost."""
    try:
        due = await reports.outbox(services).take_due()
        for report_id in due:
            await asyncio.to_thread(reports.send, report_id)
    except (OperationalError, *REDIS_DOWN) as error:
        log.error("due_reports_not_sent", detail=type(error).__name__)


async def tidy(services: Services) -> None:
    """Erases the texts and removes the reports that have been kept long enough."""
    outbox = reports.outbox(services)
    try:
        while (tidied := await outbox.tidy()).texts or tidied.reports:
            log.info("reports_tidied", texts=tidied.texts, reports=tidied.reports)
    except REDIS_DOWN as error:
        log.error("reports_not_tidied", detail=type(error).__name__)


async def _send(services: Services, outbox: Outbox, sending: Sending) -> str:
    """Sends it and notes the result. Returns what became of it, for metrics."""
    settings = services.settings.booking_vendor
    delivery: Delivery | None = None
    try:
        delivery = _delivery(services, outbox, sending)
        case = await delivery.send(services.upstream(BOOKING_VENDOR))
    except Unreadable:
        # Another key sealed it. It may be there again tomorrow; nothing is lost until then.
        metrics.UNREADABLE.labels("report").inc()
        log.critical("report_unreadable", report=sending.id)
        return _noted(sending, await outbox.postpone(sending, UNREADABLE), UNREADABLE)
    except NotAuthorised as error:
        log.critical("sending_halted", report=sending.id, detail=str(error), seconds=settings.halt_for.total_seconds())
        return _noted(sending, await outbox.release(sending, error.reason, halt=settings.halt_for), error.reason)
    except BadRequest as error:
        return _noted(sending, await outbox.reject(sending, error.reason, _answer(delivery)), error.reason)
    except NotCalled as error:
        # The vendor was spared, so this was no attempt: it must not make the report wait for longer the next time.
        state = await outbox.release(sending, error.reason, wait=error.retry_after or settings.retry_after)
        return _noted(sending, state, error.reason)
    except UpstreamError as error:
        state = await outbox.postpone(sending, error.reason, _answer(delivery), error.retry_after)
        return _noted(sending, state, error.reason)
    except Exception as error:  # noqa: BLE001 - our own defect must not lose a report
        # Its type alone: a message or a traceback may hold what the citizen wrote.
        log.critical("report_defect", report=sending.id, detail=type(error).__name__)
        return _noted(sending, await outbox.postpone(sending, INTERNAL_ERROR), INTERNAL_ERROR)
    await outbox.deliver(sending, case)
    return _noted(sending, State.DELIVERED, None)


def _delivery(services: Services, outbox: Outbox, sending: Sending) -> Delivery:
    token = services.settings.booking_vendor.token
    if token is None:
        raise RuntimeError("a worker of this queue does not start without a token")
    return Delivery(sending.id, sending.accepted_at, outbox.open(sending), token)


def _answer(delivery: Delivery | None) -> bytes | None:
    """What the vendor last said, if it was asked."""
    return delivery.answer if delivery else None


def _noted(sending: Sending, state: State | None, reason: str | None) -> str:
    """One line for what became of an attempt; None is a result that came when the lease had ended."""
    if state in {State.REJECTED, State.GAVE_UP}:
        log.error("report_needs_a_person", report=sending.id, state=state, reason=reason)
    else:
        log.info("report_sent", report=sending.id, state=state, reason=reason)
    return "superseded" if state is None else "postponed" if state is State.ACCEPTED else state


async def _release(outbox: Outbox, sending: Sending) -> None:
    """At the end of the process; without the ledger the lease ends by itself."""
    try:
        await outbox.release(sending, "cancelled")
    except REDIS_DOWN as error:
        log.warning("report_not_released", report=sending.id, detail=type(error).__name__)


heartbeat.make_task(BOOKING_VENDOR)


@shared_task(name=f"{BOOKING_VENDOR}.deliver")
def _deliver(report_id: str) -> None:
    process = runtime.current()
    process.run(deliver(process.services, report_id))


@shared_task(name=f"{BOOKING_VENDOR}.deliver_due")
def _deliver_due() -> None:
    process = runtime.current()
    process.run(deliver_due(process.services))


@shared_task(name=f"{BOOKING_VENDOR}.tidy")
def _tidy() -> None:
    process = runtime.current()
    process.run(tidy(process.services))
