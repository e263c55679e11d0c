"""Refresh, doing half: carries out a register's refresh under its lease, and stores the result or the failure."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

import structlog
from kombu.exceptions import OperationalError

from config.celery import REGISTERS, bulk
from config.settings import RegisterSettings
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import Normalised, UnknownValue, sections_of
from domain.service_windows import danish_today
from registerbro import audit_log
from registerbro.messaging.publish import publish
from registerbro.refresh.reporting import report_left_out, report_unknown_values
from registerbro.refresh.unknown_values import NothingKnown
from registerbro.services import Services
from registerbro.storage.cache.entries import Entry
from registerbro.storage.coordination.leases import Lease, NotTaken, Purpose, RegisterCutOff
from registerbro.storage.coordination.timetable import after_failure, ahead_of_expiry
from registerbro.storage.redis_client import REDIS_DOWN
from registerbro.telemetry import metrics
from registerbro.upstreams import deadline, quarantine
from registerbro.upstreams.errors import CircuitOpen, NotCalled, UpstreamError

log = structlog.get_logger()

INTERNAL_ERROR = "internal"
CITIZEN_UNKNOWN = "citizen_unknown"
GIVEN_UP = "given_up"
"""Reasons of failures that no upstream is to blame for."""
REDIS_GONE = "redis_down"
OUTSIDE_TARGET_GROUP = "outside_target_group"
"""The citizen is no longer in the target group by the rules of the day (R1): the schedule does not fetch for them."""
STORED = "stored"
TAKEN_BACK = "taken_back"
"""The entry was stored at the moment when the register was cut off, and is discarded: it cannot be trusted."""

AT_ONCE = 10
"""How many of a message's citizens are refreshed at a time: a message lasts as long as five of them."""
FULL_AGAIN_AFTER = timedelta(milliseconds=100)
"""How long a refresh of the schedule waits for room before it asks again."""


class Schedule(Enum):
    """How a refresh of the schedule treats a fresh entry."""

    DUE = "due"
    """Refreshes an entry that is about to expire."""
    EARLY = "early"
    """Refreshes any entry, however fresh: a call has to try whether the register is back."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Result of a refresh.

    `outcome` is "stored", "superseded" by newer data, "fresh" already, or the reason of the failure. `due_in` is when
    the schedule refreshes again, None for never. `spared`: the register was not called, and must not be called now.
    """

    outcome: str
    due_in: timedelta | None
    spared: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """Result of a fetch; `fresh_for` shortens the register's freshness when a part of the data is missing for now."""

    normalised: Normalised
    fresh_for: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Register:
    """One register. `fetch` asks it about a citizen and normalises the answer; it raises UpstreamError."""

    name: str
    fetch: Callable[[Services, Cpr], Awaitable[Fetched]]

    def __post_init__(self) -> None:
        if self.name not in REGISTERS:
            raise ValueError(f"config.celery.REGISTERS does not name {self.name!r}, so it has no queue")

    async def refresh(self, services: Services, citizen_id: str) -> None:
        """Brings a citizen's entry up to date, if that is wanted and no other run is at it.

        However the fetch ends, the entry says so; only when not even that can be written does the lease stay, and
        the refresh is asked for again when it ends.
        """
        settings = services.settings.register(self.name)
        try:
            lease = await services.leases.begin_refresh(citizen_id, self.name, settings.pending_for)
            if lease is None:
                log.debug("refresh_not_wanted", register=self.name, citizen=citizen_id)
                return
            ended = await self._carry_out(services, lease)
        except REDIS_DOWN as error:
            ended = None
            log.error("refresh_store_failed", register=self.name, citizen=citizen_id, detail=type(error).__name__)
        metrics.REFRESHES.labels(self.name, "interactive", ended.outcome if ended else REDIS_GONE).inc()

    async def refresh_many(self, services: Services, citizen_ids: Iterable[str], *, early: bool = False) -> None:
        """Brings the entries up to date of citizens who are due in the timetable; `early`: however fresh they are.

        A citizen whose own request is under way is left to that. When the register is spared, a server of ours is away,
        or this is cancelled, the rest is put back; whatever is not put back is due again by itself.
        """
        rest = deque(citizen_ids)
        spared: list[Ended] = []

        async def work() -> None:
            while rest and not spared:
                citizen_id = rest.popleft()
                async with services.turns(self.name):
                    ended = await self._refresh_scheduled(services, citizen_id, early=early)
                if ended is not None and ended.spared:
                    spared.append(ended)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(rest))):
                    group.create_task(work())
        finally:
            if rest:
                due_in = spared[0].due_in if spared else None
                await asyncio.shield(_put_back(services, self.name, rest, due_in or timedelta(0)))

    async def _refresh_scheduled(self, services: Services, citizen_id: str, *, early: bool) -> "Ended | None":
        """Refreshes one of them; None when there was nothing to do."""
        settings = services.settings.register(self.name)
        purpose = Purpose.TRY_REGISTER if early else Purpose.KEEP_PAGE_FRESH
        try:
            while True:
                lease = await services.leases.take(
                    citizen_id, self.name, settings.pending_for, settings.scheduled_at_once, purpose
                )
                if lease is not NotTaken.FULL:
                    break
                await asyncio.sleep(FULL_AGAIN_AFTER.total_seconds())
            if isinstance(lease, NotTaken):
                return None
            ended = await self._carry_out(services, lease, Schedule.EARLY if early else Schedule.DUE)
        except REDIS_DOWN as error:
            log.error("refresh_store_failed", register=self.name, citizen=citizen_id, detail=type(error).__name__)
            ended = Ended(REDIS_GONE, after_failure(settings.retry_after, settings.fresh_for, settings.refresh_ahead))
        metrics.REFRESHES.labels(self.name, "schedule", ended.outcome).inc()
        return ended

    async def _carry_out(self, services: Services, lease: Lease, schedule: "Schedule | None" = None) -> "Ended":
        """Fetches under the lease, and settles it. Raises REDIS_DOWN errors, and leaves the lease to end by itself."""
        settings = services.settings.register(self.name)
        try:
            with audit_log.about(lease.citizen_id, lease.wish):
                ended = await self._fetch_and_store(services, settings, lease.citizen_id, schedule)
        except asyncio.CancelledError:
            await asyncio.shield(_hand_back(services, lease))
            raise
        due_in = ended.due_in if settings.scheduled else None
        try:
            await services.leases.settle(lease, due_in, stored=ended.outcome == STORED)
        except RegisterCutOff:
            ended = replace(ended, outcome=await self._discard(services, lease.citizen_id))
            await services.leases.settle(lease, due_in)
        log.info("refresh_ended", register=self.name, citizen=lease.citizen_id, outcome=ended.outcome)
        return ended

    async def sweep(self, services: Services) -> None:
        """Sends the task again for refreshes whose task never ended, and gives up those that never do.

        A task that was killed while fetching may have used up the register's time; the task after it gets the same.
        """
        try:
            await self._sweep(services, services.settings.register(self.name))
        except (OperationalError, *REDIS_DOWN) as error:
            log.error("sweep_not_possible", register=self.name, detail=type(error).__name__)

    async def _sweep(self, services: Services, settings: RegisterSettings) -> None:
        overdue = await services.leases.overdue(self.name, settings.pending_for)
        for citizen_id in overdue.given_up:
            await services.entries.fail(
                citizen_id, self.name, GIVEN_UP, age=timedelta(0), retry_after=settings.retry_after
            )
            log.error("refresh_given_up", register=self.name, citizen=citizen_id)
        for citizen_id in overdue.again:
            log.warning("refresh_sent_again", register=self.name, citizen=citizen_id)
            await asyncio.to_thread(send, self.name, citizen_id, self.name)

    async def _fetch_and_store(
        self, services: Services, settings: RegisterSettings, citizen_id: str, schedule: "Schedule | None"
    ) -> "Ended":
        began = time.monotonic()
        snapshot = await services.snapshots.read(citizen_id, self.name)
        if (nothing_to_do := _without_fetching(settings, snapshot.entry, schedule)) is not None:
            return nothing_to_do
        known = snapshot.citizen()
        if known is None:
            if schedule is None:
                # The schedule finds this after a restart of the cache; a citizen who opens their page is known again.
                await self._fail(services, citizen_id, CITIZEN_UNKNOWN, began, settings.retry_after)
            return Ended(CITIZEN_UNKNOWN, due_in=None)
        cpr = known.cpr
        if schedule is not None and _is_outside(services, settings, known.citizen):
            # Asked again when an entry would have expired: the rules may change back, and until then no call is made.
            due_in = ahead_of_expiry(settings.fresh_for, settings.fresh_for, settings.refresh_ahead)
            return Ended(OUTSIDE_TARGET_GROUP, due_in)
        unknown: Sequence[UnknownValue] = ()
        try:
            with deadline.within(settings.total_timeout), quarantine.about(_ids(services, cpr, citizen_id)):
                fetched = await self._fetch(services, cpr)
            await services.admission(self.name).check()
        except UpstreamError as error:
            reason, retry_after = error.reason, error.retry_after or settings.retry_after
            log.warning("fetch_failed", register=self.name, citizen=citizen_id, reason=reason, detail=str(error))
            if schedule is not None and isinstance(error, NotCalled):
                # No citizen asked for it, so the entry shows no failure.
                return Ended(reason, _due_after_failure(settings, retry_after), spared=error.of_all)
            if isinstance(error, NothingKnown):
                unknown = error.unknown
        except Exception:
            # A defect of ours must show as a failure, and never as "no data" (R8).
            log.exception("refresh_defect", register=self.name, citizen=citizen_id)
            reason, retry_after = INTERNAL_ERROR, settings.retry_after
        else:
            fresh_for = min(fetched.fresh_for or settings.fresh_for, settings.fresh_for)
            stored = await services.entries.store(
                citizen_id,
                self.name,
                fetched.normalised.sections,
                age=_since(began),
                fresh_for=fresh_for,
                usable_for=settings.usable_for,
            )
            await report_unknown_values(services, self.name, fetched.normalised.unknown)
            await report_left_out(services, self.name, citizen_id, fetched.normalised.left_out)
            outcome = await self._discard_if_cut_off(services, citizen_id) if stored else "superseded"
            return Ended(outcome, ahead_of_expiry(fresh_for, fresh_for, settings.refresh_ahead))
        await self._fail(services, citizen_id, reason, began, retry_after)
        await report_unknown_values(services, self.name, unknown)
        return Ended(reason, _due_after_failure(settings, retry_after))

    async def _fail(
        self, services: Services, citizen_id: str, reason: str, began: float, retry_after: timedelta
    ) -> None:
        await services.entries.fail(citizen_id, self.name, reason, age=_since(began), retry_after=retry_after)

    async def _discard_if_cut_off(self, services: Services, citizen_id: str) -> str:
        """Discards an entry that was stored when this process knew already that the register is cut off."""
        try:
            await services.admission(self.name).check()
        except CircuitOpen:
            return await self._discard(services, citizen_id)
        return STORED

    async def _discard(self, services: Services, citizen_id: str) -> str:
        await services.entries.discard(citizen_id, self.name)
        log.critical("entry_discarded", register=self.name, citizen=citizen_id)
        return TAKEN_BACK

    async def _fetch(self, services: Services, cpr: Cpr) -> Fetched:
        fetched = await self.fetch(services, cpr)
        if fetched.normalised.sections.keys() != {section.id for section in sections_of(self.name)}:
            raise ValueError(f"{self.name} did not fill exactly its own sections")
        return fetched


def _ids(services: Services, cpr: Cpr, citizen_id: str) -> tuple[str, ...]:
    """All ids of a citizen, the newest first; `citizen_id` may be of a pepper that is gone meanwhile."""
    return tuple(dict.fromkeys((*services.citizens.ids_of(cpr), citizen_id)))


def _without_fetching(settings: RegisterSettings, entry: Entry, schedule: "Schedule | None") -> "Ended | None":
    """The result that the entry alone gives: another run may have stored it, or failed, since the request."""
    if schedule is not None and entry.failure:
        return Ended("failed_already", _due_after_failure(settings, entry.retry_after or settings.retry_after))
    if not entry.fresh or entry.fresh_until is None or entry.fetched_at is None:
        return None
    left, fresh_for = entry.fresh_until - entry.read_at, entry.fresh_until - entry.fetched_at
    if schedule is None or (schedule is Schedule.DUE and left > fresh_for * settings.refresh_ahead):
        return Ended("fresh", ahead_of_expiry(left, fresh_for, settings.refresh_ahead))
    return None


def _is_outside(services: Services, settings: RegisterSettings, citizen: Citizen | None) -> bool:
    """Whether the schedule must not fetch for this citizen: the rules may have changed since the last visit (R1).

    A citizen whose standing is not known was in the target group at that visit, and stays in the schedule.
    """
    if settings.for_everyone or citizen is None:
        return False
    return not citizen.is_in_target_group(services.rules.now(), danish_today())


def _due_after_failure(settings: RegisterSettings, retry_after: timedelta) -> timedelta:
    return after_failure(retry_after, settings.fresh_for, settings.refresh_ahead)


async def _put_back(services: Services, register: str, citizen_ids: Iterable[str], wait: timedelta) -> None:
    """Makes citizens due again; without Redis, they are due again by themselves when their chunk counts as lost."""
    try:
        await services.timetable.put_back(register, citizen_ids, wait)
    except REDIS_DOWN as error:
        log.warning("schedule_not_put_back", register=register, detail=type(error).__name__)


async def _hand_back(services: Services, lease: Lease) -> None:
    """At the end of the process; without Redis the lease ends by itself."""
    try:
        await services.leases.hand_back(lease)
    except REDIS_DOWN as error:
        log.warning("lease_not_released", register=lease.register, detail=type(error).__name__)


def _since(began: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - began)


def send(register: str, citizen_id: str, queue: str) -> None:
    """Publishes the task that refreshes `register`; its only argument is the citizen's opaque id.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{register}.refresh", [citizen_id], queue)


def send_many(register: str, citizen_ids: Iterable[str], *, early: bool = False) -> None:
    """Publishes the task that refreshes many citizens for the schedule, on the register's bulk queue.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{register}.refresh_many", [[*citizen_ids], early], bulk(register))
