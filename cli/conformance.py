"""`registerbro conformance`: makes each operation of an upstream once, and tells what of its interface holds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.process import fail
from cli.session import AsJson, By, Operator, Reason, about_a_citizen, with_services
from config.celery import SUBSCRIBED
from config.settings import UPSTREAMS, SettingsError
from domain.cpr import Cpr
from domain.service_windows import DENMARK, danish_today
from registerbro import audit_log
from registerbro.audit_log import Action, AuditNotWritten
from registerbro.conformance.calls import Made, Report, left_out, make, problems
from registerbro.conformance.expectations import Asked, FieldSeen, Mark, Operation, Verdict
from registerbro.conformance.recording import NotRecorded, record, write
from registerbro.services import Services
from registerbro.storage.coordination.leases import Behalf, Purpose, Wish
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.terminal import Cell, say, say_json, show, table
from registerbro.upstreams import quarantine
from registerbro.upstreams.admission import Uncounted

ALL = "all"
ITS_OWNER = "10150817"
"""CVR number of Erhvervsstyrelsen, which is in its own register."""
_WITHOUT_WRITE = "it writes to the upstream: --write"
_SUBSCRIBED = "the citizen is subscribed there, and this would end it unnoticed: ask about another citizen"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The options of one command."""

    who: Operator
    cpr: Cpr
    reason: str
    writes: bool
    folder: Path | None
    company: str
    months: int | None


@dataclass(frozen=True, slots=True)
class _Checked:
    """One operation's report, and where its exchange was recorded, or why it was not."""

    report: Report
    recorded: str = ""
    not_recorded: str = ""

    @property
    def is_fine(self) -> bool:
        return self.report.is_conforming and not self.not_recorded


def conformance(
    upstream: Annotated[str, typer.Argument(help="The upstream, or `all`.")],
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Also make the calls that change something at the upstream.")
    ] = False,
    record: Annotated[
        Path | None,
        typer.Option(help="Folder for recordings of the exchanges, with constructed values in place of all others."),
    ] = None,
    company: Annotated[
        str, typer.Option(metavar="NUMBER", help="CVR number of the company that CVR is asked about.")
    ] = ITS_OWNER,
    months: Annotated[
        int | None, typer.Option(min=1, help="Months back that eIndkomst is asked about; its whole history if absent.")
    ] = None,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make each operation of an upstream once, and tell what of its interface holds.

    The CPR number of a citizen whose data may be fetched is read from standard input, and of no other: a test person's.
    Exit status 0 when everything published that could be seen holds, and the adapter can use each answer.
    """
    if upstream not in {*UPSTREAMS, ALL}:
        fail(f"no such upstream: {upstream} (there are {', '.join((*UPSTREAMS, ALL))})")
    if not (company.isascii() and company.isdigit() and len(company) == 8):
        fail("--company: a CVR number has eight digits")
    if record is not None and not record.is_dir():
        fail(f"--record: {record} is no folder")
    who, cpr, settings = about_a_citizen(by)
    wanted = _Wanted(who, cpr, reason, write, record, company, months)
    names = [upstream]
    if upstream == ALL:
        names = [name for name in UPSTREAMS if settings.upstream(name).base_url is not None]
        if not names:
            fail("no upstream has an address here")

    async def check(services: Services) -> list[_Checked]:
        return [one for name in names for one in await _check_or_tell(services, name, wanted)]

    checked = with_services(settings, check, "Redis does not answer")
    if as_json:
        say_json([_facts(one) for one in checked])
    else:
        _print(checked)
    if not all(one.is_fine for one in checked):
        raise typer.Exit(1)


async def _check_or_tell(services: Services, name: str, wanted: _Wanted) -> list[_Checked]:
    """The same where it cannot be put on record, or Redis is gone: the others' reports are printed all the same."""
    try:
        return await _check(services, name, wanted)
    except AuditNotWritten as error:
        why = f"the audit log cannot be written, so nothing was done: {error}"
    except REDIS_DOWN as error:
        why = f"Redis does not answer: {type(error).__name__}"
    return [_Checked(Report(name, "every operation", not_made=why))]


async def _check(services: Services, name: str, wanted: _Wanted) -> list[_Checked]:
    """Makes the calls of one upstream, on record before the first."""
    # Their modules are the workers', and no other command needs them.
    from workers.conformance import OPERATIONS  # noqa: PLC0415

    operations = OPERATIONS[name]
    citizen_id = services.citizens.id_of(wanted.cpr)
    wish = Wish(Behalf.OPERATOR, Purpose.OPERATORS_REQUEST, wanted.who.by)
    try:
        asked = _asked(services, name, wanted, citizen_id)
    except SettingsError as error:
        return [_Checked(Report(name, one.name, not_made=str(error))) for one in operations]
    checked: list[_Checked] = []
    no_writes = await _why_no_writes(services, name, wanted)
    on_record = wanted.who.acts(services, Action.CONFORMANCE, target=name, citizen_id=citizen_id, reason=wanted.reason)
    async with on_record:
        with audit_log.about(citizen_id, wish), quarantine.about(services.citizens.ids_of(wanted.cpr)):
            for operation in operations:
                if operation.writes and no_writes:
                    checked.append(_Checked(left_out(name, operation, no_writes).report))
                    continue
                checked.append(await _recorded(name, operation, asked, await make(name, operation, asked), wanted))
    return checked


async def _why_no_writes(services: Services, name: str, wanted: _Wanted) -> str:
    """Why no call is made that changes something at the upstream; "" when they are made. Raises REDIS_DOWN errors."""
    if not wanted.writes:
        return _WITHOUT_WRITE
    ids = services.citizens.ids_of(wanted.cpr) if name in SUBSCRIBED else ()
    return _SUBSCRIBED if [one for one in ids if await services.subscriptions.record(name, one) is not None] else ""


def _asked(services: Services, name: str, wanted: _Wanted, citizen_id: str) -> Asked:
    """What the calls of an upstream are made with. Raises SettingsError where it cannot be called from here."""
    return Asked(
        services.upstream(name).by_hand(Uncounted(services.admission(name))),
        services.settings,
        wanted.cpr,
        citizen_id,
        danish_today(),
        wanted.company if name == "cvr" else "",
        wanted.months,
        services.certificates(name),
    )


async def _recorded(name: str, operation: Operation, asked: Asked, made: Made, wanted: _Wanted) -> _Checked:
    checked = _Checked(made.report)
    if wanted.folder is None or made.report.not_made:
        return checked
    if made.exchange is None:
        return replace(checked, not_recorded="there is no answer that can be parsed")
    if made.report.is_anothers:
        return replace(checked, not_recorded="the answer is about another person")
    try:
        text = await record(name, operation, made.exchange, asked, made.report.result)
        path = write(wanted.folder, name, operation.name, text)
    except NotRecorded as why:
        return replace(checked, not_recorded=str(why))
    except OSError as error:
        return replace(checked, not_recorded=f"{wanted.folder} cannot be written to: {error.strerror}")
    return replace(checked, recorded=str(path))


def _print(checked: Sequence[_Checked]) -> None:
    for one in checked:
        _print_one(one)
        say()
    rows = [
        (Cell((_outcome(one),), _style(one)), one.report.upstream, one.report.operation, _summary(one.report))
        for one in checked
    ]
    show(table(("", "upstream", "operation", "in short"), rows))


def _print_one(one: _Checked) -> None:
    report = one.report
    say(f"{report.upstream}: {report.operation}")
    if report.not_made:
        say(f"  not made     {report.not_made}")
        return
    say(f"  address      {report.address}")
    say(f"  tls          {_tls(report)}")
    if report.signature:
        say(f"  signature    {_signature(report)}")
    size = "no body" if report.size is None else f"{report.size} bytes of {report.content_type or 'no type'}"
    answered = "no answer" if report.status is None else f"HTTP {report.status}, {report.seconds} s, {size}"
    say(f"  answer       {answered}")
    say(f"  read         {report.read}")
    for finding in report.findings:
        say(f"  {finding.mark}: {finding.where}: {finding.what}")
    for decision in report.decisions:
        seen = f" ({decision.seen})" if decision.seen else ""
        say(f"  ASSUMED: {decision.assumption}: {decision.verdict}{seen}")
    if one.recorded:
        say(f"  recorded     {one.recorded}")
    if one.not_recorded:
        say(f"  not recorded: {one.not_recorded}")
    rows = [(_as_branch(field), field.mark or "", _expected(field), _seen(field)) for field in looked_for(report)]
    if rows:
        show(table(("field", "mark", "expected", "seen"), rows))
    if further := len(report.fields) - len(rows):
        say(f"  {further} further fields are not seen, since nothing that could hold them is there")


def looked_for(report: Report) -> Sequence[FieldSeen]:
    """The fields that the answer could have shown."""
    return [field for field in report.fields if field.is_looked_for]


def _as_branch(field: FieldSeen) -> str:
    """A field of the contract as a branch of a tree, which the order of fields makes; an unknown one by its path."""
    if field.mark is None:
        return field.path
    above, _, name = field.path.rpartition(".")
    return "  " * len([step for step in above.split(".") if step]) + name


def _tls(report: Report) -> str:
    if report.tls is None:
        return "none"
    until = f"{report.tls.until.astimezone(DENMARK):%Y-%m-%d %H:%M}" if report.tls.until else "?"
    return f"{report.tls.protocol}, certificate of {report.tls.subject}, issued by {report.tls.issuer}, until {until}"


def _signature(report: Report) -> str:
    seen = report.signature
    if seen is None:
        return ""
    verified = {True: "verified", False: "not verified", None: "not looked at"}[seen.is_verified]
    detail = f": {seen.detail}" if seen.detail else ""
    return f"{' and '.join(seen.algorithms) or 'none'}, {verified}{detail}"


def _expected(field: FieldSeen) -> str:
    if field.mark is None:
        return "unknown"
    return f"{field.form}, {'required' if field.is_required else 'optional'}"


def _seen(field: FieldSeen) -> str:
    wrong = "; ".join(problems(field))
    if wrong:
        return wrong
    if field.is_found:
        return "found"
    return "not there" if field.is_looked_for else "not seen"


def _outcome(one: _Checked) -> str:
    if one.report.is_left_out:
        return "left out"
    return "conforms" if one.is_fine else "FAILS"


def _style(one: _Checked) -> str:
    return "yellow" if one.report.is_left_out else "green" if one.is_fine else "bold red"


def _summary(report: Report) -> str:
    if report.not_made:
        return report.not_made
    counts = {mark: sum(finding.mark is mark for finding in report.findings) for mark in Mark}
    told = [f"{count} of {mark} differ" for mark, count in counts.items() if count]
    told += [f"{sum(one.mark is None for one in report.fields)} unknown fields"] * any(
        one.mark is None for one in report.fields
    )
    by_verdict = {verdict: sum(one.verdict is verdict for one in report.decisions) for verdict in Verdict}
    told += [f"assumptions: {', '.join(f'{count} {verdict}' for verdict, count in by_verdict.items() if count)}"] * any(
        by_verdict.values()
    )
    return "; ".join([report.read, *told])


def _facts(one: _Checked) -> Mapping[str, Any]:
    """A report as JSON; `docs/cli.md` lists the members."""
    report = one.report
    tls = report.tls and {**asdict(report.tls), "until": report.tls.until and report.tls.until.isoformat()}
    return {
        "upstream": report.upstream,
        "operation": report.operation,
        "conforms": one.is_fine,
        "not_made": report.not_made,
        "address": report.address,
        "tls": tls,
        "signature": report.signature and asdict(report.signature),
        "status": report.status,
        "seconds": report.seconds,
        "size": report.size,
        "content_type": report.content_type,
        "read": report.read,
        "findings": [asdict(finding) for finding in report.findings],
        "fields": [
            {
                "path": field.path,
                "mark": field.mark,
                "expected": _expected(field),
                "seen": _seen(field),
            }
            for field in report.fields
        ],
        "assumptions": [asdict(decision) for decision in report.decisions],
        "recorded": one.recorded,
        "not_recorded": one.not_recorded,
    }
