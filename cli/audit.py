"""`registerbro audit`: verifies the audit log, and searches it for the look-ups of one citizen."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.process import fail
from cli.session import AsJson, By, Reason, auditable, cpr_from_input, open_settings, operator, with_services
from config.settings import PREFIX
from domain.cpr import Cpr, InvalidCpr
from domain.service_windows import DENMARK
from registerbro.audit_log import Action, LookUp, OperatorAction, Verdict, concerning, usable, verify
from registerbro.services import Services
from registerbro.terminal import remark, say, say_json

cli = typer.Typer(no_args_is_help=True, help="The audit log: whether it is whole, and who looked a citizen up and why.")

TRIES = 3
"""Attempts at a log that is not intact: another process may begin or remove files while it is read."""


@cli.command("verify")
def verify_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Look whether anything of the audit log was changed, removed, moved or added. Exit status 1 if so."""
    settings = open_settings()
    directory = settings.audit_dir
    if directory is None or not directory.is_dir():
        fail(f"{PREFIX}AUDIT_DIR: is missing, or no folder")

    async def look(services: Services) -> Verdict:
        verdict = await _look(services, directory)
        for _ in range(TRIES - 1):
            verdict = verdict if verdict.intact else await _look(services, directory)
        return verdict

    verdict = with_services(settings, look, "the audit log or the ledger cannot be read")
    if as_json:
        say_json({"intact": verdict.intact, **asdict(verdict)})
    else:
        for problem in verdict.problems:
            where = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
            say(f"{where}: {problem.what}")
        for torn in verdict.torn:
            say(f"{torn.file}:{torn.line}: {torn.what}: a process was killed in the middle of it (no tampering)")
        said = "intact" if verdict.intact else f"NOT intact: {len(verdict.problems)} problems"
        say(f"{verdict.records} records in {verdict.chains} chains: {said}")
    if not verdict.intact:
        raise typer.Exit(1)


@cli.command("for")
def for_(
    cpr: Annotated[
        str | None,
        typer.Argument(
            metavar="[CPR]",
            help="Better left out: it is read from standard input then, and is in no shell's history.",
            show_default=False,
        ),
    ] = None,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show who looked a citizen up, when, where and why. That you asked is on record too."""
    who = operator(by)
    try:
        person = Cpr.parse(cpr.strip()) if cpr is not None else cpr_from_input()
    except InvalidCpr as error:
        fail(str(error))
    settings = auditable()

    async def look(services: Services) -> list[LookUp | OperatorAction]:
        ids = services.citizens.ids_of(person)
        async with who.acts(services, Action.AUDIT_FOR, citizen_id=ids[0], reason=reason):
            return await asyncio.to_thread(concerning, usable(settings), ids)

    found = with_services(settings, look, "the audit log or the ledger cannot be read")
    if as_json:
        say_json([documented(one) for one in found])
        return
    for one in found:
        say(_line(one))
    if not found:
        remark("nothing is on record")


async def _look(services: Services, directory: Path) -> Verdict:
    heads = await services.audit_anchors.read()
    return await asyncio.to_thread(verify, directory, heads)


def documented(one: LookUp | OperatorAction) -> dict[str, Any]:
    """A record as `--json` and an export have it."""
    return {"kind": "look_up" if isinstance(one, LookUp) else "action", **asdict(one)}


def _line(one: LookUp | OperatorAction) -> str:
    """A record as one row: time, upstream, behalf, purpose and outcome."""
    when = f"{datetime.fromisoformat(one.at).astimezone(DENMARK):%Y-%m-%d %H:%M:%S}"
    if isinstance(one, LookUp):
        behalf = f"{one.behalf} ({one.by})" if one.by else one.behalf
        return f"{when}  {one.upstream:<9}  {behalf:<8}  {one.purpose}  {one.outcome}"
    about = f" {one.target}" if one.target else ""
    by = f"{one.by}, as {one.user}" if one.user else one.by
    return f"{when}  {'–':<9}  operator ({by})  {one.action}{about}  {one.outcome}  {one.reason}".rstrip()
