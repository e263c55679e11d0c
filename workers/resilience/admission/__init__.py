"""Whether a call may be made now: one breaker, one rate and one limit of concurrency per upstream, for all processes.

`shared.py` decides in Redis; `local.py` is the same machine for the time in which there is no Redis; `overrides.py`
keeps on the ledger what operators decided, and `workers/resilience/quarantine.py` who is not asked about.
docs/breaker.md explains the whole.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from workers import metrics, names
from workers.connections import REDIS_DOWN, server_within
from workers.resilience import deadline, quarantine
from workers.resilience.admission.local import LocalMachine
from workers.resilience.admission.overrides import Overrides
from workers.resilience.admission.shared import Ordered, SharedMachine, Unknown
from workers.resilience.admission.terms import (
    Admitted,
    Entry,
    Outcome,
    Override,
    Refused,
    Rules,
    State,
    Wait,
)
from workers.resilience.errors import (
    CallFailed,
    CircuitOpen,
    DeadlinePassed,
    RateLimited,
    RetryBudgetSpent,
    WrongPerson,
)

__all__ = ["Admission", "Guard", "Ordered", "Override", "Overrides", "Permit", "Rules", "SharedMachine", "State"]

log = structlog.get_logger()

REDIS_WITHIN = 0.05
"""Seconds without a sign of life from Redis (`server_within`), after which the process decides by itself."""
REDIS_AGAIN_AFTER = 1.0
"""Seconds after which a Redis that did not answer is asked again."""
ASK_AGAIN = 0.025
"""Seconds between two looks for a free place."""
BELIEVED = 1000
"""Milliseconds that a waiter is taken to be alive without asking again; what a killed one costs the others."""
LEASE_BEYOND_ATTEMPT = timedelta(seconds=2)
"""What a permit's lease is longer than the attempt that it is for: to record its end."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call, from the machine that gave it; `entered` is in ms of that machine's clock."""

    id: str
    generation: int
    entered: int
    machine: SharedMachine | LocalMachine


class Admission(Protocol):
    """Entered before each call and told of its result after it."""

    async def enter(self, *, is_retry: bool) -> Permit:
        """Leave to call now. Raises NotCalled when the upstream is to be spared."""
        ...

    async def record(self, permit: Permit, error: BaseException | None, took: timedelta) -> None:
        """Notes how the call ended: None for an answer; anything but a CallFailed says nothing of the upstream."""
        ...

    async def check(self) -> None:
        """Raises CircuitOpen when a person has to lift an override before anything of the upstream may be kept."""
        ...


class Guard:
    """Admission to one upstream: by Redis for all processes together, and without Redis by this process alone.

    `watch` knows who is in quarantine there; without it, nobody is.
    """

    def __init__(
        self,
        shared: SharedMachine,
        overrides: Overrides,
        lease: timedelta,
        slow_call: timedelta,
        watch: quarantine.Watch | None = None,
    ) -> None:
        self.upstream = shared.rules.upstream
        self.shared = shared
        self._overrides = overrides
        self._watch = watch
        self._local = LocalMachine(shared.rules, _now)
        self._lease = round((lease + LEASE_BEYOND_ATTEMPT).total_seconds() * 1000)
        self._slow_call = slow_call
        self._turnstile = asyncio.Lock()
        self._down_until: float | None = None
        self._last_refused: tuple[float, int] | None = None
        self._untold: Ordered | None = None
        """An override that was set here while Redis was away."""

    async def enter(self, *, is_retry: bool) -> Permit:
        """Leave to call now; waits for a place, in order, for as long as the deadline at hand allows.

        Raises CircuitOpen, RetryBudgetSpent and DeadlinePassed; Quarantined and QuarantineUnknown for a call that is
        about a citizen.
        """
        permit = await self._enter(is_retry=is_retry)
        citizen_ids = quarantine.concerned()
        if self._watch is not None and citizen_ids:
            # Only now, since whoever may call knows that the upstream is not cut off, and of which generation that is.
            try:
                await self._watch.check(citizen_ids, permit.generation if permit.machine is self.shared else None)
            except BaseException as refused:
                await self.record(permit, refused, timedelta(0))
                raise
        return permit

    async def _enter(self, *, is_retry: bool) -> Permit:
        permit = names.name()
        if not self._turnstile.locked():
            machine, entry = await self._ask(permit, is_retry=is_retry)
            if not isinstance(entry, Wait):
                return self._settled(permit, machine, entry)
        return await self._wait(permit, is_retry=is_retry)

    async def record(self, permit: Permit, error: BaseException | None, took: timedelta) -> None:
        """Notes how the call ended, with the machine that let it begin."""
        outcome = self._outcome(error, took)
        reason = error.reason if isinstance(error, CallFailed) else ""
        if outcome is Outcome.WRONG_PERSON:
            await self._cut_off(permit, reason)
            return
        if isinstance(permit.machine, LocalMachine):
            self._tell(permit.machine.record(permit.id, permit.generation, permit.entered, outcome))
            return
        try:
            async with self._redis_in_time():
                changed = await permit.machine.record(permit.id, permit.generation, permit.entered, outcome, reason)
        except REDIS_DOWN as failure:
            # The permit's lease ages out.
            self._redis_is_down(failure)
        else:
            self._tell(changed)

    async def check(self) -> None:
        """Raises CircuitOpen while an override keeps everybody away: nothing that came in that moment may be kept."""
        if self._local.override is Override.FORCED_OPEN or await self._is_forced_open():
            raise CircuitOpen("forced open until a person lifts it")

    async def order(self, ordered: Ordered | None) -> None:
        """Sets or lifts what an operator decided, on the ledger first, which outlives the rest. Raises REDIS_DOWN."""
        await self._overrides.put(self.upstream, ordered)
        await self.shared.create(None)
        await self.shared.set_override(ordered)

    async def _wait(self, permit: str, *, is_retry: bool) -> Permit:
        try:
            async with asyncio.timeout(deadline.remaining()), self._turnstile:
                while True:
                    machine, entry = await self._ask(permit, is_retry=is_retry)
                    if not isinstance(entry, Wait):
                        return self._settled(permit, machine, entry)
                    await asyncio.sleep(max(ASK_AGAIN, min(entry.milliseconds / 1000, BELIEVED / 2000)))
        except TimeoutError:
            await self._leave(permit)
            raise DeadlinePassed("no place came free in time") from None

    async def _ask(self, permit: str, *, is_retry: bool) -> tuple[SharedMachine | LocalMachine, Entry]:
        if self._down_until is None or time.monotonic() >= self._down_until:
            try:
                async with self._redis_in_time():
                    if self._untold:
                        await self.shared.set_override(self._untold)
                        self._untold = None
                    entry = await self.shared.enter(permit, self._lease, is_retry=is_retry, believed=BELIEVED)
            except Unknown:
                return await self._ask_after_creating(permit, is_retry=is_retry)
            except REDIS_DOWN as failure:
                self._redis_is_down(failure)
            else:
                self._redis_is_up()
                self._local.override = Override.FORCED_OPEN if _is_forced_open(entry) else None
                return self.shared, entry
        return self._local, self._local.enter(permit, self._lease, is_retry=is_retry, believed=BELIEVED)

    async def _ask_after_creating(self, permit: str, *, is_retry: bool) -> tuple[SharedMachine | LocalMachine, Entry]:
        """Redis is new or was emptied: what operators decided is on the ledger, and is in force before any call."""
        try:
            await self.shared.create(await self._known_override())
            return self.shared, await self.shared.enter(permit, self._lease, is_retry=is_retry, believed=BELIEVED)
        except (Unknown, *REDIS_DOWN) as failure:
            self._redis_is_down(failure)
            return self._local, self._local.enter(permit, self._lease, is_retry=is_retry, believed=BELIEVED)

    async def _known_override(self) -> Ordered | None:
        return self._untold or await self._overrides.get(self.upstream)

    def _settled(self, permit: str, machine: SharedMachine | LocalMachine, entry: Entry) -> Permit:
        match entry:
            case Admitted():
                # An open breaker that is none any more must not be remembered when Redis goes next.
                self._last_refused = None
                self._tell(entry.changed)
                return Permit(permit, entry.generation, entry.at, machine)
            case Refused(by=Override()):
                raise CircuitOpen("forced open until a person lifts it")
            case Refused():
                wait = entry.wait or 0
                if entry.by is State.OPEN:
                    self._last_refused = (time.monotonic(), wait)
                raise CircuitOpen(f"{entry.by}", retry_after=timedelta(milliseconds=wait))
        raise RetryBudgetSpent

    async def _cut_off(self, permit: Permit, reason: str) -> None:
        """Another person's answer: closed for everybody at once, on the ledger too, until a person lifts it."""
        self._local.set_override(Override.FORCED_OPEN)
        ordered = self._untold = Ordered(Override.FORCED_OPEN, "registerbro", round(time.time() * 1000), reason)
        try:
            await self.shared.record(permit.id, permit.generation, permit.entered, Outcome.WRONG_PERSON, reason)
            self._untold = None
        except REDIS_DOWN as failure:
            self._redis_is_down(failure)
        citizen_ids = quarantine.concerned()
        if self._watch is not None and citizen_ids:
            await self._watch.put(citizen_ids[0], ordered.at)
        try:
            await self._overrides.put(self.upstream, ordered)
        except REDIS_DOWN as failure:
            log.critical("override_not_on_ledger", upstream=self.upstream, detail=type(failure).__name__)
        self._tell(Override.FORCED_OPEN)

    async def _is_forced_open(self) -> bool:
        if self._down_until is not None:
            return False
        try:
            async with self._redis_in_time():
                return await self.shared.override() is Override.FORCED_OPEN
        except REDIS_DOWN as failure:
            self._redis_is_down(failure)
            return False

    async def _leave(self, permit: str) -> None:
        self._local.leave(permit)
        if self._down_until is None:
            try:
                async with self._redis_in_time():
                    await self.shared.leave(permit)
            except REDIS_DOWN as failure:
                self._redis_is_down(failure)

    def _redis_in_time(self) -> server_within:
        return server_within(REDIS_WITHIN, self.shared.redis)

    def _outcome(self, error: BaseException | None, took: timedelta) -> Outcome:
        if error is None:
            return Outcome.SLOW if took >= self._slow_call else Outcome.OK
        if isinstance(error, WrongPerson):
            return Outcome.WRONG_PERSON
        if isinstance(error, RateLimited):
            return Outcome.THROTTLED
        return Outcome.FAILURE if isinstance(error, CallFailed) and error.counts else Outcome.IGNORED

    def _redis_is_down(self, failure: BaseException) -> None:
        if self._down_until is None:
            log.warning("admission_without_redis", upstream=self.upstream, detail=type(failure).__name__)
            if self._last_refused:
                seen, wait = self._last_refused
                still = wait - (time.monotonic() - seen) * 1000
                if still > 0:
                    self._local.adopt_open(round(still))
        self._down_until = time.monotonic() + REDIS_AGAIN_AFTER

    def _redis_is_up(self) -> None:
        if self._down_until is not None:
            self._down_until = None
            self._local = LocalMachine(self.shared.rules, _now)
            log.warning("admission_with_redis_again", upstream=self.upstream)

    def _tell(self, changed: State | Override | None) -> None:
        if changed is None:
            return
        metrics.BREAKER_CHANGES.labels(self.upstream, changed).inc()
        tell = log.critical if changed is Override.FORCED_OPEN else log.warning
        tell("breaker_changed", upstream=self.upstream, state=changed)


def _is_forced_open(entry: Entry) -> bool:
    return isinstance(entry, Refused) and isinstance(entry.by, Override)


def _now() -> int:
    return round(time.monotonic() * 1000)
