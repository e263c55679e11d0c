"""Fault reports to the booking system's supplier: hand one in, ask after it; for operators, the ones that failed."""

import math
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from domain.citizen import Citizen
from domain.fault_report import LIMIT, FaultReportEmpty, FaultReportError, FaultReportTooLong
from domain.hidden_characters import require_visible
from portal.api.dependencies import CallerWith, CitizenWith, InPortal, Portal, TokenFirst
from portal.api.problems import Problem, Type, documented
from portal.api.tokens import Caller
from registerbro.audit_log import Action, AuditNotWritten
from registerbro.fault_reports import submit as reports
from registerbro.fault_reports.model import CASE, FOR_OPERATORS, Record, State, UnknownReport, WrongState, is_case
from registerbro.storage.redis_client import REDIS_DOWN

AUTH = (Type.UNAUTHORISED, Type.FORBIDDEN, Type.KEYS_UNAVAILABLE)
AGAIN_AFTER_SECONDS = 10
LISTED = 100

Writing = Annotated[Citizen, Depends(CitizenWith("fault-report:write"))]
OperatorReads = Annotated[Caller, Depends(CallerWith("ops:read"))]
OperatorWrites = Annotated[Caller, Depends(CallerWith("ops:write"))]
ReportId = Annotated[str, Path(max_length=100, examples=["0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f"])]

router = APIRouter(prefix="/v1/fault-reports", tags=["fault reports"], route_class=TokenFirst)


def _text(value: object) -> str:
    """Any string: what R9 says of it is told in R9's words."""
    if not isinstance(value, str):
        raise ValueError("is not a string")  # noqa: TRY004 - pydantic's validators raise ValueError
    return value


def _case(value: str) -> str:
    if not is_case(value):
        raise ValueError(CASE)
    return value


class NewReport(BaseModel):
    """Fault report of a citizen. Characters of `text` are UTF-16 code units, line breaks counted as one (R9)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    text: Annotated[
        str,
        PlainValidator(_text),
        WithJsonSchema({"type": "string", "description": f"1 to {LIMIT} characters, without the white space around"}),
        Field(examples=["Kalenderen viser ingen ledige tider i uge 12."], repr=False),
    ]
    page: str | None = Field(default=None, examples=["/moedebooking"], description="The portal's page it is about")
    error_code: str | None = Field(default=None, examples=["4769/9018"])
    meeting_offer: str | None = Field(
        default=None, examples=["4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f"], description="The MoedetilbudId it is about"
    )
    meeting: str | None = Field(
        default=None, examples=["d2719a0e-0c5b-4f5e-8d1a-3f6f2b7c9e01"], description="The IndkaldelseId it is about"
    )


class Taken(BaseModel):
    """A report that is on disk."""

    id: str
    status: State
    accepted_at: datetime


class Seen(Taken):
    """A report as its author sees it; `case` is the supplier's case number of a delivered one, where it gave any."""

    case: str | None = Field(examples=["FM-2023-000123"])


class Attempt(BaseModel):
    """One attempt at sending; `outcome` is null while it runs, or when its worker was killed.

    It begins with `unknown_outcome: ` where the supplier may have the report.
    """

    at: datetime
    outcome: str | None


class OperatorsView(Taken):
    """A report as an operator sees it: all but the citizen's text.

    One that `needs_decision` may be at the supplier, and is not sent again by itself.
    """

    needs_decision: bool
    unknown_outcomes: int
    due_at: datetime | None
    give_up_at: datetime
    ended_at: datetime | None
    reason: str | None
    case: str | None
    attempts: list[Attempt]


class Settled(BaseModel):
    """What an operator knows of a report that the supplier has; both texts may be empty, and are on one line."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    case: Annotated[str, AfterValidator(_case)] = Field(
        default="", examples=["FM-2023-000123"], description="The supplier's case number"
    )
    reason: Annotated[str, AfterValidator(require_visible)] = Field(
        default="", max_length=500, examples=["the supplier has found it"], description="Why; kept on record"
    )


class Listed(BaseModel):
    """Reports, the oldest first."""

    reports: list[OperatorsView]


@router.post(
    "",
    status_code=202,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "Where its status is found"}}},
        **documented(
            *AUTH,
            Type.REQUEST_TIMEOUT,
            Type.BODY_TOO_LARGE,
            Type.INVALID_REQUEST,
            Type.FAULT_REPORT_EMPTY,
            Type.FAULT_REPORT_TOO_LONG,
            Type.FAULT_REPORT_INVALID_CHARACTERS,
            Type.IDEMPOTENCY_KEY_REUSED,
            Type.RATE_LIMITED,
            Type.REPORTS_NOT_POSSIBLE,
        ),
    },
)
async def hand_in(
    here: InPortal,
    citizen: Writing,
    report: NewReport,
    response: Response,
    idempotency_key: Annotated[
        str, Header(min_length=1, max_length=200, description="The same for every try at the same report")
    ],
) -> Taken:
    """Takes a report, and answers once it is on disk. The same key with the same text gives the first answer."""
    try:
        taken = await reports.submit(
            here.services,
            citizen.cpr,
            report.text,
            page=report.page,
            error_code=report.error_code,
            meeting_offer=report.meeting_offer,
            meeting=report.meeting,
            idempotency_key=idempotency_key,
        )
    except FaultReportTooLong as error:
        raise Problem(
            Type.FAULT_REPORT_TOO_LONG, str(error), length=error.length, limit=error.limit, excess=error.excess
        ) from None
    except FaultReportEmpty as error:
        raise Problem(Type.FAULT_REPORT_EMPTY, str(error)) from None
    except FaultReportError as error:
        raise Problem(Type.FAULT_REPORT_INVALID_CHARACTERS, str(error)) from None
    except reports.InvalidContext as error:
        raise Problem(Type.INVALID_REQUEST, str(error)) from None
    except reports.IdempotencyKeyReused:
        raise Problem(Type.IDEMPOTENCY_KEY_REUSED) from None
    except reports.TooManyReports as error:
        wait = math.ceil(error.retry_after.total_seconds())
        raise Problem(Type.RATE_LIMITED, str(error), retry_after=max(1, wait)) from None
    except reports.LedgerNotDurable:
        raise Problem(Type.REPORTS_NOT_POSSIBLE, retry_after=AGAIN_AFTER_SECONDS) from None
    except reports.LedgerUnavailable:
        raise Problem(
            Type.REPORTS_NOT_POSSIBLE,
            "it is not known whether the report was kept: hand it in again, with the same idempotency key",
            retry_after=AGAIN_AFTER_SECONDS,
        ) from None
    response.headers["Location"] = f"{router.prefix}/{taken.id}"
    return Taken(id=taken.id, status=State.ACCEPTED, accepted_at=taken.accepted_at)


@router.get("/{report_id}", responses=documented(*AUTH, Type.NOT_FOUND, Type.REPORTS_NOT_POSSIBLE))
async def status(here: InPortal, citizen: Writing, report_id: ReportId) -> Seen:
    """The state of a report, for its author; another citizen's report is not found."""
    try:
        found = await reports.status(here.services, citizen.cpr, report_id) if _is_id(report_id) else None
    except reports.LedgerUnavailable:
        raise Problem(Type.REPORTS_NOT_POSSIBLE, retry_after=AGAIN_AFTER_SECONDS) from None
    if found is None:
        raise Problem(Type.NOT_FOUND)
    return Seen(id=found.id, status=found.state, accepted_at=found.accepted_at, case=found.case)


@router.get("", responses=documented(*AUTH, Type.INVALID_REQUEST, Type.REPORTS_NOT_POSSIBLE))
async def list_reports(
    here: InPortal,
    _: OperatorReads,
    status: Annotated[
        list[State] | None, Query(description="Only reports in this state; those that need a person when none is named")
    ] = None,
) -> Listed:
    """For operators: by default the reports that were rejected, given up, or are of unknown outcome."""
    try:
        found = await here.services.outbox.records(status or FOR_OPERATORS, LISTED)
    except REDIS_DOWN:
        raise Problem(Type.REPORTS_NOT_POSSIBLE, retry_after=AGAIN_AFTER_SECONDS) from None
    return Listed(reports=[_operators_view(record) for record in found])


@router.post(
    "/{report_id}/replay",
    status_code=202,
    responses=documented(*AUTH, Type.NOT_FOUND, Type.WRONG_STATE, Type.REPORTS_NOT_POSSIBLE),
)
async def replay(here: InPortal, caller: OperatorWrites, report_id: ReportId) -> OperatorsView:
    """For operators: sends a report anew, at once, with the same time and idempotency key. Lifts a halt."""
    return await _changed(here, caller, Action.REPLAY_REPORT, report_id, here.services.outbox.replay)


@router.post(
    "/{report_id}/settle",
    responses=documented(
        *AUTH,
        Type.NOT_FOUND,
        Type.REQUEST_TIMEOUT,
        Type.BODY_TOO_LARGE,
        Type.INVALID_REQUEST,
        Type.WRONG_STATE,
        Type.REPORTS_NOT_POSSIBLE,
    ),
)
async def settle(here: InPortal, caller: OperatorWrites, report_id: ReportId, settled: Settled) -> OperatorsView:
    """For operators: ends a report of unknown outcome as delivered, since the supplier has said that it has it."""
    return await _changed(
        here,
        caller,
        Action.SETTLE_REPORT,
        report_id,
        partial(here.services.outbox.settle, case=settled.case.strip()),
        reason=settled.reason.strip(),
    )


async def _changed(
    here: Portal,
    caller: Caller,
    action: Action,
    report_id: str,
    change: Callable[[str], Awaitable[None]],
    *,
    reason: str = "",
) -> OperatorsView:
    """The report after an operator's change of it, which is put on record first. Raises Problem."""
    try:
        outbox = here.services.outbox
        if not _is_id(report_id):
            raise UnknownReport(report_id)
        async with here.services.audit_log.action(action, caller.subject, target=report_id, reason=reason):
            await change(report_id)
        record = await outbox.record(report_id)
    except UnknownReport:
        raise Problem(Type.NOT_FOUND) from None
    except WrongState as error:
        raise Problem(Type.WRONG_STATE, str(error)) from None
    except (AuditNotWritten, *REDIS_DOWN):
        raise Problem(Type.REPORTS_NOT_POSSIBLE, retry_after=AGAIN_AFTER_SECONDS) from None
    if record is None:
        raise Problem(Type.NOT_FOUND)
    return _operators_view(record)


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _operators_view(record: Record) -> OperatorsView:
    return OperatorsView(
        id=record.id,
        status=record.state,
        accepted_at=record.accepted_at,
        needs_decision=record.needs_decision,
        unknown_outcomes=record.unknown,
        due_at=record.due_at,
        give_up_at=record.give_up_at,
        ended_at=record.ended_at,
        reason=record.reason,
        case=record.case,
        attempts=[Attempt(at=attempt.at, outcome=attempt.outcome) for attempt in record.attempts],
    )
