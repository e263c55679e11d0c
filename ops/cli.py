"""The `registerbro` command."""

import os
import sys
from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from config.settings import SettingsError, settings
from config.windows import DENMARK
from ops import alive, audit, breaker, doctor, export, forget, keys, reports, secrets, status
from ops.audit import auditable
from ops.console import By, Reason, cpr_from_input, fail, open_settings, operator, run
from ops.queue import queue
from ops.terminal import say, say_json_text
from ops.work import with_services
from workers.audit import Action

cli = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fetches what the registers know about a young job seeker, for the page »Oplysninger om dig«.",
)


@cli.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself after the outage has been shown.")] = False,  # noqa: FBT002
) -> None:
    """Start everything on this machine, and watch a register fail and recover."""
    from ops import demo as demonstration  # noqa: PLC0415 - the other commands need none of it

    raise typer.Exit(demonstration.main(once=once))


@cli.command()
def refresh(
    register: Annotated[list[str] | None, typer.Option(help="A register to refresh; all when none is named.")] = None,
    contact_group: Annotated[list[int] | None, typer.Option(help="A contact group of the citizen.")] = None,
    education_order: Annotated[bool, typer.Option(help="The citizen has an uddannelsespålæg.")] = False,  # noqa: FBT002
    reason: Reason = "",
    by: By = "",
) -> None:
    """Ask for a citizen's registers to be brought up to date. The CPR number is read from standard input."""
    who = operator(by)
    cpr = cpr_from_input()
    auditable()
    from workers import app, refresh as use_case  # noqa: F401, I001, PLC0415 - importing the app reads the settings
    from workers.runtime import Services  # noqa: PLC0415

    async def ask(services: Services) -> dict[str, use_case.Requested]:
        citizen = use_case.Citizen(cpr, frozenset(contact_group or ()), education_order)
        citizen_id, today = services.citizens.id_of(cpr), datetime.now(DENMARK).date()
        asked_for = " ".join(register or ())
        async with services.journal.action(
            Action.REFRESH, who.by, user=who.user, target=asked_for, citizen_id=citizen_id, reason=reason
        ):
            return await use_case.request(
                services, citizen, register, reason=use_case.Reason.OPERATOR, today=today, by=who.by
            )

    try:
        answers = with_services(settings(), ask, "nothing could be asked for")
    except use_case.UnknownRegister as error:
        fail(str(error))
    except use_case.OutsideTargetGroup:
        fail("outside-target-group: this citizen's registers may not be fetched; see --contact-group")
    for name, answer in answers.items():
        say(f"{name}: {answer.state}")
    if any(answer.state is use_case.State.UNAVAILABLE for answer in answers.values()):
        raise typer.Exit(1)


@cli.command()
def page(reason: Reason = "", by: By = "") -> None:
    """Print a citizen's page as JSON, as the cache has it. The CPR number is read from standard input."""
    who = operator(by)
    cpr = cpr_from_input()
    chosen = auditable()
    from portal.reader import Reader  # noqa: PLC0415
    from workers.runtime import Services  # noqa: PLC0415

    async def read(services: Services) -> str:
        reader, citizen_id = Reader(chosen), services.citizens.id_of(cpr)
        try:
            async with services.journal.action(
                Action.SHOW_PAGE, who.by, user=who.user, citizen_id=citizen_id, reason=reason
            ):
                return (await reader.page(cpr)).json_text()
        finally:
            await reader.close()

    say_json_text(with_services(chosen, read, "the page cannot be read"))


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
) -> None:
    """Serve the HTTP API for portals, until the process is asked to end."""
    chosen = open_settings()
    from portal import server  # noqa: PLC0415 - the other commands need none of it

    try:
        server.run(chosen, host, port)
    except SettingsError as error:
        fail(str(error))


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def simulate(context: typer.Context) -> None:
    """Run the upstreams' simulators, until the process is asked to end; `--help` lists their options."""
    # A process of its own, since nothing of the product may import them.
    os.execv(sys.executable, [sys.executable, "-m", "simulators", *context.args])  # noqa: S606 - no shell is meant


cli.add_typer(queue, name="queue")
cli.add_typer(reports.cli, name="reports")
cli.add_typer(audit.cli, name="audit")
cli.add_typer(keys.cli, name="keys")
cli.add_typer(breaker.cli, name="breaker")
cli.command()(forget.forget)
cli.command()(export.export)
cli.command()(status.status)
cli.command()(doctor.doctor)
cli.command("secrets")(secrets.make)
cli.command()(alive.alive)


def main() -> None:
    """The entry point of the `registerbro` command."""
    run(partial(cli, standalone_mode=False))


if __name__ == "__main__":
    main()
