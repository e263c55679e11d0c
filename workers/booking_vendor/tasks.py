"""Delivery tasks: send due reports to the vendor, and record in the outbox what became of each attempt."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import TypeVar

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError

from config.celery import BOOKING_VENDOR
from domain.cpr import Cpr
from registerbro.fault_reports import submit
from registerbro.fault_reports.model import LeftToOperator, Sending, State
from registerbro.fault_reports.outbox import Outbox
from registerbro.services import Services
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.storage.sealing.sealer import Unreadable
from registerbro.telemetry import metrics
from registerbro.upstreams import deadline
from registerbro.upstreams.errors import BadRequest, CallFailed, NotAuthorised, NotCalled
from workers.booking_vendor.client import Delivery
from workers.process import canary_task, current

log = structlog.get_logger()

T = TypeVar("T")
Recording = Callable[[], Coroutine[None, None, str]]
"""Records the result of an attempt in the outbox; returns the outcome, for metrics."""

LEASE_BEYOND_CALL = timedelta(seconds=5)
"""How long a sender's lease outlasts its call, so that the result is written while it still holds."""
RECORD_AGAIN_AFTER_SECONDS = 0.5
"""How long after it could not be written a result is written again."""
INTERNAL_ERROR, UNREADABLE, CANCELLED = "internal", "unreadable", "cancelled"
AUTHOR_UNKNOWN = "author_unknown"
"""Reasons of failures that the vendor is not to blame for."""


class AuthorUnknown(Exception):
    """The cache no longer has the author's CPR number, which SEND_CPR wants sent."""


class CacheDown(NotCalled):
    """The cache, which has that number, does not answer."""

    reason = "cache_down"


async def deliver(services: Services, report_id: str) -> None:
    """Sends one report, if it is due and no other task sends it, and records the result.

    A result that cannot be written is tried again until the lease ends. Then the next sender finds an attempt whose
    outcome is unknown.
    """
    total = services.settings.booking_vendor.total_timeout
    began = time.monotonic()
    try:
        sending = await services.outbox.begin_delivery(report_id, total + LEASE_BEYOND_CALL)
        if sending is None:
            log.debug("report_not_due", report=report_id)
            return
        _tell_of_earlier(sending)
        # Counted from before the lease was taken, so that the call never outlasts it.
        with deadline.within(total - timedelta(seconds=time.monotonic() - began)):
            record = await _send(services, sending)
        outcome = await _in_spite_of_the_end(_recorded(record, began + (total + LEASE_BEYOND_CALL).total_seconds()))
    except LeftToOperator:
        outcome = State.UNKNOWN_OUTCOME
        log.error("report_undecided", report=report_id, reason="interrupted")
    except REDIS_DOWN as error:
        outcome = "redis_down"
        log.error("report_result_not_kept", report=report_id, detail=type(error).__name__)
    metrics.REPORTS.labels(outcome).inc()


async def deliver_due(services: Services) -> None:
    """Publishes a task for each due report: those that wait for another attempt, and those whose message was lost."""
    try:
        due = await services.outbox.take_due()
        for report_id in due:
            await asyncio.to_thread(submit.send, report_id)
    except (OperationalError, *REDIS_DOWN) as error:
        log.error("due_reports_not_sent", detail=type(error).__name__)


async def tidy(services: Services) -> None:
    """Erases the texts and removes the reports that have been kept long enough."""
    outbox = services.outbox
    try:
        while (tidied := await outbox.tidy()).texts or tidied.reports:
            log.info("reports_tidied", texts=tidied.texts, reports=tidied.reports)
    except REDIS_DOWN as error:
        log.error("reports_not_tidied", detail=type(error).__name__)


def _tell_of_earlier(sending: Sending) -> None:
    """Counts and logs what the lease tells of earlier attempts."""
    if sending.interrupted:
        metrics.REPORTS.labels(State.UNKNOWN_OUTCOME).inc()
    if sending.unknown:
        log.warning("report_sent_again", report=sending.id, unknown=sending.unknown)


async def _send(services: Services, sending: Sending) -> Recording:
    """Sends the report. Returns how its result is recorded; cancelled, it gives the report back first."""
    outbox, settings = services.outbox, services.settings.booking_vendor
    delivery: Delivery | None = None
    try:
        delivery = await _delivery(services, sending)
        case = await delivery.send(services.upstream(BOOKING_VENDOR))
    except asyncio.CancelledError:
        may_have_arrived = _may_have_arrived(delivery)
        await _in_spite_of_the_end(_give_back(outbox, sending, may_have_arrived=may_have_arrived))
        raise
    except Unreadable:
        # Another key sealed it. It may be there again tomorrow; nothing is lost until then.
        metrics.UNREADABLE.labels("report").inc()
        log.critical("report_unreadable", report=sending.id)
        return _Result(sending, UNREADABLE, outbox.postpone)
    except AuthorUnknown:
        log.error("report_author_unknown", report=sending.id)
        return _Result(sending, AUTHOR_UNKNOWN, outbox.postpone)
    except NotAuthorised as error:
        log.critical("sending_halted", report=sending.id, detail=str(error), seconds=settings.halt_for.total_seconds())
        return _Result(sending, error.reason, outbox.release, halt=settings.halt_for)
    except BadRequest as error:
        return _Result(sending, error.reason, outbox.reject, answer=_answer(delivery))
    except NotCalled as error:
        # The vendor was spared, so this was no attempt: it must not make the report wait for longer the next time.
        return _Result(sending, error.reason, outbox.release, wait=error.retry_after or settings.retry_after)
    except CallFailed as error:
        end = outbox.leave_unknown if delivery and delivery.is_unknown(error) else outbox.postpone
        return _Result(sending, error.reason, end, answer=_answer(delivery), retry_after=error.retry_after)
    except Exception as error:  # noqa: BLE001 - our own defect must not lose a report
        # Its type alone: a message or a traceback may hold what the citizen wrote.
        log.critical("report_defect", report=sending.id, detail=type(error).__name__)
        end = outbox.leave_unknown if _may_have_arrived(delivery) else outbox.postpone
        return _Result(sending, INTERNAL_ERROR, end)
    return partial(_delivered, outbox, sending, case)


async def _delivery(services: Services, sending: Sending) -> Delivery:
    settings = services.settings.booking_vendor
    author = await _author(services, sending) if settings.send_cpr else None
    return Delivery(sending, services.outbox.open(sending), settings, author)


async def _author(services: Services, sending: Sending) -> Cpr:
    """The author's CPR number, which is nowhere but in the cache. Raises AuthorUnknown and CacheDown."""
    try:
        author = await services.citizens.recall(sending.citizen_id)
    except REDIS_DOWN:
        raise CacheDown from None
    if author is None:
        raise AuthorUnknown
    return author


def _answer(delivery: Delivery | None) -> bytes | None:
    """The vendor's last answer, if there was a call."""
    return delivery.answer if delivery else None


def _may_have_arrived(delivery: Delivery | None) -> bool:
    """Whether the vendor may have the report, and would not know it again, when a call ended in no error of a call."""
    return delivery is not None and delivery.began and not delivery.is_idempotent


class _Result:
    """Result of an attempt that delivered nothing: how it is recorded."""

    def __init__(
        self, sending: Sending, reason: str, end: Callable[..., Awaitable[State | None]], **facts: object
    ) -> None:
        self._sending = sending
        self._reason = reason
        self._end = partial(end, sending, reason, **facts)

    async def __call__(self) -> str:
        """Records the result; returns the outcome, for metrics. A result after the lease had ended changes nothing."""
        state = await self._end()
        report, reason = self._sending.id, self._reason
        if state in {State.REJECTED, State.GAVE_UP}:
            log.error("report_undelivered", report=report, state=state, reason=reason)
        elif state is State.UNKNOWN_OUTCOME:
            log.warning("report_outcome_unknown", report=report, reason=reason)
        else:
            log.info("report_sent", report=report, state=state, reason=reason)
        return "superseded" if state is None else "postponed" if state is State.ACCEPTED else state


async def _delivered(outbox: Outbox, sending: Sending, case: str | None) -> str:
    await outbox.deliver(sending, case)
    log.info("report_sent", report=sending.id, state=State.DELIVERED, reason=None)
    return State.DELIVERED


async def _recorded(record: Recording, until: float) -> str:
    """Records a result, again and again while the ledger is away; recording twice does no harm.

    Raises a REDIS_DOWN error at `until`, by the process's steady clock.
    """
    while True:
        try:
            return await record()
        except REDIS_DOWN:
            if time.monotonic() + RECORD_AGAIN_AFTER_SECONDS > until:
                raise
        await asyncio.sleep(RECORD_AGAIN_AFTER_SECONDS)


async def _in_spite_of_the_end(work: Coroutine[None, None, T]) -> T:
    """Finishes the work although the process ends meanwhile, and is cancelled only then."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _give_back(outbox: Outbox, sending: Sending, *, may_have_arrived: bool) -> None:
    """Gives the report back at the end of the process; without the ledger its lease ends by itself."""
    end = outbox.leave_unknown if may_have_arrived else outbox.release
    try:
        await end(sending, CANCELLED)
    except REDIS_DOWN as error:
        log.warning("report_not_released", report=sending.id, detail=type(error).__name__)


canary_task.make_task(BOOKING_VENDOR)


@shared_task(name=f"{BOOKING_VENDOR}.deliver")
async def _deliver(report_id: str) -> None:
    await deliver(current.event_loop().services, report_id)


@shared_task(name=f"{BOOKING_VENDOR}.deliver_due")
async def _deliver_due() -> None:
    await deliver_due(current.event_loop().services)


@shared_task(name=f"{BOOKING_VENDOR}.tidy")
async def _tidy() -> None:
    await tidy(current.event_loop().services)
