"""Use case "hand in a fault report", and its status for the author. Portals call these functions."""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from config.celery import BOOKING_VENDOR
from config.settings import Settings
from domain import fault_report
from domain.cpr import LOOKS_LIKE_CPR, Cpr
from domain.fault_report import FaultReportError
from registerbro.fault_reports.model import Accepted, Content, IdempotencyKeyReused, State, TooManyReports
from registerbro.fault_reports.outbox import Outbox
from registerbro.messaging.publish import publish
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.ledger.connection import LedgerNotDurable
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.telemetry import metrics

log = structlog.get_logger()

SEND_WITHIN = timedelta(seconds=3)
"""How long publishing may take. Beat sends a report that could not be published."""
LONGEST_KEY = 200
LONGEST_PAGE = 200
LONGEST_ERROR_CODE = 50

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
    """The page, error code, offer, meeting or idempotency key has no valid form. The message holds nothing of it."""


class LedgerUnavailable(Exception):
    """The report may or may not have been kept: hand it in again, with the same idempotency key."""


class Collaborators(Protocol):
    """Part of `registerbro.services.Services` that this use case needs.

    Services owns the outbox, and so imports this room.
    """

    settings: Settings
    citizens: Citizens
    outbox: Outbox


@dataclass(frozen=True, slots=True)
class Status:
    """Status of a report for its author. `case` is the vendor's case number of a delivered report."""

    id: str
    state: State
    accepted_at: datetime
    case: str | None


async def submit(
    services: Collaborators,
    citizen: Cpr,
    text: str,
    *,
    page: str | None = None,
    error_code: str | None = None,
    meeting_offer: str | None = None,
    meeting: str | None = None,
    idempotency_key: str,
) -> Accepted:
    """Accepts a citizen's fault report; returns once it is on disk, and never waits for the vendor.

    The same key with the same text gives the first answer. Raises FaultReportError (the text, R9), InvalidContext,
    IdempotencyKeyReused, TooManyReports or LedgerNotDurable when the report is not kept, and LedgerUnavailable when
    that is not known.
    """
    content = Content(
        fault_report.validate(text),
        _context("page", page, LONGEST_PAGE),
        _context("error code", error_code, LONGEST_ERROR_CODE),
        _uuid("meeting offer", meeting_offer),
        _uuid("meeting", meeting),
    )
    if not 0 < len(idempotency_key) <= LONGEST_KEY:
        raise InvalidContext(f"the idempotency key is not 1 to {LONGEST_KEY} characters long")
    try:
        accepted = await services.outbox.accept(services.citizens.ids_of(citizen), content, idempotency_key)
    except LedgerNotDurable as error:
        log.critical("report_refused", detail=str(error))
        metrics.REPORTS.labels("refused_not_durable").inc()
        raise
    except REDIS_DOWN as error:
        log.error("report_accept_unknown", detail=type(error).__name__)
        raise LedgerUnavailable("the ledger does not answer") from None
    if services.settings.booking_vendor.send_cpr:
        await _remember(services.citizens, citizen, accepted.id)
    if not accepted.again:
        metrics.REPORTS.labels(State.ACCEPTED).inc()
        log.info("report_accepted", report=accepted.id)
        await _send_soon(accepted.id)
    return accepted


async def status(services: Collaborators, citizen: Cpr, report_id: str) -> Status | None:
    """A report's status for its author; None for any other citizen, and without such a report.

    Raises LedgerUnavailable.
    """
    try:
        record = await services.outbox.record(report_id)
    except REDIS_DOWN:
        raise LedgerUnavailable("the ledger does not answer") from None
    if record is None or record.citizen_id not in services.citizens.ids_of(citizen):
        return None
    return Status(record.id, record.state, record.accepted_at, record.case)


def send(report_id: str) -> None:
    """Publishes the task that delivers a report; its only argument is the id.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{BOOKING_VENDOR}.deliver", [report_id], BOOKING_VENDOR)


async def _remember(citizens: Citizens, citizen: Cpr, report_id: str) -> None:
    """Has the cache know the author's number, which is sent with the report. The author's next visit has it as well."""
    try:
        await citizens.remember(citizen)
    except REDIS_DOWN as error:
        log.warning("report_author_not_remembered", report=report_id, detail=type(error).__name__)


async def _send_soon(report_id: str) -> None:
    """Publishes the task, if possible. The report is kept, and beat sends a report that no worker has begun."""
    try:
        async with asyncio.timeout(SEND_WITHIN.total_seconds()):
            await asyncio.to_thread(send, report_id)
    except Exception as error:  # noqa: BLE001 - the report is kept, and no error of the queue may change that answer
        log.warning("report_not_sent_at_once", report=report_id, detail=type(error).__name__)


def _uuid(name: str, value: str | None) -> str | None:
    """An id of the booking system's, in the form of RFC 9562. Raises InvalidContext."""
    try:
        return None if value is None else str(uuid.UUID(value))
    except ValueError:
        raise InvalidContext(f"the {name} is not a UUID") from None


def _context(name: str, value: str | None, longest: int) -> str | None:
    if value is None:
        return None
    if not value or len(value) > longest or not value.isprintable():
        raise InvalidContext(f"the {name} is not 1 to {longest} printable characters")
    if LOOKS_LIKE_CPR.search(value):
        raise InvalidContext(f"the {name} holds what looks like a CPR number")
    return value
