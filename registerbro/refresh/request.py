"""Refresh request: checks the target group, finds what is due, takes the leases and sends the tasks."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import structlog
from kombu.exceptions import OperationalError

from config.celery import REGISTERS, SCHEDULED, SUBSCRIBED
from config.settings import RegisterSettings
from domain.citizen import Citizen
from domain.overview import REGISTERS as OF_THE_PAGE
from registerbro.refresh.register import send
from registerbro.services import Services
from registerbro.storage.cache.entries import Entry
from registerbro.storage.coordination.leases import CITIZENS_WISH, Behalf, Lease, Purpose, Wish
from registerbro.storage.coordination.timetable import ahead_of_expiry
from registerbro.storage.redis_client import REDIS_DOWN

log = structlog.get_logger()

QUEUED_FOR = timedelta(minutes=1)
"""How long a refresh may wait in a queue before its message counts as lost and is sent again.

Longer than the pending state lasts, so a merely slow queue is not sent the same refresh twice.
"""
SEND_WITHIN = timedelta(seconds=3)
"""How long publishing may take, so that a frozen broker never holds up a page."""


END_WITHIN = timedelta(milliseconds=500)
"""How long a page waits for the ledger to take that a citizen's subscriptions end."""


class OutsideTargetGroup(Exception):
    """The citizen's registers may not be fetched (R1); no upstream was called."""


class UnknownRegister(ValueError):
    """There is no register of that name."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"no such register: {', '.join(sorted(names))} (there are {', '.join(REGISTERS)})")


class Reason(StrEnum):
    """On whose behalf a refresh is requested; `registerbro/refresh/schedule.py` has the schedule's own."""

    CITIZEN = "citizen"
    OPERATOR = "operator"


class State(StrEnum):
    """Result of a request, per register."""

    FRESH = "fresh"
    """The entry is fresh: nothing to do."""
    PENDING = "pending"
    """It is being fetched, by this request or an earlier one."""
    UNAVAILABLE = "unavailable"
    """It failed a moment ago, or could not be requested."""


@dataclass(frozen=True, slots=True)
class Requested:
    """Result of a request for one register; `retry_after` is when a new request makes sense, if that is known."""

    state: State
    retry_after: timedelta | None = None


async def request_due(
    services: Services,
    citizen: Citizen,
    registers: Iterable[str] | None = None,
    *,
    reason: Reason,
    today: date,
    by: str = "",
) -> dict[str, Requested]:
    """Requests a refresh of a citizen's registers, as far as it is due; never waits for an upstream.

    Concurrent requests are coalesced: each register is fetched once. A citizen's request for a register that the
    schedule keeps fresh is activity, and so is a page on which nothing is due (`registers` is empty): the schedule goes
    on for them from then.

    Args:
        services: the process's collaborators.
        citizen: whose registers.
        registers: names of registers; the page's when None, and none where a page had nothing due.
        reason: on whose behalf. Only an operator's request fetches again what failed a moment ago.
        today: the day in Denmark, by which the target group is judged.
        by: the operator, for the audit log. A refresh that is already requested keeps its own request on record.

    Returns:
        Each register's state; empty where `registers` is. When Redis is away, all are `unavailable`.

    Raises:
        UnknownRegister: a name that is no register's.
        OutsideTargetGroup: a register that is not for everyone was asked for. This ends the citizen's schedule, and
            their subscriptions.

    """
    wanted = tuple(dict.fromkeys(OF_THE_PAGE if registers is None else registers))
    if not wanted:
        if reason is Reason.CITIZEN:
            await _record_visit(services, citizen, today)
        return {}
    if unknown := set(wanted) - set(REGISTERS):
        raise UnknownRegister(unknown)
    if not all(services.settings.register(name).for_everyone for name in wanted) and not citizen.is_in_target_group(
        services.rules.now(), today
    ):
        await end_fetching(services, citizen)
        raise OutsideTargetGroup
    try:
        newest, *before = services.citizens.ids_of(citizen.cpr)
        citizen_id, entries = await asyncio.gather(
            _remember(services, citizen, reason), services.entries.read(newest, wanted, before)
        )
        settled = {name: _without_asking(entry, reason) for name, entry in entries.items()}
        due = [name for name, answer in settled.items() if answer is None]
        if reason is Reason.CITIZEN and not set(SCHEDULED).isdisjoint(wanted):
            await _record_activity(services, citizen, citizen_id, entries, today)
        wish = Wish(Behalf.OPERATOR, Purpose.OPERATORS_REQUEST, by) if reason is Reason.OPERATOR else CITIZENS_WISH
        asked = await _ask(services, citizen_id, due, wish)
    except REDIS_DOWN as error:
        log.error("refresh_not_possible", detail=type(error).__name__)
        return {name: _unavailable(services.settings.register(name)) for name in wanted}
    return {name: settled[name] or asked[name] for name in wanted}


async def _remember(services: Services, citizen: Citizen, reason: Reason) -> str:
    """Remembers the citizen, and their standing where it is their token's and not an operator's say. Returns the id."""
    if reason is not Reason.CITIZEN:
        return await services.citizens.remember(citizen.cpr)
    citizen_id = services.citizens.id_of(citizen.cpr)
    await asyncio.gather(
        services.citizens.remember(citizen.cpr), services.citizens.remember_standing(citizen_id, citizen)
    )
    return citizen_id


async def _record_visit(services: Services, citizen: Citizen, today: date) -> None:
    """Records that a citizen looked at a page on which nothing was due. Raises nothing."""
    if not citizen.is_in_target_group(services.rules.now(), today):
        await end_fetching(services, citizen)
        return
    try:
        citizen_id = await _remember(services, citizen, Reason.CITIZEN)
    except REDIS_DOWN as error:
        log.warning("activity_not_noted", detail=type(error).__name__)
    else:
        await _record_activity(services, citizen, citizen_id, {}, today)


async def end_fetching(services: Services, citizen: Citizen) -> None:
    """The citizen is not in the target group: ends the schedule and the subscriptions. Raises nothing."""
    await asyncio.gather(_end_schedule(services, citizen), _end_subscriptions(services, citizen))


async def _end_subscriptions(services: Services, citizen: Citizen) -> None:
    """Has the subscriptions cancelled. Without the ledger, they are when they have not been used for a time."""
    try:
        async with asyncio.timeout(END_WITHIN.total_seconds()):
            for register in SUBSCRIBED:
                await services.subscriptions.end(register, services.citizens.ids_of(citizen.cpr))
    except REDIS_DOWN as error:
        log.warning("subscriptions_not_ended", detail=type(error).__name__)


async def _end_schedule(services: Services, citizen: Citizen) -> None:
    """Ends the schedule for a citizen. Raises nothing."""
    try:
        for citizen_id in services.citizens.ids_of(citizen.cpr):
            await services.timetable.forget(citizen_id)
    except REDIS_DOWN as error:
        log.warning("schedule_not_ended", detail=type(error).__name__)


async def _record_activity(
    services: Services, citizen: Citizen, citizen_id: str, entries: Mapping[str, Entry], today: date
) -> None:
    """Records activity. A register whose refresh is under way gets its due time when that ends."""
    due_in = {name: _due_in(services.settings.register(name), entries.get(name)) for name in SCHEDULED}
    try:
        until = citizen.leaves_target_group_at(services.rules.now(), today)
        await services.timetable.record_activity(citizen_id, services.settings.citizens_kept_for, until, due_in)
        for older in services.citizens.ids_of(citizen.cpr)[1:]:
            await services.timetable.forget(older)
    except REDIS_DOWN as error:
        log.warning("activity_not_noted", detail=type(error).__name__)


def _due_in(settings: RegisterSettings, entry: Entry | None) -> timedelta:
    if entry is None or not entry.fresh or entry.fresh_until is None or entry.fetched_at is None:
        return settings.pending_for
    left_fresh, fresh_for = entry.fresh_until - entry.read_at, entry.fresh_until - entry.fetched_at
    return ahead_of_expiry(left_fresh, fresh_for, settings.refresh_ahead)


def _without_asking(entry: Entry, reason: Reason) -> Requested | None:
    """The result that the entry alone gives; None when the register is due."""
    if entry.fresh:
        return Requested(State.FRESH)
    if entry.failure and reason is not Reason.OPERATOR:
        return Requested(State.UNAVAILABLE, entry.retry_after)
    return None


async def _ask(services: Services, citizen_id: str, due: list[str], wish: Wish) -> dict[str, Requested]:
    settings = {name: services.settings.register(name) for name in due}
    taken = await asyncio.gather(*(services.leases.acquire(citizen_id, name, QUEUED_FOR, wish) for name in due))
    ours = [name for name, is_ours in zip(due, taken, strict=True) if is_ours]
    if ours:
        try:
            await services.entries.mark_pending(citizen_id, {name: settings[name].pending_for for name in ours})
        except REDIS_DOWN:
            await asyncio.gather(*(_withdraw(services, citizen_id, name) for name in ours))
            raise
    sent = await asyncio.gather(*(_send(services, citizen_id, name) for name in ours))
    lost = [name for name, is_sent in zip(ours, sent, strict=True) if not is_sent]
    return {name: _unavailable(settings[name]) if name in lost else Requested(State.PENDING) for name in due}


async def _send(services: Services, citizen_id: str, register: str) -> bool:
    """Publishes the task. When the broker does not take it, the wish stays on record for the next sweep."""
    try:
        async with asyncio.timeout(SEND_WITHIN.total_seconds()):
            await asyncio.to_thread(send, register, citizen_id, register)
    except (OperationalError, *REDIS_DOWN) as error:
        log.error("refresh_not_sent", register=register, detail=type(error).__name__)
        await _withdraw(services, citizen_id, register)
        return False
    return True


async def _withdraw(services: Services, citizen_id: str, register: str) -> None:
    """Withdraws a request: frees the lease and unmarks the section as `pending`, each on its own server.

    Either ends by itself where its server is away. Raises no error of Redis.
    """
    answers = await asyncio.gather(
        services.leases.hand_back(Lease(citizen_id, register, owner="")),
        services.entries.unmark_pending(citizen_id, register),
        return_exceptions=True,
    )
    for error in answers:
        if isinstance(error, REDIS_DOWN):
            log.warning("refresh_not_withdrawn", register=register, detail=type(error).__name__)
        elif isinstance(error, BaseException):
            raise error


def _unavailable(settings: RegisterSettings) -> Requested:
    return Requested(State.UNAVAILABLE, settings.retry_after)
