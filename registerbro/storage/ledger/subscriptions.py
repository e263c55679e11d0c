"""Subscriptions of citizens at a register: per citizen on the ledger, from the wish to its cancellation.

    (none) ──► asked ──► on ──► ending ──► (none)
                 ▲        │       │
                 └────────┴───────┘   the citizen is fetched again

    subscription:{udb}:<id>      hash: state, since when it is on, and the sealed CPR number, by which it is cancelled
    subscriptions:due:{udb}      sorted set: all of them, by when they are to be cancelled
    subscriptions:ending:{udb}   sorted set: those that are to be cancelled now, by since when
    subscriptions:clock:{udb}    hash: their steady clock

A record is on disk before the register is asked to subscribe, so that a killed process leaves no subscription of which
the ledger knows nothing, and it is there until the register has cancelled it. The number is in the record because the
cache, where all other numbers are, may be lost, and is emptied of a citizen who is forgotten.

Asking and cancelling exclude each other: each is done within a time that the record notes (`busy`). Times are in ms
since 1970 by the steady clock (`registerbro/storage/steady_clock.py`), except `at`, which people read: setting the
ledger's clock must not turn "no events yet" into "no data".
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from domain.cpr import Cpr
from registerbro.storage.keys import (
    subscription_key,
    subscriptions_clock_key,
    subscriptions_due_key,
    subscriptions_ending_key,
)
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.lua import Scripts, ms
from registerbro.storage.sealing.sealer import Sealer
from registerbro.storage.steady_clock import Steady
from registerbro.telemetry import random_ids

KEPT_EXACT_TO = timedelta(hours=12)
"""By how much the time of a cancellation may be wrong: so a fetch seldom writes it anew."""


class State(StrEnum):
    """States of a subscription."""

    ASKED = "asked"
    """The register is being asked, or was, and its answer is not known."""
    ON = "on"
    ENDING = "ending"
    """The register was asked to cancel it, and has not said that it has."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The subscription is on. `since` is when that began, by the steady clock, and `age` how long ago that was."""

    since: int
    read_as: timedelta
    """The age when this was read, at `read_at` of the process's monotonic clock."""
    read_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> timedelta:
        """How long it has been on by now."""
        return self.read_as + timedelta(seconds=time.monotonic() - self.read_at)


@dataclass(frozen=True, slots=True)
class ToSubscribe:
    """This process has to ask the register now; `owner` is its right to."""

    owner: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Another process asks for it, or cancels it; `left` is the longest time that this takes."""

    left: timedelta


@dataclass(frozen=True, slots=True)
class ToCancel:
    """A subscription that this process has to cancel now. `tries` is how often that has failed."""

    citizen_id: str
    owner: str
    tries: int
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of one citizen's subscription; `at` is when its state last changed."""

    state: State
    at: datetime | None
    to_be_cancelled: bool


@dataclass(frozen=True, slots=True)
class SubscriptionsStatus:
    """Counts of one register: subscriptions, those to be cancelled now, and how long the first has waited for that."""

    held: int
    ending: int
    oldest_ending: timedelta


class Subscriptions:
    """Reads and writes the subscriptions of all registers. Every method raises REDIS_DOWN errors.

    `clock` and `monotonic` are those of `Steady`, for tests.
    """

    def __init__(
        self,
        ledger: Ledger,
        sealer: Sealer,
        clock: Callable[[], int] | None = None,
        *,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._ledger = ledger
        self._sealer = sealer
        scripts = Scripts(
            ledger.redis, __file__, Steady(ledger.redis, clock, monotonic), KEPT_EXACT_TO=ms(KEPT_EXACT_TO)
        )
        self._begin = scripts.load("subscriptions_begin")
        self._confirm = scripts.load("subscriptions_confirm")
        self._release = scripts.load("subscriptions_release")
        self._end = scripts.load("subscriptions_end")
        self._due = scripts.load("subscriptions_due")
        self._claim = scripts.load("subscriptions_claim")
        self._remove = scripts.load("subscriptions_remove")
        self._drop = scripts.load("subscriptions_drop")
        self._put_back = scripts.load("subscriptions_put_back")
        self._move = scripts.load("subscriptions_move")
        self._status = scripts.load("subscriptions_status")

    async def begin(
        self, register: str, cpr: Cpr, citizen_ids: Sequence[str], *, within: timedelta, keep_for: timedelta
    ) -> Subscribed | ToSubscribe | Busy:
        """Begins a fetch: says how the subscription is, or has this process ask for it, for `within` at the longest.

        `citizen_ids` are all ids of the citizen, the newest first. The subscription is to be cancelled after `keep_for`
        without another fetch.
        """
        newest, *older = citizen_ids
        for one in older:
            await self._rename(register, one, newest, cpr)
        owner = random_ids.name()
        state, number = await self._ledger.durably(
            self._begin.call(
                **_of(register, newest),
                number=self._sealed(register, newest, cpr),
                owner=owner,
                within=ms(within),
                keep_for=ms(keep_for),
            )
        )
        match state:
            case b"on":
                since, now = map(int, number.split(b" "))
                return Subscribed(since, timedelta(milliseconds=now - since))
            case b"busy":
                return Busy(timedelta(milliseconds=int(number)))
        return ToSubscribe(owner)

    async def since(self, register: str, citizen_id: str) -> int | None:
        """Since when the subscription is on, by the steady clock; None when it is not, or is to be cancelled now."""
        async with self._ledger.redis.pipeline(transaction=True) as pipeline:
            pipeline.hmget(subscription_key(register, citizen_id), ["state", "since"])
            pipeline.zscore(subscriptions_ending_key(register), citizen_id)
            (state, since), ending = await pipeline.execute()
        return int(since) if state == State.ON.value.encode() and ending is None and since else None

    async def confirm(self, register: str, citizen_id: str, cpr: Cpr, owner: str) -> Subscribed | None:
        """Records that the register has subscribed the citizen. None when another process was faster.

        When the record is gone meanwhile, it is written anew, to be cancelled at once.
        """
        since = await self._ledger.durably(
            self._confirm.call(**_of(register, citizen_id), number=self._sealed(register, citizen_id, cpr), owner=owner)
        )
        return Subscribed(int(since), timedelta(0)) if since else None

    async def release(self, register: str, citizen_id: str, owner: str) -> None:
        """Records that the register was asked, and that its answer is not known: the next fetch asks again."""
        await self._release(**_of(register, citizen_id, ()), owner=owner)

    async def end(self, register: str, citizen_ids: Iterable[str], *, forgotten: bool = False) -> int:
        """Has a citizen's subscriptions cancelled as soon as the register takes that. Returns their number.

        `forgotten` removes all of a record that its cancellation does not need.
        """
        ended = [
            await self._ledger.durably(self._end.call(**_of(register, one), forgotten=int(forgotten)))
            for one in citizen_ids
            # Most citizens outside the target group have none, and this is asked at each of their visits.
            if await self._ledger.redis.exists(subscription_key(register, one))
        ]
        return sum(ended)

    async def due(self, register: str, most: int) -> tuple[str, ...]:
        """The citizens whose subscription is to be cancelled now, the longest waiting first."""
        found = await self._due(due=subscriptions_due_key(register), clock=subscriptions_clock_key(register), most=most)
        return tuple(one.decode() for one in found)

    async def claim(self, register: str, citizen_id: str, within: timedelta) -> ToCancel | None:
        """Has this process cancel a subscription, for `within` at the longest; None when it is not to be cancelled."""
        owner = random_ids.name()
        found = await self._ledger.durably(
            self._claim.call(**_of(register, citizen_id), owner=owner, within=ms(within))
        )
        return ToCancel(citizen_id, owner, int(found[1]), found[0]) if found else None

    def number_of(self, register: str, claimed: ToCancel) -> Cpr:
        """The CPR number of a subscription to cancel. Raises Unreadable."""
        place = f"{subscription_key(register, claimed.citizen_id)}#number"
        return Cpr.parse(self._sealer.open(claimed.sealed, place).decode())

    async def remove(self, register: str, citizen_id: str, owner: str) -> bool:
        """Removes the record: the register has cancelled the subscription, or has refused it. False to a late owner."""
        return bool(await self._ledger.durably(self._remove.call(**_of(register, citizen_id), owner=owner)))

    async def ending(self, register: str) -> tuple[tuple[str, datetime], ...]:
        """The citizens whose subscription is to be cancelled now, each with since when; the longest waiting first."""
        found: Any = await self._ledger.redis.zrange(subscriptions_ending_key(register), 0, -1, withscores=True)
        return tuple((citizen_id.decode(), datetime.fromtimestamp(at / 1000, UTC)) for citizen_id, at in found)

    async def drop(self, register: str, citizen_id: str) -> bool:
        """Removes the record of a subscription to be cancelled that the register will not cancel: nothing tries again.

        False when the subscription is not to be cancelled, or when a process is at it.
        """
        return bool(await self._ledger.durably(self._drop.call(**_of(register, citizen_id))))

    async def put_back(self, register: str, claimed: ToCancel, wait: timedelta) -> None:
        """Makes a subscription that was not cancelled due again after `wait`."""
        await self._put_back(**_of(register, claimed.citizen_id), owner=claimed.owner, wait=ms(wait))

    async def record(self, register: str, citizen_id: str) -> Record | None:
        """What is kept of a citizen's subscription, for the citizen."""
        fields = await self._ledger.redis.hgetall(subscription_key(register, citizen_id))
        if not fields:
            return None
        at = fields.get(b"at")
        ending = await self._ledger.redis.zscore(subscriptions_ending_key(register), citizen_id)
        return Record(
            State(_text(fields[b"state"])),
            datetime.fromtimestamp(int(at) / 1000, UTC) if at else None,
            to_be_cancelled=ending is not None,
        )

    async def status(self, register: str) -> SubscriptionsStatus:
        """Counts of a register's subscriptions."""
        held, ending, oldest = await self._status(
            due=subscriptions_due_key(register),
            ending=subscriptions_ending_key(register),
            clock=subscriptions_clock_key(register),
        )
        return SubscriptionsStatus(held, ending, timedelta(milliseconds=int(oldest)))

    async def _rename(self, register: str, old_id: str, new_id: str, cpr: Cpr) -> None:
        """Moves a record to the newest id, by which it is found when the older pepper is gone."""
        old, new = subscription_key(register, old_id), subscription_key(register, new_id)
        if await self._ledger.redis.exists(old):
            await self._ledger.durably(
                self._move.call(
                    old=old,
                    new=new,
                    due=subscriptions_due_key(register),
                    ending=subscriptions_ending_key(register),
                    clock=subscriptions_clock_key(register),
                    old_id=old_id,
                    new_id=new_id,
                    number=self._sealed(register, new_id, cpr),
                )
            )

    def _sealed(self, register: str, citizen_id: str, cpr: Cpr) -> bytes:
        return self._sealer.seal(cpr.digits.encode(), f"{subscription_key(register, citizen_id)}#number")


def _of(register: str, citizen_id: str, lists: Iterable[str] = ("due", "ending")) -> dict[str, str]:
    """The keys and the argument that the scripts about one citizen share."""
    keys = {
        "subscription": subscription_key(register, citizen_id),
        "clock": subscriptions_clock_key(register),
    }
    if lists:
        keys |= {
            "due": subscriptions_due_key(register),
            "ending": subscriptions_ending_key(register),
            "citizen": citizen_id,
        }
    return keys


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
