"""The use case "hand in a fault report", and what its author may know of it: what portals call."""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from config.celery import BOOKING_VENDOR
from workers import metrics
from workers.booking_vendor.outbox import Accepted, Content, IdempotencyKeyReused, Outbox, State, TooManyReports
from workers.cache.ledger import LedgerNotDurable
from workers.connections import REDIS_DOWN
from workers.domain import fault_report
from workers.domain.cpr import Cpr
from workers.domain.fault_report import FaultReportError
from workers.queues import publish
from workers.runtime import Services

log = structlog.get_logger()

SEND_WITHIN = timedelta(seconds=3)
"""How long publishing may take; a report that could not be published is sent for by beat."""
LONGEST_KEY = 200
LONGEST_PAGE = 200
LONGEST_ERROR_CODE = 50
_CPR_LIKE = re.compile(r"(?<!\d)\d{6}-?\d{4}(?!\d)")

__all__ = [
    "Accepted",
    "FaultReportError",
    "IdempotencyKeyReused",
    "InvalidContext",
    "LedgerNotDurable",
    "LedgerUnavailable",
    "State",
    "Status",
    "TooManyReports",
    "status",
    "submit",
]


class InvalidContext(ValueError):
    """The page, the error code or the idempotency key cannot be what it says it is. The message holds nothing of it."""


class LedgerUnavailable(Exception):
    """It is not known whether the report was kept: hand it in again, with the same idempotency key."""


@dataclass(frozen=True, slots=True)
class Status:
    """What its author may know of a report; `case` is the vendor's case number, once it was delivered."""

    id: str
    state: State
    accepted_at: datetime
    case: str | None


async def submit(
    services: Services,
    citizen: Cpr,
    text: str,
    *,
    page: str | None = None,
    error_code: str | None = None,
    idempotency_key: str,
) -> Accepted:
    """Takes a citizen's fault report; returns once it is on disk, and never waits for the vendor.

    The same key with the same text gives the first answer. Refused, with nothing kept: FaultReportError (the text, R9),
    InvalidContext, IdempotencyKeyReused, TooManyReports, LedgerNotDurable. Not known to be kept: LedgerUnavailable.
    """
    content = Content(
        fault_report.validate(text),
        _context("page", page, LONGEST_PAGE),
        _context("error code", error_code, LONGEST_ERROR_CODE),
    )
    if not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise InvalidContext(f"the idempotency key is not 1 to {LONGEST_KEY} characters long")
    try:
        accepted = await outbox(services).accept(services.citizens.ids_of(citizen), content, idempotency_key)
    except LedgerNotDurable as error:
        log.critical("report_refused", detail=str(error))
        metrics.REPORTS.labels("refused_not_durable").inc()
        raise
    except REDIS_DOWN as error:
        log.error("report_not_known_to_be_kept", detail=type(error).__name__)
        raise LedgerUnavailable("the ledger does not answer") from None
    if not accepted.again:
        metrics.REPORTS.labels(State.ACCEPTED).inc()
        log.info("report_accepted", report=accepted.id)
        await _send_soon(accepted.id)
    return accepted


async def status(services: Services, citizen: Cpr, report_id: str) -> Status | None:
    """A report's state, for its author; None for anybody else, and when there is no such report.

    Raises LedgerUnavailable.
    """
    try:
        record = await outbox(services).record(report_id)
    except REDIS_DOWN:
        raise LedgerUnavailable("the ledger does not answer") from None
    if record is None or record.citizen_id not in services.citizens.ids_of(citizen):
        return None
    return Status(record.id, record.state, record.accepted_at, record.case)


def outbox(services: Services) -> Outbox:
    """The outbox over the process's connections."""
    settings = services.settings.booking_vendor
    return Outbox(services.ledger, services.sealer, services.keyring.peppers, settings, services.clock)


def send(report_id: str) -> None:
    """Publishes the task that delivers a report; its only argument is the id.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{BOOKING_VENDOR}.deliver", [report_id], BOOKING_VENDOR)


async def _send_soon(report_id: str) -> None:
    """Publishes the task, if that can be done; the report is kept, and beat sends what nobody has begun."""
    try:
        async with asyncio.timeout(SEND_WITHIN.total_seconds()):
            await asyncio.to_thread(send, report_id)
    except Exception as error:  # noqa: BLE001 - the report is kept, and nothing of the queue's may change that answer
        log.warning("report_not_sent_at_once", report=report_id, detail=type(error).__name__)


def _context(name: str, value: str | None, longest: int) -> str | None:
    if value is None:
        return None
    if not value or len(value) > longest or not value.isprintable():
        raise InvalidContext(f"the {name} is not 1 to {longest} printable characters")
    if _CPR_LIKE.search(value):
        raise InvalidContext(f"the {name} holds what looks like a CPR number")
    return value
