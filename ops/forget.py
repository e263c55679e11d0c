"""`registerbro forget`: erases what is kept of a citizen, but for reports that are on their way to the vendor."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from config.celery import REGISTERS
from config.settings import UPSTREAMS
from ops.audit import auditable
from ops.console import By, Reason, cpr_from_input, operator
from ops.terminal import say, say_json
from ops.work import with_services
from portal.banner import banner_key
from portal.booked import booked_key
from workers.audit import Action
from workers.booking_vendor.outbox import UnknownReport, WrongState
from workers.booking_vendor.reports import outbox
from workers.runtime import Services

LOOK_EVERY_SECONDS = 0.2
"""How often it is looked whether a fetch that was under way has ended."""


@dataclass(slots=True)
class Forgotten:
    """What was erased, and what was left: fault reports that the vendor has not got, by id."""

    known: bool = False
    """Whether it was known whose the id is."""
    entries: int = 0
    reports: int = 0
    banner: bool = False
    quarantines: int = 0
    """At how many upstreams the citizen was not asked about, for another person's answer."""
    reports_left: list[str] = field(default_factory=list)


def forget(
    undelivered: Annotated[  # noqa: FBT002
        bool, typer.Option("--undelivered", help="Also fault reports that the vendor has not got: they are lost then.")
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Erase all that is kept of a citizen. The CPR number is read from standard input.

    Fault reports that have not reached the vendor stay, are sent, and can be erased afterwards: exit status 1 says so.
    """
    who = operator(by)
    cpr = cpr_from_input()
    settings = auditable()

    async def run(services: Services) -> Forgotten:
        ids = services.citizens.ids_of(cpr)
        async with services.journal.action(Action.FORGET, who.by, user=who.user, citizen_id=ids[0], reason=reason):
            return await erase(services, ids, undelivered=undelivered)

    forgotten = with_services(settings, run, "not all was erased, so do it again")
    if as_json:
        say_json(asdict(forgotten))
    else:
        number, banner = ("the" if found else "no" for found in (forgotten.known, forgotten.banner))
        say(f"erased: {number} CPR number, {forgotten.entries} entries, {forgotten.reports} fault reports, "
              f"{banner} dismissed banner, {forgotten.quarantines} quarantines")  # fmt: skip
        for report_id in forgotten.reports_left:
            say(f"left: report {report_id}, which the vendor has not got (--undelivered erases it all the same)")
    if forgotten.reports_left:
        raise typer.Exit(1)


async def erase(services: Services, citizen_ids: Sequence[str], *, undelivered: bool) -> Forgotten:
    """Erases what is kept under these ids, all of one citizen. Raises REDIS_DOWN errors; may be repeated then.

    Nothing that is being fetched in the meantime is stored after it: first the way from the id to the number goes, so
    that no fetch can begin; those that have begun are waited for, and what they stored is erased with the rest.
    """
    done = Forgotten()
    for citizen_id in citizen_ids:
        await services.timetable.erase(citizen_id, REGISTERS)
        done.known |= await services.citizens.forget(citizen_id)
    for citizen_id in citizen_ids:
        for register in REGISTERS:
            while not await services.leases.withdraw(citizen_id, register):  # noqa: ASYNC110 - it is in Redis
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        done.entries += await services.entries.erase(citizen_id, REGISTERS)
        await services.cache.delete(booked_key(citizen_id))
        done.banner |= bool(await services.ledger.redis.delete(banner_key(citizen_id)))
    # A fetch that was waited for may have ended in it.
    done.quarantines = await services.quarantine.erase(citizen_ids, UPSTREAMS)
    box = outbox(services)
    for report_id in await box.written_by(citizen_ids):
        try:
            await box.erase(report_id, undelivered=undelivered)
        except UnknownReport:
            continue
        except WrongState:
            done.reports_left.append(report_id)
        else:
            done.reports += 1
    return done
