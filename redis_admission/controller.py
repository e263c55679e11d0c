"""Admission controller: circuit breaker, rate limit, concurrency limit and retry budget of one upstream.

All processes that use the same Redis decide as one (`redis_state.py`). While Redis is away, each process decides alone
by the same rules (`local_state.py`): losing Redis costs no call.
"""

import asyncio
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from redis_admission.local_state import LocalState
from redis_admission.model import (
    Admitted,
    Decision,
    Limits,
    Outcome,
    Override,
    OverrideOrder,
    Refused,
    Rejected,
    RejectionKind,
    Rules,
    State,
    Wait,
    milliseconds,
)
from redis_admission.protocols import Batching, Listener, NoStore, OverrideStore, SilentListener, one_by_one
from redis_admission.redis_state import RedisState, UnknownUpstream
from redis_admission.timeout import RedisTimeout

REDIS_AWAY: tuple[type[BaseException], ...] = (RedisError, OSError, TimeoutError)
"""The exceptions of `redis.asyncio` that mean that Redis is gone, frozen, full or refuses us."""
POLL_INTERVAL = 0.025
"""Seconds between two questions of a waiter for a free permit, at the least."""
WAITER_TTL = 1000
"""Milliseconds for which a waiter keeps its turn without asking again: the time that a killed one costs the others."""

# Seeded once, since the system's random numbers cost a system call each. A forked process must not repeat these ids.
_random = random.Random()  # noqa: S311 - an id, and no secret
os.register_at_fork(after_in_child=_random.seed)


@dataclass(frozen=True, slots=True)
class Permit:
    """Permit to make one call.

    Attributes:
        id: the id of the call.
        generation: the breaker's generation in which the call was admitted; it fences the result.
        entered: the time at which it was admitted, in ms of the clock of `state`.
        state: the state that admitted it, and to which its result is recorded.
    """

    id: str
    generation: int
    entered: int
    state: RedisState | LocalState

    @property
    def shared_generation(self) -> int | None:
        """Returns the generation that all processes share, or None when this process decided alone."""
        return self.generation if isinstance(self.state, RedisState) else None


def _no_limit() -> float:
    return math.inf


class AdmissionController:
    """Admission controller of one upstream, for one event loop.

    Args:
        redis: an asyncio client. Its `socket_timeout` limits the commands that have no limit here: `set_override`, and
            `record` of an outcome `FORCE_OPEN`, which must reach Redis if it can be reached at all.
        upstream: the upstream's name; it is part of the keys, and of each event.
        limits: the upstream's limits.
        overrides: a durable store for overrides; without one, an override is lost when Redis loses its data.
        listener: receives events, for logs and metrics.
        wait_limit: returns the seconds for which the caller at hand may wait for a permit.
        redis_away: the exceptions of the client and of the store that mean that the server is away.
        redis_timeout: the seconds without a sign of life from Redis after which the process decides alone.
        redis_retry_after: the seconds after which a lost Redis is asked again.
        answers: returns the number of commands that Redis has answered to this client so far, which is how
            `redis_timeout` tells a slow command from a silent server; by default those of this controller.
        actor: the author of the override that an outcome `FORCE_OPEN` sets.
        server_time: the server's time in ms since 1970, for tests; None for Redis' own.
        batching: sends what many calls of this process ask Redis for at a time as one command; by default each call
            sends its own.
    """

    def __init__(
        self,
        redis: Redis,
        upstream: str,
        limits: Limits | None = None,
        *,
        overrides: OverrideStore | None = None,
        listener: Listener | None = None,
        wait_limit: Callable[[], float] = _no_limit,
        redis_away: tuple[type[BaseException], ...] = REDIS_AWAY,
        redis_timeout: float = 0.05,
        redis_retry_after: float = 1.0,
        answers: Callable[[], int] | None = None,
        actor: str = "redis_admission",
        server_time: Callable[[], int] | None = None,
        batching: Batching = one_by_one,
    ) -> None:
        limits = limits or Limits()
        self.upstream = upstream
        self._redis_state = RedisState(redis, Rules.of(upstream, limits), server_time, batching=batching)
        self._local_state = LocalState(self._redis_state.rules, _now)
        self._overrides = overrides or NoStore()
        self._listener = listener or SilentListener()
        self._wait_limit = wait_limit
        self._redis_away = redis_away
        self._undecided: tuple[type[BaseException], ...] = (UnknownUpstream, *redis_away)
        self._redis_timeout = redis_timeout
        self._redis_retry_after = redis_retry_after
        self._answers = answers or (lambda: self._redis_state.answers)
        self._actor = actor
        self._lease = milliseconds(limits.lease)
        self._slow_call = limits.slow_call
        self._queue = asyncio.Lock()
        self._ask_redis_at: float | None = None
        """When a lost Redis is asked again; None while it is not lost."""
        self._last_refused: tuple[float, int] | None = None
        self._unsent: OverrideOrder | None = None
        """An override that was set here while Redis was away."""

    async def enter(self, *, is_retry: bool = False) -> Permit:
        """Admits a call, or waits for a permit, first come, first served, for up to the caller's `wait_limit`.

        Every permit has to be given to `record` when the call has ended, however it did.

        Args:
            is_retry: whether the call repeats one that failed, and so is paid for from the retry budget.

        Returns:
            the permit.

        Raises:
            Rejected: the call must not be made.
        """
        permit = f"{_random.getrandbits(64):016x}"
        if not self._queue.locked():
            state, decision = await self._decide(permit, is_retry=is_retry)
            if not isinstance(decision, Wait):
                return self._settle(permit, state, decision)
        return await self._wait(permit, is_retry=is_retry)

    async def record(self, permit: Permit, outcome: Outcome, took: timedelta = timedelta(0), reason: str = "") -> None:
        """Records how a call ended, with the state that admitted it, and releases its permit.

        When Redis is away the result is lost, and the permit is free when its lease ends.

        Args:
            permit: the permit of the call.
            outcome: the call's outcome. `OK` counts as `SLOW` from `Limits.slow_call` on.
            took: the duration of the call.
            reason: a short constant for operators, shown as the last failure's; no personal data.
        """
        if outcome is Outcome.FORCE_OPEN:
            await self._force_open(permit, reason)
            return
        if outcome is Outcome.OK and took >= self._slow_call:
            outcome = Outcome.SLOW
        state = permit.state
        if isinstance(state, LocalState):
            self._announce(state.record(permit.id, permit.generation, permit.entered, outcome))
            return
        try:
            async with self._in_time():
                changed = await state.record(permit.id, permit.generation, permit.entered, outcome, reason=reason)
        except self._redis_away as error:
            self._redis_lost(error)
        else:
            self._announce(changed)

    @property
    def was_forced_open(self) -> bool:
        """Returns whether `Override.FORCED_OPEN` was in force when a call of this process last entered or ended.

        It costs no command. It says nothing of what other processes did since then: `is_forced_open` asks.
        """
        return self._is_forced_open_here() or self._redis_state.override_seen is Override.FORCED_OPEN

    async def is_forced_open(self) -> bool:
        """Returns whether `Override.FORCED_OPEN` is in force, as far as this process can know.

        A program that stores results asks this before and after: a result that arrived while another process found that
        the upstream must not be trusted is not to be kept. False when Redis is away, unless this process set it.
        """
        if self._is_forced_open_here():
            return True
        if self._ask_redis_at is not None:
            return False
        try:
            async with self._in_time():
                return await self._redis_state.override() is Override.FORCED_OPEN
        except self._redis_away as error:
            self._redis_lost(error)
            return False

    async def set_override(self, order: OverrideOrder | None) -> None:
        """Sets an override for all processes, or lifts it; the store is written first, which outlives Redis.

        Args:
            order: the override, or None to lift the one in force.

        Raises:
            RedisError: or another one of `redis_away`: Redis or the store is away. The override may be stored then, and
                not yet be in force.
        """
        await self._overrides.put(self.upstream, order)
        await self._redis_state.create(None)
        await self._redis_state.set_override(order)

    async def status(self) -> dict[str, str]:
        """Returns what Redis knows of the upstream, by field: `RedisState.status` lists them.

        Raises:
            RedisError: or another one of `redis_away`: Redis is away.
        """
        return await self._redis_state.status()

    async def _wait(self, permit: str, *, is_retry: bool) -> Permit:
        try:
            async with asyncio.timeout(self._wait_limit()), self._queue:
                while True:
                    state, decision = await self._decide(permit, is_retry=is_retry)
                    if not isinstance(decision, Wait):
                        return self._settle(permit, state, decision)
                    await asyncio.sleep(max(POLL_INTERVAL, min(decision.milliseconds / 1000, WAITER_TTL / 2000)))
        except TimeoutError:
            await self._leave(permit)
            raise self._rejected(RejectionKind.WAIT_LIMIT) from None

    async def _decide(self, permit: str, *, is_retry: bool) -> tuple[RedisState | LocalState, Decision]:
        if self._ask_redis_at is None or time.monotonic() >= self._ask_redis_at:
            try:
                decision = await self._decide_together(permit, is_retry=is_retry)
            except self._undecided as error:
                self._redis_lost(error)
            else:
                self._redis_restored()
                self._local_state.override = Override.FORCED_OPEN if _is_forced_open(decision) else None
                return self._redis_state, decision
        return self._local_state, self._decide_alone(permit, is_retry=is_retry)

    async def _decide_together(self, permit: str, *, is_retry: bool) -> Decision:
        try:
            async with self._in_time():
                if self._unsent:
                    await self._redis_state.set_override(self._unsent)
                    self._unsent = None
                return await self._decide_in_redis(permit, is_retry=is_retry)
        except UnknownUpstream:
            # Redis is new or was emptied: the override that the store holds is in force before any call is admitted.
            await self._redis_state.create(self._unsent or await self._overrides.get(self.upstream))
            return await self._decide_in_redis(permit, is_retry=is_retry)

    async def _decide_in_redis(self, permit: str, *, is_retry: bool) -> Decision:
        return await self._redis_state.enter(permit, self._lease, is_retry=is_retry, waiter_ttl=WAITER_TTL)

    def _decide_alone(self, permit: str, *, is_retry: bool) -> Decision:
        return self._local_state.enter(permit, self._lease, is_retry=is_retry, waiter_ttl=WAITER_TTL)

    def _settle(self, permit: str, state: RedisState | LocalState, decision: Decision) -> Permit:
        match decision:
            case Admitted():
                # Forget the last refusal, or a later loss of Redis would reopen a breaker that has closed.
                self._last_refused = None
                self._announce(decision.changed)
                return Permit(permit, decision.generation, decision.at, state)
            case Refused(by=Override()):
                raise self._rejected(RejectionKind.FORCED_OPEN)
            case Refused():
                wait = decision.wait or 0
                if decision.by is State.OPEN:
                    self._last_refused = (time.monotonic(), wait)
                raise self._rejected(RejectionKind(decision.by.value), timedelta(milliseconds=wait))
        raise self._rejected(RejectionKind.RETRY_BUDGET)

    def _rejected(self, kind: RejectionKind, retry_after: timedelta | None = None) -> Rejected:
        rejection = Rejected(kind, retry_after)
        self._listener.on_refused(self.upstream, rejection)
        return rejection

    async def _force_open(self, permit: Permit, reason: str) -> None:
        """Keeps every process away at once, and durably, until an operator lifts it."""
        self._local_state.set_override(Override.FORCED_OPEN)
        order = self._unsent = OverrideOrder(Override.FORCED_OPEN, self._actor, round(time.time() * 1000), reason)
        try:
            await self._redis_state.record(
                permit.id,
                permit.generation,
                permit.entered,
                Outcome.FORCE_OPEN,
                reason=reason,
                actor=self._actor,
            )
            self._unsent = None
        except self._redis_away as error:
            self._redis_lost(error)
        try:
            await self._overrides.put(self.upstream, order)
        except self._redis_away as error:
            self._listener.on_override_not_stored(self.upstream, error)
        self._announce(Override.FORCED_OPEN)

    def _is_forced_open_here(self) -> bool:
        return self._local_state.override is Override.FORCED_OPEN

    async def _leave(self, permit: str) -> None:
        self._local_state.leave(permit)
        if self._ask_redis_at is None:
            try:
                async with self._in_time():
                    await self._redis_state.leave(permit)
            except self._redis_away as error:
                self._redis_lost(error)

    def _in_time(self) -> RedisTimeout:
        return RedisTimeout(self._redis_timeout, self._answers)

    def _redis_lost(self, error: BaseException) -> None:
        if self._ask_redis_at is None:
            self._listener.on_redis_lost(self.upstream, error)
            if self._last_refused:
                seen, wait = self._last_refused
                still = wait - (time.monotonic() - seen) * 1000
                if still > 0:
                    self._local_state.adopt_open(round(still))
        self._ask_redis_at = time.monotonic() + self._redis_retry_after

    def _redis_restored(self) -> None:
        if self._ask_redis_at is not None:
            self._ask_redis_at = None
            self._local_state = LocalState(self._redis_state.rules, _now)
            self._listener.on_redis_restored(self.upstream)

    def _announce(self, changed: State | Override | None) -> None:
        if changed is not None:
            self._listener.on_state_change(self.upstream, changed)


def _is_forced_open(decision: Decision) -> bool:
    return isinstance(decision, Refused) and isinstance(decision.by, Override)


def _now() -> int:
    return round(time.monotonic() * 1000)
