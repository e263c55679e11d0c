"""`registerbro refresh`: requests a refresh of one citizen's registers."""

from typing import Annotated

import typer

from cli.process import fail
from cli.session import By, Reason, about_a_citizen, with_services
from domain.citizen import Citizen
from domain.service_windows import danish_today
from registerbro import refresh as use_case
from registerbro.audit_log import Action
from registerbro.services import Services
from registerbro.terminal import say


def refresh(
    register: Annotated[list[str] | None, typer.Option(help="A register to refresh; all when none is named.")] = None,
    contact_group: Annotated[list[int] | None, typer.Option(help="A contact group of the citizen.")] = None,
    education_order: Annotated[bool, typer.Option(help="The citizen has an uddannelsespålæg.")] = False,  # noqa: FBT002
    reason: Reason = "",
    by: By = "",
) -> None:
    """Ask for a citizen's registers to be brought up to date. The CPR number is read from standard input."""
    who, cpr, settings = about_a_citizen(by)
    from registerbro.messaging import celery_app  # noqa: F401, PLC0415 - importing it reads the settings

    async def ask(services: Services) -> dict[str, use_case.Requested]:
        citizen = Citizen(cpr, frozenset(contact_group or ()), education_order)
        citizen_id, asked_for = services.citizens.id_of(cpr), " ".join(register or ())
        async with who.acts(services, Action.REFRESH, target=asked_for, citizen_id=citizen_id, reason=reason):
            return await use_case.request_due(
                services, citizen, register, reason=use_case.Reason.OPERATOR, today=danish_today(), by=who.by
            )

    try:
        answers = with_services(settings, ask, "nothing could be asked for")
    except use_case.UnknownRegister as error:
        fail(str(error))
    except use_case.OutsideTargetGroup:
        fail("outside-target-group: this citizen's registers may not be fetched; see --contact-group")
    for name, answer in answers.items():
        say(f"{name}: {answer.state}")
    if any(answer.state is use_case.State.UNAVAILABLE for answer in answers.values()):
        raise typer.Exit(1)
