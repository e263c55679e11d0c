"""Leases: record of which refreshes are wanted, and which run owns each. A message only points at a lease.

A lease gives single flight: one run at a time refreshes a citizen's register. Per register, a sorted set holds the
citizens whose refresh is wanted, by the end of the lease, and a hash per citizen holds the details. The caller that
wants a refresh takes the lease; the worker that begins it becomes its owner; a sweep sends a lease that ended without a
result again, a few times. A message without a lease does nothing. The lease also says on whose behalf and why, since a
message holds only the citizen's id.

The schedule takes and begins a lease in one step: the timetable is the record of what it wants. A register's leases go
by the steady clock of its timetable, so that setting Redis' clock makes none longer or shorter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from redis.asyncio import Redis

from redis_admission import Override
from registerbro.storage.keys import (
    ACTIVE_KEY,
    admission_key,
    due_key,
    lease_key,
    running_key,
    taken_key,
    timetable_clock_key,
    wanted_key,
)
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.steady_clock import Steady
from registerbro.telemetry import random_ids


class Behalf(StrEnum):
    """Party on whose behalf a refresh is made."""

    CITIZEN = "citizen"
    SCHEDULE = "schedule"
    OPERATOR = "operator"
    UNKNOWN = "unknown"
    """A process of a former release took the lease, and did not record it."""


class Purpose(StrEnum):
    """Purpose of a refresh, or of another look-up."""

    SHOW_PAGE = "show_page"
    """The citizen opened »Oplysninger om dig«."""
    KEEP_PAGE_FRESH = "keep_page_fresh"
    """The data of the citizen's page are about to expire."""
    TRY_REGISTER = "try_register"
    """The same, ahead of time: one refresh has to try whether a register is back."""
    OPERATORS_REQUEST = "operators_request"
    BOOK_MEETING = "book_meeting"
    """The citizen looks for a time for a meeting, or books one."""
    SUBSCRIBE = "subscribe"
    """The register has data of citizens who are subscribed there, and of no others."""
    CANCEL_SUBSCRIPTION = "cancel_subscription"
    """The citizen was forgotten, left the target group, or has not been active for a time."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Wish:
    """Behalf and purpose of a refresh. `by` is the operator, and empty for citizens and the schedule."""

    behalf: Behalf
    purpose: Purpose
    by: str = ""


CITIZENS_WISH = Wish(Behalf.CITIZEN, Purpose.SHOW_PAGE)
UNKNOWN_WISH = Wish(Behalf.UNKNOWN, Purpose.UNKNOWN)

MAX_SENDINGS = 5
"""How often a lease is sent before it is given up: as often as a message may be redelivered."""


_FORCED_OPEN = Override.FORCED_OPEN.value


class RegisterCutOff(Exception):
    """The register is forced open: nothing that came of it in that moment may be kept."""


class NotTaken(StrEnum):
    """Reason why the schedule did not get a lease."""

    ENDED = "ended"
    """The schedule has ended for this citizen."""
    WANTED = "wanted"
    """Another run owns the lease, or is about to."""
    FULL = "full"
    """The maximum number of the schedule's refreshes is running."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Right to refresh one citizen's register now; `owner` is the run that holds it."""

    citizen_id: str
    register: str
    owner: str
    wish: Wish = UNKNOWN_WISH


@dataclass(frozen=True, slots=True)
class Overdue:
    """Citizens whose lease ended without a result: the refresh is sent again, or given up."""

    again: tuple[str, ...]
    given_up: tuple[str, ...]


class Leases:
    """Leases on the coordination server. `clock` and `monotonic` are those of `Steady`, for tests.

    Every method raises REDIS_DOWN errors.
    """

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        constants = {"ACTIVE_KEY": ACTIVE_KEY, "FORCED_OPEN": _FORCED_OPEN}
        scripts = Scripts(redis, __file__, Steady(redis, clock, monotonic), **constants)
        self._acquire = scripts.load("leases_acquire")
        self._take = scripts.load_batched("leases_take")
        self._begin = scripts.load_batched("leases_begin")
        self._settle = scripts.load_batched("leases_settle")
        self._hand_back = scripts.load("leases_hand_back")
        self._withdraw = scripts.load("leases_withdraw")
        self._overdue = scripts.load("leases_overdue")

    async def acquire(self, citizen_id: str, register: str, length: timedelta, wish: Wish) -> bool:
        """Records that a refresh is wanted, for `length`. False when there is a lease already."""
        return bool(
            await self._acquire(
                **_keys(register, citizen_id), citizen=citizen_id, length=ms(length), **_wish_fields(wish)
            )
        )

    async def take(
        self,
        citizen_id: str,
        register: str,
        length: timedelta,
        at_once: int,
        purpose: Purpose = Purpose.KEEP_PAGE_FRESH,
    ) -> Lease | NotTaken:
        """Takes and begins a lease for the schedule; `at_once` of them may run at a time, over all processes."""
        lease = Lease(citizen_id, register, random_ids.name(), Wish(Behalf.SCHEDULE, purpose))
        answer = await self._take(
            **_keys(register, citizen_id),
            running=running_key(register),
            citizen=citizen_id,
            length=ms(length),
            owner=lease.owner,
            at_once=at_once,
            **_wish_fields(lease.wish),
        )
        return lease if answer == b"taken" else NotTaken(answer.decode())

    async def begin_refresh(self, citizen_id: str, register: str, length: timedelta) -> Lease | None:
        """Makes this run the owner of a lease for `length`. None without a lease, or when another run owns it."""
        owner = random_ids.name()
        wish = await self._begin(**_keys(register, citizen_id), citizen=citizen_id, length=ms(length), owner=owner)
        return Lease(citizen_id, register, owner, _wish(*wish)) if wish else None

    async def settle(self, lease: Lease, due_in: timedelta | None, *, stored: bool = False) -> bool:
        """Ends a lease with a result. The citizen is due again in `due_in`, or never. False to a former owner.

        `stored`: the result was an answer of the register, and is stored. Raises RegisterCutOff when the register is
        forced open by then, and leaves the lease as it is: what was stored at that moment cannot be trusted.
        """
        register = lease.register
        settled = await self._settle(
            **_keys(register, lease.citizen_id),
            running=running_key(register),
            due=due_key(register),
            taken=taken_key(register),
            citizen=lease.citizen_id,
            owner=lease.owner,
            admission=admission_key(register),
            due_in="" if due_in is None else ms(due_in),
            stored=int(stored),
        )
        if settled == _FORCED_OPEN.encode():
            raise RegisterCutOff
        return bool(settled)

    async def hand_back(self, lease: Lease) -> None:
        """Ends a lease without a result: the refresh is wanted again at once."""
        register = lease.register
        await self._hand_back(
            **_keys(register, lease.citizen_id),
            running=running_key(register),
            citizen=lease.citizen_id,
            owner=lease.owner,
        )

    async def withdraw(self, citizen_id: str, register: str) -> bool:
        """Removes a lease, on any behalf. False while a run owns it: that lease ends by itself."""
        return bool(await self._withdraw(**_keys(register, citizen_id), citizen=citizen_id))

    async def overdue(self, register: str, length: timedelta, at_once: int = 100) -> Overdue:
        """Takes, for `length`, the leases that ended without a result. Each goes to one sweep only."""
        again, given_up = await self._overdue(
            wanted=wanted_key(register),
            clock=timetable_clock_key(register),
            lease_prefix=lease_key(register, ""),
            length=ms(length),
            most=MAX_SENDINGS,
            at_once=at_once,
        )
        return Overdue(tuple(name.decode() for name in again), tuple(name.decode() for name in given_up))


def _wish_fields(wish: Wish) -> dict[str, str]:
    return {"behalf": wish.behalf.value, "purpose": wish.purpose.value, "by": wish.by}


def _wish(behalf: bytes | None, purpose: bytes | None, by: bytes | None) -> Wish:
    try:
        return Wish(Behalf((behalf or b"").decode()), Purpose((purpose or b"").decode()), (by or b"").decode())
    except ValueError:
        return UNKNOWN_WISH


def _keys(register: str, citizen_id: str) -> dict[str, str]:
    """Keys that all scripts about one lease take."""
    return {
        "wanted": wanted_key(register),
        "lease": lease_key(register, citizen_id),
        "clock": timetable_clock_key(register),
    }
