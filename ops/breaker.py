"""`registerbro breaker`: what an operator sets above an upstream's breaker, and who is in quarantine there."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from config.settings import ADMISSIONS, UPSTREAMS, settings
from config.windows import DENMARK
from ops.audit import auditable
from ops.console import By, Reason, fail, open_settings, operator
from ops.terminal import say, say_json
from ops.work import with_services
from workers.audit import Action
from workers.resilience.admission import Ordered, Override
from workers.resilience.quarantine import Entry
from workers.runtime import Services

REDIS_SILENT = "Redis does not answer"

ORDERS = {
    "force-open": Override.FORCED_OPEN,
    "disable": Override.DISABLED,
    "metrics-only": Override.METRICS_ONLY,
    "lift": None,
}

_ORDER = "order"
QUARANTINE = "quarantine"


class _OrderOrQuarantine(TyperGroup):
    """A command with two arguments, which was there first, and a group beside it: no upstream has the group's name."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        names_none_of_ours = not args or (args[0] != QUARANTINE and args[0] not in ctx.help_option_names)
        # While a shell completes it, the group has still to be offered.
        is_order = names_none_of_ours and (bool(args) or not ctx.resilient_parsing)
        return super().parse_args(ctx, [_ORDER, *args] if is_order else args)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's
        name, command, rest = super().resolve_command(ctx, args)
        # Nobody types that name, and so no message shows it.
        return ("" if name == _ORDER else name), command, rest


cli = typer.Typer(
    cls=_OrderOrQuarantine,
    subcommand_metavar=f"UPSTREAM ORDER | {QUARANTINE} COMMAND",
    help="Set above an upstream's breaker what an operator decides, or lift it; see who is in quarantine. ORDER is one "
    f"of {', '.join(ORDERS)}; all but lift need a --reason.",
)
quarantine = typer.Typer(
    no_args_is_help=True,
    help="Who caused another person's answer (R7), and so is not asked about again until they are let.",
)
cli.add_typer(quarantine, name=QUARANTINE)


@cli.command(_ORDER, hidden=True)
def order(
    upstream: Annotated[str, typer.Argument(help="The upstream.")],
    order: Annotated[str, typer.Argument(help=f"One of {', '.join(ORDERS)}.")],
    reason: Reason = "",
    by: By = "",
) -> None:
    """Set above an upstream's breaker what an operator decides, or lift it."""
    if upstream not in ADMISSIONS:
        fail(f"no such upstream: {upstream} (there are {', '.join(ADMISSIONS)})")
    if order not in ORDERS:
        fail(f"no such order: {order} (there are {', '.join(ORDERS)})")
    if ORDERS[order] and not reason:
        fail("an override needs a --reason")
    override = ORDERS[order]
    who = operator(by)
    ordered = Ordered(override, who.by, round(time.time() * 1000), reason, who.user) if override else None
    auditable()

    async def put(services: Services) -> None:
        async with services.journal.action(
            Action.BREAKER, who.by, user=who.user, target=f"{upstream} {order}", reason=reason
        ):
            await services.admission(upstream).order(ordered)

    with_services(settings(), put, REDIS_SILENT)
    say(f"{upstream}: {override or 'lifted'}")


@quarantine.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:  # noqa: FBT002
    """List who is in quarantine: the register, the citizen's id, and since when."""
    found = with_services(open_settings(), lambda services: services.quarantine.entries(UPSTREAMS), REDIS_SILENT)
    if as_json:
        say_json([_facts(one) for one in found])
        return
    for one in found:
        say(f"{one.upstream:<14}  {one.citizen_id}  {one.since.astimezone(DENMARK):%Y-%m-%d %H:%M:%S}")


@quarantine.command()
def release(
    register: Annotated[str, typer.Argument(help="The register.")],
    citizen_id: Annotated[str, typer.Argument(help="The citizen's id, as `quarantine list` has it.")],
    reason: Reason = "",
    by: By = "",
) -> None:
    """Let a register be asked about a citizen again. If it answers about another person once more, it is cut off."""
    if register not in UPSTREAMS:
        fail(f"no such register: {register} (there are {', '.join(UPSTREAMS)})")
    if not reason:
        fail("a release needs a --reason")
    who = operator(by)
    chosen = auditable()

    async def let_go(services: Services) -> bool:
        if citizen_id not in await services.quarantine.held(register):
            return False
        async with services.journal.action(
            Action.RELEASE_CITIZEN, who.by, user=who.user, target=register, citizen_id=citizen_id, reason=reason
        ):
            return await services.quarantine.release(register, citizen_id)

    if not with_services(chosen, let_go, REDIS_SILENT):
        fail(f"no such citizen is in quarantine at {register}")
    say(f"{register}: {citizen_id} is asked about again")


def told(counts: Sequence[tuple[str, int]]) -> str:
    """One line for whoever looks at the state of all; empty when nobody is in quarantine."""
    held = [f"{name} {count}" for name, count in counts if count]
    return f"in quarantine: {', '.join(held)} (see registerbro breaker quarantine list)" if held else ""


def _facts(one: Entry) -> dict[str, str]:
    return {"register": one.upstream, "citizen": one.citizen_id, "since": one.since.isoformat()}
