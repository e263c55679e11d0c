"""`registerbro subscriptions`: subscriptions at a register that are to be cancelled; an operator drops one for good."""

from datetime import datetime
from typing import Annotated

import typer

from cli.process import fail
from cli.session import AsJson, By, Reason, auditable, open_settings, operator, with_services
from config.celery import SUBSCRIBED
from domain.service_windows import DENMARK
from registerbro.audit_log import Action
from registerbro.services import Services
from registerbro.terminal import say, say_json

REDIS_SILENT = "Redis does not answer"

cli = typer.Typer(
    no_args_is_help=True,
    help="Subscriptions that are to be cancelled at a register, and what can be done where it refuses that.",
)


@cli.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List the subscriptions that are to be cancelled: the register, the citizen's id, and since when."""

    async def ending(services: Services) -> list[tuple[str, str, datetime]]:
        return [(name, *one) for name in SUBSCRIBED for one in await services.subscriptions.ending(name)]

    found = with_services(open_settings(), ending, REDIS_SILENT)
    if as_json:
        say_json([{"register": name, "citizen": who, "since": since.isoformat()} for name, who, since in found])
        return
    for name, who, since in found:
        say(f"{name:<14}  {who}  {since.astimezone(DENMARK):%Y-%m-%d %H:%M:%S}")


@cli.command()
def drop(
    register: Annotated[str, typer.Argument(help="The register.")],
    citizen_id: Annotated[str, typer.Argument(help="The citizen's id, as `subscriptions list` has it.")],
    reason: Reason = "",
    by: By = "",
) -> None:
    """Drop a subscription that the register will not cancel: it is asked no more. It may go on sending events."""
    if register not in SUBSCRIBED:
        fail(f"no such register: {register} (there are {', '.join(SUBSCRIBED)})")
    if not reason:
        fail("dropping a subscription needs a --reason")
    who = operator(by)
    chosen = auditable()

    async def drop_it(services: Services) -> bool:
        if citizen_id not in dict(await services.subscriptions.ending(register)):
            return False
        async with who.acts(services, Action.DROP_SUBSCRIPTION, target=register, citizen_id=citizen_id, reason=reason):
            return await services.subscriptions.drop(register, citizen_id)

    if not with_services(chosen, drop_it, REDIS_SILENT):
        fail(f"{register}: no subscription of {citizen_id} is to be cancelled, or it is being cancelled at this moment")
    say(f"{register}: the subscription of {citizen_id} is dropped")
