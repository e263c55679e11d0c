"""The `registerbro` command: a table of commands, each of which is imported when it runs.

The help and a shell's completion read the table alone, so that they answer at once: with every command's modules they
would take ten times as long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from cli.process import run

ALL_ARGUMENTS = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
"""Context settings of a command that hands its arguments on as they are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the table: a function, or a Typer application with commands of its own."""

    where: str
    """Its module and its name in there."""
    help: str
    """The first paragraph of its help, as that module has it (tests/cli/test_app.py compares)."""
    context_settings: Mapping[str, Any] | None = None


COMMANDS: Mapping[str, Entry] = {
    "demo": Entry("cli.start:demo", "Start everything on this machine, and watch a register fail and recover."),
    "refresh": Entry(
        "cli.refresh:refresh",
        "Ask for a citizen's registers to be brought up to date. The CPR number is read from standard input.",
    ),
    "page": Entry(
        "cli.page:page",
        "Print a citizen's page as JSON, as the cache has it. The CPR number is read from standard input.",
    ),
    "serve": Entry("cli.start:serve", "Serve the HTTP API for portals, until the process is asked to end."),
    "simulate": Entry(
        "cli.start:simulate",
        "Run the upstreams' simulators, until the process is asked to end; `--help` lists their options.",
        ALL_ARGUMENTS,
    ),
    "forget": Entry(
        "cli.forget:forget", "Erase all that is kept of a citizen. The CPR number is read from standard input."
    ),
    "export": Entry(
        "cli.export:export",
        "Print all that is kept of a citizen as one JSON document. The CPR number is read from standard input.",
    ),
    "status": Entry(
        "cli.status:status",
        "Show of each upstream whether it is called, and answers whole: breaker, limits, windows; queues; the "
        "schedule.",
    ),
    "doctor": Entry(
        "cli.doctor:doctor",
        "Check settings, Redis, certificates, upstreams and workers, and say what to do. Exit status 1 if one fails.",
    ),
    "conformance": Entry(
        "cli.conformance:conformance",
        "Make each operation of an upstream once, and tell what of its interface holds.",
    ),
    "secrets": Entry(
        "cli.secrets:make", "Make passwords, keys and Redis users for docker-compose.yml; what exists is kept."
    ),
    "alive": Entry(
        "cli.alive:alive",
        "Exit status 0 when each of these queues has shown a sign of life within the last seconds, and 1 when not.",
    ),
    "rules": Entry(
        "cli.rules:cli",
        "Show the rules that the law changes: target group, contact groups, benefits, income types; try a rules file.",
    ),
    "queue": Entry("cli.dead_letters:queue", "Looks after the queues."),
    "reports": Entry(
        "cli.fault_reports:cli", "Fault reports: those that need a person, and what can be done with them."
    ),
    "audit": Entry("cli.audit:cli", "The audit log: whether it is whole, and who looked a citizen up and why."),
    "keys": Entry("cli.keys:cli", "The keys that seal what is kept, and the pepper that names citizens."),
    "breaker": Entry(
        "cli.breaker:cli",
        "Set above an upstream's breaker what an operator decides, or lift it; see who is in quarantine. ORDER is one "
        "of force-open, disable, metrics-only, lift; all but lift need a --reason.",
    ),
    "subscriptions": Entry(
        "cli.subscriptions:cli",
        "Subscriptions that are to be cancelled at a register, and what can be done where it refuses that.",
    ),
}
"""The commands by name, in the order of the help."""


def load(name: str) -> Any:  # noqa: ANN401 - typer's own class of commands has no public name
    """The command with this name, with its options and commands; imports its module."""
    entry = COMMANDS[name]
    module, _, attribute = entry.where.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return typer.main.get_group(found)
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    settings = dict(entry.context_settings) if entry.context_settings else None
    alone.command(name, context_settings=settings)(found)
    return typer.main.get_command(alone)


class _Table(TyperGroup):
    """Group that knows its commands' names and help, and loads a command when the command line names it."""

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load(name or ""), rest


def _entry() -> None:
    """Stands for a command in the table, and is never run."""


cli = typer.Typer(
    cls=_Table,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Fetches what the registers know about a young job seeker, for the page »Oplysninger om dig«.",
)
for _name, _one in COMMANDS.items():
    cli.command(_name, help=_one.help)(_entry)


def main() -> None:
    """The entry point of the `registerbro` command."""
    run(partial(cli, standalone_mode=False))


if __name__ == "__main__":
    main()
