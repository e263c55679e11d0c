"""`registerbro breaker`: an operator's override of an upstream's breaker, and the citizens in quarantine there."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli.process import fail
from cli.session import AsJson, By, Reason, auditable, open_settings, operator, with_services
from config.settings import ADMISSIONS, settings
from domain.service_windows import DENMARK
from redis_admission import Override, OverrideOrder
from registerbro.audit_log import Action
from registerbro.services import Services
from registerbro.storage.ledger.quarantine import Entry
from registerbro.terminal import say, say_json

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
    """Group that is also a command with two arguments; no upstream is named as one of its commands."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        names_none_of_ours = not args or (args[0] != QUARANTINE and args[0] not in ctx.help_option_names)
        # For a shell's completion, the group is offered as well.
        is_order = names_none_of_ours and (bool(args) or not ctx.resilient_parsing)
        return super().parse_args(ctx, [_ORDER, *args] if is_order else args)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # noqa: ANN401 - typer's
        name, command, rest = super().resolve_command(ctx, args)
        # The operator does not type that name, so no message shows it.
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
    ordered = OverrideOrder(override, who.by, round(time.time() * 1000), reason, who.user) if override else None
    auditable()

    async def put(services: Services) -> None:
        async with who.acts(services, Action.BREAKER, target=f"{upstream} {order}", reason=reason):
            await services.admission(upstream).set_override(ordered)

    with_services(settings(), put, REDIS_SILENT)
    say(f"{upstream}: {override or 'lifted'}")


@quarantine.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List who is in quarantine: the register, the citizen's id, and since when."""
    found = with_services(open_settings(), lambda services: services.quarantine.entries(ADMISSIONS), REDIS_SILENT)
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
    if register not in ADMISSIONS:
        fail(f"no such register: {register} (there are {', '.join(ADMISSIONS)})")
    if not reason:
        fail("a release needs a --reason")
    who = operator(by)
    chosen = auditable()

    async def let_go(services: Services) -> bool:
        if citizen_id not in await services.quarantine.held(register):
            return False
        async with who.acts(services, Action.RELEASE_CITIZEN, target=register, citizen_id=citizen_id, reason=reason):
            return await services.quarantine.release(register, citizen_id)

    if not with_services(chosen, let_go, REDIS_SILENT):
        fail(f"no such citizen is in quarantine at {register}")
    say(f"{register}: {citizen_id} is asked about again")


def told(counts: Sequence[tuple[str, int]]) -> str:
    """A line with the number of citizens in quarantine by upstream; empty when there is none."""
    held = [f"{name} {count}" for name, count in counts if count]
    return f"in quarantine: {', '.join(held)} (see registerbro breaker quarantine list)" if held else ""


def _facts(one: Entry) -> dict[str, str]:
    return {"register": one.upstream, "citizen": one.citizen_id, "since": one.since.isoformat()}
