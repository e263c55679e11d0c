"""`registerbro forget`: erases all stored data of one citizen, except reports that the vendor has not got yet.

A subscription at a register is cancelled by that register's worker, which needs the citizen's sealed number until then.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from cli.session import AsJson, By, Reason, about_a_citizen, with_services
from config.celery import REGISTERS, SUBSCRIBED
from config.settings import ADMISSIONS
from registerbro.audit_log import Action
from registerbro.fault_reports.model import UnknownReport, WrongState
from registerbro.services import Services
from registerbro.storage.keys import banner_key, booked_key
from registerbro.terminal import say, say_json

LOOK_EVERY_SECONDS = 0.2
"""Time between two looks at whether a running fetch has ended."""


@dataclass(slots=True)
class Forgotten:
    """The result of an erasure: the number of things erased, and the fault reports that were left, by id."""

    known: bool = False
    """Whether the CPR number of the id was stored."""
    entries: int = 0
    reports: int = 0
    banner: bool = False
    quarantines: int = 0
    """The number of upstreams at which the citizen was in quarantine."""
    subscriptions: int = 0
    """The number of subscriptions at registers, each of which is cancelled as soon as the register takes that."""
    contact_groups: bool = False
    """Whether the citizen's contact groups over time were kept."""
    reports_left: list[str] = field(default_factory=list)


def forget(
    undelivered: Annotated[  # noqa: FBT002
        bool, typer.Option("--undelivered", help="Also fault reports that the vendor has not got: they are lost then.")
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Erase all that is kept of a citizen. The CPR number is read from standard input.

    Fault reports that have not reached the vendor stay, are sent, and can be erased afterwards: exit status 1 says so.
    """
    who, cpr, settings = about_a_citizen(by)

    async def run(services: Services) -> Forgotten:
        ids = services.citizens.ids_of(cpr)
        async with who.acts(services, Action.FORGET, citizen_id=ids[0], reason=reason):
            return await erase(services, ids, undelivered=undelivered)

    forgotten = with_services(settings, run, "not all was erased, so do it again")
    if as_json:
        say_json(asdict(forgotten))
    else:
        found = (forgotten.known, forgotten.banner, forgotten.contact_groups)
        number, banner, contact_groups = ("the" if one else "no" for one in found)
        if forgotten.subscriptions:
            say(f"to be cancelled: {forgotten.subscriptions} subscriptions (registerbro status has those that wait)")
        say(f"erased: {number} CPR number, {forgotten.entries} entries, {forgotten.reports} fault reports, "
              f"{banner} dismissed banner, {forgotten.quarantines} quarantines, "
              f"{contact_groups} contact groups over time")  # fmt: skip
        for report_id in forgotten.reports_left:
            say(f"left: report {report_id}, which the vendor has not got (--undelivered erases it all the same)")
    if forgotten.reports_left:
        raise typer.Exit(1)


async def erase(services: Services, citizen_ids: Sequence[str], *, undelivered: bool) -> Forgotten:
    """Erases the data stored under these ids, all of one citizen. Raises REDIS_DOWN errors; may be repeated then.

    No fetch stores anything afterwards: the way from the id to the number is erased first, so that no fetch can begin;
    fetches that have begun are waited for, and what they stored is erased with the rest.
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
    # A fetch that was waited for may have put the citizen there.
    done.quarantines = await services.quarantine.erase(citizen_ids, ADMISSIONS)
    # Likewise, and may have kept their contact groups.
    done.contact_groups = await services.contact_groups.erase(citizen_ids)
    # Likewise, and may have subscribed them.
    for register in SUBSCRIBED:
        done.subscriptions += await services.subscriptions.end(register, citizen_ids, forgotten=True)
    box = services.outbox
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
