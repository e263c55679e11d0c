"""`registerbro audit`: whether the audit log is whole, and who looked a citizen up; what operators do is on record."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from config.settings import PREFIX, Settings, SettingsError
from config.windows import DENMARK
from ops.console import By, Operator, Reason, cpr_from_input, fail, open_settings, operator
from ops.terminal import remark, say, say_json
from ops.work import not_recorded, with_services
from workers.audit import Action, AuditNotWritten, LookUp, OperatorAction, Verdict, concerning, usable, verify
from workers.domain.cpr import Cpr, InvalidCpr
from workers.runtime import Runtime, Services

cli = typer.Typer(no_args_is_help=True, help="The audit log: whether it is whole, and who looked a citizen up and why.")

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

TRIES = 3
"""How often a log that changes while it is looked at is looked at again: another process may begin or remove files."""


def auditable() -> Settings:
    """The settings, for a command that is put on record. Ends the command in one line where that is not possible."""
    settings = open_settings()
    try:
        usable(settings)
    except SettingsError as error:
        fail(f"{error}: this is put on record, or not done")
    return settings


@contextmanager
def recorded(action: Action, who: Operator, target: str, reason: str = "") -> Iterator[None]:
    """What the block does is on record before it begins: for commands that are no coroutines."""
    runtime = Runtime(auditable())
    try:
        journal = runtime.services.journal
        act = journal.action(action, who.by, user=who.user, target=target, reason=reason)
        try:
            runtime.run(_enter(act))
        except AuditNotWritten as error:
            not_recorded(error)
        try:
            yield
        except BaseException as error:
            runtime.run(_leave(act, error))
            raise
        runtime.run(_leave(act, None))
    finally:
        runtime.close()


async def _enter(act: Any) -> None:  # noqa: ANN401 - contextlib's own class
    await act.__aenter__()


async def _leave(act: Any, error: BaseException | None) -> None:  # noqa: ANN401
    if error is None:
        await act.__aexit__(None, None, None)
        return
    try:
        await act.__aexit__(type(error), error, error.__traceback__)
    except BaseException as same:
        if same is not error:
            raise


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
        async with services.journal.action(Action.AUDIT_FOR, who.by, user=who.user, citizen_id=ids[0], reason=reason):
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
    heads = await services.audit_heads.read()
    return await asyncio.to_thread(verify, directory, heads)


def documented(one: LookUp | OperatorAction) -> dict[str, Any]:
    """What is on record, as `--json` and an export have it."""
    return {"kind": "look_up" if isinstance(one, LookUp) else "action", **asdict(one)}


def _line(one: LookUp | OperatorAction) -> str:
    """One row: when, where, on whose behalf, why, and how it ended."""
    when = f"{datetime.fromisoformat(one.at).astimezone(DENMARK):%Y-%m-%d %H:%M:%S}"
    if isinstance(one, LookUp):
        behalf = f"{one.behalf} ({one.by})" if one.by else one.behalf
        return f"{when}  {one.upstream:<9}  {behalf:<8}  {one.purpose}  {one.outcome}"
    about = f" {one.target}" if one.target else ""
    by = f"{one.by}, as {one.user}" if one.user else one.by
    return f"{when}  {'–':<9}  operator ({by})  {one.action}{about}  {one.outcome}  {one.reason}".rstrip()
