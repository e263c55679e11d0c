"""The use case "bring a citizen's registers up to date": who may, what is due, take the lease, send the task."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

import structlog
from kombu.exceptions import OperationalError

from config.celery import REGISTERS, SCHEDULED
from config.settings import RegisterSettings
from config.windows import DENMARK
from workers.cache.entries import Entry
from workers.cache.leases import CITIZENS_WISH, Behalf, Lease, Purpose, Wish
from workers.cache.timetable import ahead_of_expiry
from workers.connections import REDIS_DOWN
from workers.domain.cpr import Cpr
from workers.domain.overview import REGISTERS as OF_THE_PAGE
from workers.domain.target_group import in_target_group, leaves_target_group
from workers.register import send
from workers.runtime import Services

log = structlog.get_logger()

QUEUED_FOR = timedelta(minutes=1)
"""How long a refresh may wait in a queue before its message is taken for lost and sent again.

Longer than a section is `pending`, so that a queue which is only long is not made longer.
"""
SEND_WITHIN = timedelta(seconds=3)
"""How long publishing may take, so that a frozen broker never holds up a page."""


class OutsideTargetGroup(Exception):
    """The citizen's registers may not be fetched (R1); no upstream was called."""


class UnknownRegister(ValueError):
    """There is no register of that name."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"no such register: {', '.join(sorted(names))} (there are {', '.join(REGISTERS)})")


class Reason(StrEnum):
    """On whose behalf a refresh is asked for; what the schedule wants is `workers/schedule.py`'s."""

    CITIZEN = "citizen"
    OPERATOR = "operator"


class State(StrEnum):
    """What a request comes to, per register."""

    FRESH = "fresh"
    """What is kept is fresh: nothing to do."""
    PENDING = "pending"
    """It is being fetched, by this request or an earlier one."""
    UNAVAILABLE = "unavailable"
    """It failed a moment ago, or could not be asked for."""


@dataclass(frozen=True, slots=True)
class Citizen:
    """The citizen of a request, as the portal's log-in knows them; `contact_groups` are the numbers of R1."""

    cpr: Cpr
    contact_groups: frozenset[int]
    education_order: bool

    def is_in_target_group(self, today: date) -> bool:
        """Whether R1 allows fetching this citizen's registers, and showing them the page."""
        return in_target_group(
            born=self.cpr.birth_date,
            contact_groups=self.contact_groups,
            education_order=self.education_order,
            today=today,
        )

    @property
    def leaves_target_group_at(self) -> datetime | None:
        """The Danish midnight at which a citizen who is in the target group no longer is; None when no age ends it."""
        day = leaves_target_group(born=self.cpr.birth_date, contact_groups=self.contact_groups)
        return None if day is None else datetime.combine(day, time(), DENMARK)


@dataclass(frozen=True, slots=True)
class Requested:
    """What a request came to for one register; `retry_after` is when asking again makes sense, if that is known."""

    state: State
    retry_after: timedelta | None = None


async def request(
    services: Services,
    citizen: Citizen,
    registers: Iterable[str] | None = None,
    *,
    reason: Reason,
    today: date,
    by: str = "",
) -> dict[str, Requested]:
    """Asks for these registers (the page's when None) to be brought up to date; never waits for an upstream.

    However many ask at the same moment, each register is fetched once. A citizen who asks for one that the schedule
    keeps fresh is active: the schedule goes on for them from then. Raises UnknownRegister; and OutsideTargetGroup,
    which ends that, unless what is asked for is for everyone.
    `by` is the operator who asks, for the audit log. What somebody else has asked for already stays that one's wish.
    """
    wanted = tuple(dict.fromkeys(OF_THE_PAGE if registers is None else registers))
    if unknown := set(wanted) - set(REGISTERS):
        raise UnknownRegister(unknown)
    if not all(services.settings.register(name).for_everyone for name in wanted) and not citizen.is_in_target_group(
        today
    ):
        await left(services, citizen)
        raise OutsideTargetGroup
    try:
        who, *before = services.citizens.ids_of(citizen.cpr)
        citizen_id, entries = await asyncio.gather(
            services.citizens.remember(citizen.cpr), services.entries.read(who, wanted, before)
        )
        settled = {name: _without_asking(entry, reason) for name, entry in entries.items()}
        due = [name for name, answer in settled.items() if answer is None]
        if reason is Reason.CITIZEN and not set(SCHEDULED).isdisjoint(wanted):
            await _note(services, citizen, citizen_id, entries)
        wish = Wish(Behalf.OPERATOR, Purpose.OPERATORS_REQUEST, by) if reason is Reason.OPERATOR else CITIZENS_WISH
        asked = await _ask(services, citizen_id, due, wish)
    except REDIS_DOWN as error:
        log.error("refresh_not_possible", detail=type(error).__name__)
        return {name: _unavailable(services.settings.register(name)) for name in wanted}
    return {name: settled[name] or asked[name] for name in wanted}


async def seen(services: Services, citizen: Citizen, today: date) -> None:
    """A citizen looked at their page and nothing had to be asked for: that is activity too. Raises nothing."""
    if not citizen.is_in_target_group(today):
        await left(services, citizen)
        return
    try:
        citizen_id = await services.citizens.remember(citizen.cpr)
    except REDIS_DOWN as error:
        log.warning("activity_not_noted", detail=type(error).__name__)
    else:
        await _note(services, citizen, citizen_id, {})


async def left(services: Services, citizen: Citizen) -> None:
    """The citizen is not in the target group: the schedule does not go on for them. Raises nothing."""
    try:
        for citizen_id in services.citizens.ids_of(citizen.cpr):
            await services.timetable.forget(citizen_id)
    except REDIS_DOWN as error:
        log.warning("schedule_not_ended", detail=type(error).__name__)


async def _note(services: Services, citizen: Citizen, citizen_id: str, entries: Mapping[str, Entry]) -> None:
    """Notes activity; what is on its way says by itself, when it is there, when it is due again."""
    due_in = {name: _due_in(services.settings.register(name), entries.get(name)) for name in SCHEDULED}
    try:
        await services.timetable.note(
            citizen_id, services.settings.citizens_kept_for, citizen.leaves_target_group_at, due_in
        )
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
    """The answer that the entry alone gives; None when the register is due."""
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
            await asyncio.gather(*(_take_back(services, citizen_id, name) for name in ours))
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
        await _take_back(services, citizen_id, register)
        return False
    return True


async def _take_back(services: Services, citizen_id: str, register: str) -> None:
    """The lease is free and the section no longer `pending`, each as far as its own server lets that be written.

    What cannot be written ends by itself. Raises nothing of Redis'.
    """
    answers = await asyncio.gather(
        services.leases.hand_back(Lease(citizen_id, register, owner="")),
        services.entries.unmark_pending(citizen_id, register),
        return_exceptions=True,
    )
    for error in answers:
        if isinstance(error, REDIS_DOWN):
            log.warning("refresh_not_taken_back", register=register, detail=type(error).__name__)
        elif isinstance(error, BaseException):
            raise error


def _unavailable(settings: RegisterSettings) -> Requested:
    return Requested(State.UNAVAILABLE, settings.retry_after)
