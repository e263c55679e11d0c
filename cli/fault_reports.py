"""`registerbro reports`: shows fault reports, and replays, discards or recovers those that need an operator."""

import os
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import asdict
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from cli.process import fail
from cli.session import AsJson, By, Operator, Reason, auditable, open_settings, operator, with_services
from config.celery import BOOKING_VENDOR
from config.settings import variable
from domain.service_windows import DENMARK
from registerbro.audit_log import Action
from registerbro.fault_reports.model import CASE, FOR_OPERATORS, Record, State, UnknownReport, WrongState, is_case
from registerbro.fault_reports.outbox import Outbox
from registerbro.services import Services
from registerbro.storage.ledger.connection import LedgerNotDurable
from registerbro.storage.sealing.recovery_key import PrivateRecoveryKey
from registerbro.storage.sealing.sealer import Unreadable
from registerbro.terminal import say, say_json

cli = typer.Typer(no_args_is_help=True, help="Fault reports: those that need a person, and what can be done with them.")

T = TypeVar("T")
Id = Annotated[str, typer.Argument(metavar="ID", help="The report's id.")]
DECIDE = """\
Those of unknown outcome that are not due may be at the vendor: ask it for reports with this time (FejlTidspunkt). If it
has one, `registerbro reports settle ID`; if not, or if twice does no harm, `registerbro reports replay ID`."""


@cli.command("list")
def list_(
    state: Annotated[
        list[State] | None,
        typer.Option(help="Only reports in this state; those that need a person when none is named."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the oldest first.")] = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List reports: by default those that were rejected, given up, or are of unknown outcome."""
    records = _run(lambda box: box.records(state or FOR_OPERATORS, limit))
    halted = _run(lambda box: box.halted_until())
    if as_json:
        say_json([facts_of(record) for record in records])
        return
    if halted:
        say(f"Nothing is sent until {_local(halted)}: the vendor refused our token. `replay` lifts that.")
    for record in records:
        _say_line(record)
    if any(record.needs_decision for record in records):
        say(DECIDE)


@cli.command("sent-again")
def sent_again(
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the oldest first.")] = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """List the reports that were sent again after an unknown outcome: the vendor may have them more than once."""
    records = _run(lambda box: box.sent_again(limit))
    if as_json:
        say_json([facts_of(record) for record in records])
        return
    for record in records:
        _say_line(record)


def _say_line(record: Record) -> None:
    """Prints a report as one line; of one that the vendor may have, the time is as the vendor knows it."""
    accepted = record.accepted_at.astimezone(DENMARK)
    at = accepted.isoformat(timespec="milliseconds") if record.unknown else _local(accepted)
    due = f"; due {_local(record.due_at)}" if record.unknown and record.due_at else ""
    say(f"{record.id}  {record.state:<15}  {at}  {record.reason or ''}{due}".rstrip())


@cli.command()
def show(
    report_id: Id,
    text: Annotated[bool, typer.Option("--text", help="Also what the citizen wrote, and the vendor's answer.")] = False,  # noqa: FBT002
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show one report: its state, its attempts and why they failed."""

    async def read(box: Outbox) -> dict[str, Any]:
        record = await box.record(report_id)
        if record is None:
            raise UnknownReport(report_id)
        facts = facts_of(record)
        if text:
            content, answer = await box.contents(report_id)
            facts |= {
                "text": content.text if content else None,
                "page": content.page if content else None,
                "error_code": content.error_code if content else None,
                "meeting_offer": content.meeting_offer if content else None,
                "meeting": content.meeting if content else None,
                "vendors_answer": answer,
            }
        return facts

    why = ": ".join(part for part in ("with its text" if text else "", reason) if part)
    facts = _run(read, Action.SHOW_REPORT, operator(by), report_id, why)
    if as_json:
        say_json(facts)
        return
    for name, value in facts.items():
        if name != "attempts":
            say(f"{name}: {'–' if value is None else value}")
    for attempt in facts["attempts"]:
        say(f"attempt: {attempt['at']}  {attempt['outcome'] or 'no result'}")


@cli.command()
def replay(
    report_ids: Annotated[list[str], typer.Argument(metavar="ID…", help="The reports' ids.")],
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send reports anew, at once, with the same time and idempotency keys. Lifts a halt."""
    who = operator(by)
    for report_id in report_ids:
        _run(partial(Outbox.replay, report_id=report_id), Action.REPLAY_REPORT, who, report_id, reason)
        _tell({"id": report_id, "state": State.ACCEPTED}, f"{report_id}: accepted anew", as_json=as_json)


@cli.command()
def settle(
    report_id: Id,
    case: Annotated[str, typer.Option(help="The vendor's case number, if it has one.")] = "",
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Settle a report of unknown outcome as delivered: the vendor has it."""
    if not is_case(case):
        fail(f"--case: {CASE}")
    who = operator(by)
    _run(lambda box: box.settle(report_id, case.strip()), Action.SETTLE_REPORT, who, report_id, reason)
    _tell({"id": report_id, "state": State.DELIVERED}, f"{report_id}: settled as delivered", as_json=as_json)


@cli.command()
def discard(
    report_id: Id,
    reason: Reason,
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Remove a report that needs a person for good. Who did it and why is kept."""
    if not reason:
        fail("--reason is empty")
    who = operator(by)
    _run(lambda box: box.discard(report_id, reason, who.by), Action.DISCARD_REPORT, who, report_id, reason)
    _tell({"id": report_id, "state": "discarded"}, f"{report_id}: discarded", as_json=as_json)


@cli.command()
def discards(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List every discard there ever was, with who did it and why."""
    noted = _run(lambda box: box.discards())
    if as_json:
        say_json(noted)
        return
    for one in noted:
        at = _local(datetime.fromtimestamp(int(one["discarded_at"]) / 1000, DENMARK))
        say(f"{one['id']}  {at}  {one['by']}: {one['reason']}")


@cli.command("recovery-key")
def recovery_key(
    file: Annotated[Path, typer.Argument(help="Where the private half goes; lock it away, off this machine.")],
) -> None:
    """Make a key pair that opens fault reports when the sealing keys are lost; prints the setting, its public half."""
    pair = PrivateRecoveryKey.new()
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as private:
            private.write(pair.text + "\n")
    except OSError as error:
        fail(f"{file}: cannot be written: {error.strerror}")
    say(f"{variable(BOOKING_VENDOR, 'recovery_key')}={pair.public}")


@cli.command()
def recover(
    file: Annotated[Path, typer.Argument(help="The private half of the recovery key.")],
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Seal anew what no sealing key opens any more, and the recovery key does. Exit status 1 if any is lost."""
    who = operator(by)
    try:
        key = PrivateRecoveryKey(file.read_text(encoding="utf-8").strip())
    except (OSError, ValueError) as error:
        fail(f"{file}: {error.strerror if isinstance(error, OSError) else error}")
    done = _run(lambda box: box.recover(key), Action.RECOVER_REPORTS, who, reason=reason)
    _tell(asdict(done), f"{done.reports} reports open again; {done.lost} are lost", as_json=as_json)
    if done.lost:
        raise typer.Exit(1)


def _run(
    use: Callable[[Outbox], Awaitable[T]],
    action: Action | None = None,
    who: Operator | None = None,
    report_id: str = "",
    reason: str = "",
) -> T:
    """Runs `use` with an outbox, and returns what that returns. An expected error ends the command in one line.

    An `action` is on record before it is done, with the operator `who` takes it.
    """
    settings = open_settings() if action is None else auditable()

    async def with_outbox(services: Services) -> T:
        on_record = who.acts(services, action, target=report_id, reason=reason) if action and who else nullcontext()
        try:
            async with on_record:
                return await use(services.outbox)
        except LedgerNotDurable as error:
            # It is a Redis error as well, and says more than that the ledger does not answer.
            fail(str(error), status=1)

    try:
        return with_services(settings, with_outbox, "the ledger does not answer")
    except UnknownReport as error:
        fail(f"no such report: {error}")
    except WrongState as error:
        fail(f"that cannot be done: {error}")
    except Unreadable:
        fail("the report does not open: none of SEALING_KEYS sealed it", status=1)


def _tell(facts: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        say_json(facts, indent=None)
    else:
        say(line)


def facts_of(record: Record) -> dict[str, Any]:
    """The facts of a report that are shown without opening its text."""
    return {
        "id": record.id,
        "state": record.state,
        "accepted_at": _iso(record.accepted_at),
        "needs_decision": record.needs_decision,
        "unknown_outcomes": record.unknown,
        "due_at": _iso(record.due_at),
        "give_up_at": _iso(record.give_up_at),
        "ended_at": _iso(record.ended_at),
        "reason": record.reason,
        "case": record.case,
        "attempts": [{"at": _iso(attempt.at), "outcome": attempt.outcome} for attempt in record.attempts],
    }


def _iso(time: datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds") if time else None


def _local(time: datetime) -> str:
    return f"{time.astimezone(DENMARK):%Y-%m-%d %H:%M:%S}"
