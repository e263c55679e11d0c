"""Admission of our upstreams: `redis_admission` with our settings, errors, deadlines, quarantine, logs and metrics.

The library decides; this translates. docs/breaker.md explains the whole.
"""

import time
from datetime import timedelta
from typing import Protocol

import structlog

from config.settings import AdmissionSettings
from redis_admission import (
    AdmissionController,
    Limits,
    Outcome,
    Override,
    OverrideOrder,
    OverrideStore,
    Permit,
    Rejected,
    RejectionKind,
    SilentListener,
    State,
)
from registerbro.storage.batching import Batched
from registerbro.storage.redis_client import REDIS_DOWN, Client
from registerbro.telemetry import metrics
from registerbro.upstreams import deadline, quarantine
from registerbro.upstreams.errors import (
    CallFailed,
    CircuitOpen,
    DeadlinePassed,
    NotCalled,
    RateLimited,
    RetryBudgetSpent,
    WrongPerson,
)

log = structlog.get_logger()

REDIS_TIMEOUT = 0.05
"""Seconds without a sign of life from Redis after which the process decides alone."""
LEASE_BEYOND_ATTEMPT = timedelta(seconds=2)
"""The part of a permit's lease beyond the attempt that it is for: time to record the attempt's end."""
ACTOR = "registerbro"
"""The author of the override that another person's answer sets."""


class Admission(Protocol):
    """Entered before each call, and told of its result after it."""

    async def enter(self, *, is_retry: bool) -> Permit:
        """Admits a call now. Raises NotCalled when the upstream is to be spared."""
        ...

    async def record(self, permit: Permit, error: BaseException | None, took: timedelta) -> None:
        """Records how the call ended: None for an answer; anything but a CallFailed says nothing of the upstream."""
        ...

    async def check(self) -> None:
        """Raises CircuitOpen when the end of a call showed that nothing of the upstream may be kept."""
        ...


class UpstreamAdmission:
    """Admission to one upstream, shared by all processes; the `Admission` of production.

    `watch` knows the citizens in quarantine there; without it, there are none.
    """

    def __init__(self, controller: AdmissionController, watch: quarantine.Watch | None = None) -> None:
        self.controller = controller
        self._watch = watch

    @classmethod
    def of(
        cls,
        upstream: str,
        settings: AdmissionSettings,
        redis: Client,
        overrides: OverrideStore,
        *,
        attempt: timedelta,
        watch: quarantine.Watch | None = None,
    ) -> "UpstreamAdmission":
        """The admission by these settings; `attempt` is the longest time that a call may take."""
        controller = AdmissionController(
            redis,
            upstream,
            limits_of(settings, attempt),
            overrides=overrides,
            listener=Telemetry(),
            wait_limit=deadline.remaining,
            redis_away=REDIS_DOWN,
            redis_timeout=REDIS_TIMEOUT,
            answers=lambda: redis.answers,
            actor=ACTOR,
            batching=Batched,
        )
        return cls(controller, watch)

    async def enter(self, *, is_retry: bool) -> Permit:
        """Admits a call now; waits for a permit, in order, for as long as the deadline at hand allows.

        Raises CircuitOpen, RetryBudgetSpent and DeadlinePassed; Quarantined and QuarantineUnknown for a call that is
        about a citizen.
        """
        try:
            permit = await self.controller.enter(is_retry=is_retry)
        except Rejected as rejected:
            raise error_of(rejected) from None
        citizen_ids = quarantine.concerned()
        if self._watch is not None and citizen_ids:
            # After admission, which tells that the upstream is not cut off, and in which generation of the breaker.
            try:
                await self._watch.check(citizen_ids, permit.shared_generation)
            except BaseException:
                await self.controller.record(permit, Outcome.IGNORED)
                raise
        return permit

    async def record(self, permit: Permit, error: BaseException | None, took: timedelta) -> None:
        """Records how the call ended.

        Another person's answer cuts the upstream off for everybody, and puts the citizen in quarantine (R7).
        """
        reason = error.reason if isinstance(error, CallFailed) else ""
        citizen_ids = quarantine.concerned()
        try:
            await self.controller.record(permit, outcome_of(error), took, reason)
        finally:
            # Also when the fetch is cancelled meanwhile, since the ledger may be slow to take the override.
            if self._watch is not None and citizen_ids and isinstance(error, WrongPerson):
                await self._watch.put(citizen_ids[0], round(time.time() * 1000))

    async def check(self) -> None:
        """Raises CircuitOpen while an override keeps everybody away: nothing that came in that moment may be kept.

        It costs no command while none did when a call of this process last ended. What other processes found after that
        is seen when the lease is settled (`Leases.settle`).
        """
        if self.controller.was_forced_open and await self.controller.is_forced_open():
            raise error_of(Rejected(RejectionKind.FORCED_OPEN))

    async def set_override(self, order: OverrideOrder | None) -> None:
        """Sets or lifts an operator's override, on the ledger first, which outlives the rest. Raises REDIS_DOWN."""
        await self.controller.set_override(order)

    async def status(self) -> dict[str, str]:
        """What Redis knows of the upstream, by field: `RedisState.status` lists them. Raises REDIS_DOWN."""
        return await self.controller.status()


class Uncounted:
    """Admission of a call that an operator makes by hand: it is admitted as any call, and its end counts for nothing.

    It holds a place while it lasts. Whatever its answer is, the breaker does not open, no limit falls, and another
    person's answer cuts nothing off: its caller, who is there, is told.
    """

    def __init__(self, admission: UpstreamAdmission) -> None:
        self._admission = admission

    async def enter(self, *, is_retry: bool) -> Permit:
        """Admits a call now, as `UpstreamAdmission.enter`."""
        return await self._admission.enter(is_retry=is_retry)

    async def record(self, permit: Permit, error: BaseException | None, took: timedelta) -> None:  # noqa: ARG002
        """Gives the place back."""
        await self._admission.controller.record(permit, Outcome.IGNORED)

    async def check(self) -> None:
        """As `UpstreamAdmission.check`."""
        await self._admission.check()


class Telemetry(SilentListener):
    """Logs and counts what happens to a breaker, and to its Redis."""

    def on_state_change(self, upstream: str, to: State | Override) -> None:
        """Counts and logs a change of state."""
        metrics.BREAKER_CHANGES.labels(upstream, to).inc()
        tell = log.critical if to is Override.FORCED_OPEN else log.warning
        tell("breaker_changed", upstream=upstream, state=to)

    def on_redis_lost(self, upstream: str, error: BaseException) -> None:
        """Logs that this process decides alone from now on."""
        log.warning("admission_without_redis", upstream=upstream, detail=type(error).__name__)

    def on_redis_restored(self, upstream: str) -> None:
        """Logs that all processes decide together again."""
        log.warning("admission_redis_restored", upstream=upstream)

    def on_override_not_stored(self, upstream: str, error: BaseException) -> None:
        """Logs that an emptied Redis would forget the override."""
        log.critical("override_not_on_ledger", upstream=upstream, detail=type(error).__name__)


def limits_of(settings: AdmissionSettings, attempt: timedelta) -> Limits:
    """The library's limits by these settings, for calls that take `attempt` at the longest."""
    return Limits(**dict(settings), lease=attempt + LEASE_BEYOND_ATTEMPT)


def outcome_of(error: BaseException | None) -> Outcome:
    """What the end of a call means for the breaker; None is an answer."""
    if error is None:
        return Outcome.OK
    if isinstance(error, WrongPerson):
        return Outcome.FORCE_OPEN
    if isinstance(error, RateLimited):
        return Outcome.THROTTLED
    return Outcome.FAILURE if isinstance(error, CallFailed) and error.counts else Outcome.IGNORED


def error_of(rejected: Rejected) -> NotCalled:
    """The error of our tree that a rejection means."""
    match rejected.kind:
        case RejectionKind.RETRY_BUDGET:
            return RetryBudgetSpent()
        case RejectionKind.WAIT_LIMIT:
            return DeadlinePassed("no place came free in time")
        case RejectionKind.FORCED_OPEN:
            return CircuitOpen("forced open until a person lifts it")
    return CircuitOpen(rejected.kind.value, retry_after=rejected.retry_after)
