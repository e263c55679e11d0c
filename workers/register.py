"""What every register is: a name and a fetch; and the one way in which a refresh of it is carried out."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any

import structlog
from celery import shared_task
from kombu.exceptions import OperationalError

from config.celery import REGISTERS, bulk
from config.settings import RegisterSettings
from workers import audit, heartbeat, metrics, partial_answers, runtime
from workers.cache.citizens import is_citizen_id
from workers.cache.entries import Entry
from workers.cache.leases import Lease, NotTaken, Purpose
from workers.cache.timetable import after_failure, ahead_of_expiry
from workers.connections import REDIS_DOWN
from workers.domain.cpr import Cpr
from workers.domain.overview import LeftOut, Normalised, UnknownValue, sections_of
from workers.queues import publish
from workers.resilience import deadline, quarantine
from workers.resilience.errors import CircuitOpen, NotCalled, UpstreamError
from workers.runtime import Services

log = structlog.get_logger()

INTERNAL_ERROR = "internal"
CITIZEN_UNKNOWN = "citizen_unknown"
GIVEN_UP = "given_up"
"""Reasons of failures that no upstream is to blame for."""
REDIS_GONE = "redis_down"

AT_ONCE = 10
"""How many of a message's citizens are refreshed at a time: a message lasts as long as five of them."""
UNKNOWN_VALUES_NAMED = 10
"""How many of an answer's unknown values are named in the log: as many as a register may add at a time, and more."""
PLACES_NAMED = 3
"""How many places of each kind of item that was left out are named in the log: enough to look one up."""
FULL_AGAIN_AFTER = timedelta(milliseconds=100)
"""How long a refresh of the schedule waits for room before it asks again."""


class Schedule(Enum):
    """That a refresh is the schedule's."""

    DUE = "due"
    """It is done when the entry is about to expire."""
    EARLY = "early"
    """It is done however fresh the entry is: somebody has to try whether the register is back."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a refresh ended.

    `outcome` is "stored", "superseded" by newer data, "fresh" already, or the reason of the failure; `due_in` is when
    the schedule does it again, never when None; `spared`: the register was not called, and is not to be now.
    """

    outcome: str
    due_in: timedelta | None
    spared: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch gave; `fresh_for` cuts the register's own freshness when something in it should be better soon."""

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
            lease = await services.leases.begin(citizen_id, self.name, settings.pending_for)
            if lease is None:
                log.debug("refresh_not_wanted", register=self.name, citizen=citizen_id)
                return
            ended = await self._carry_out(services, lease)
        except REDIS_DOWN as error:
            ended = None
            log.error("refresh_not_kept", register=self.name, citizen=citizen_id, detail=type(error).__name__)
        metrics.REFRESHES.labels(self.name, "interactive", ended.outcome if ended else REDIS_GONE).inc()

    async def refresh_many(self, services: Services, citizen_ids: Iterable[str], *, early: bool = False) -> None:
        """Brings the entries up to date of citizens who are due in the timetable; `early`: however fresh they are.

        Who asks for their page meanwhile is left to that. When the register is spared, or something of ours is away,
        the rest is put back; so it is when this is cancelled. Whatever is not put back is due again by itself.
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
        """One of them; None when there was nothing to do."""
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
            log.error("refresh_not_kept", register=self.name, citizen=citizen_id, detail=type(error).__name__)
            ended = Ended(REDIS_GONE, after_failure(settings.retry_after, settings.fresh_for, settings.refresh_ahead))
        metrics.REFRESHES.labels(self.name, "schedule", ended.outcome).inc()
        return ended

    async def _carry_out(self, services: Services, lease: Lease, schedule: "Schedule | None" = None) -> "Ended":
        """Fetches under the lease, and settles it. Raises REDIS_DOWN errors, and leaves the lease to end by itself."""
        settings = services.settings.register(self.name)
        try:
            with audit.about(lease.citizen_id, lease.wish):
                ended = await self._fetch_and_store(services, settings, lease.citizen_id, schedule)
        except asyncio.CancelledError:
            await asyncio.shield(_hand_back(services, lease))
            raise
        await services.leases.settle(lease, ended.due_in if settings.scheduled else None)
        log.info("refresh_ended", register=self.name, citizen=lease.citizen_id, outcome=ended.outcome)
        return ended

    async def sweep(self, services: Services) -> None:
        """Asks again for the refreshes that were wanted and never came, and gives up those that never do.

        Who was killed while fetching has had the register's time to fetch by then, so its heir gets the same.
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
        # One after the other: as two tasks, they took a twentieth of a refresh's processor time.
        entries = await services.entries.read(citizen_id, [self.name])
        if (nothing_to_do := _without_fetching(settings, entries[self.name], schedule)) is not None:
            return nothing_to_do
        cpr = await services.citizens.recall(citizen_id)
        if cpr is None:
            if schedule is None:
                # The schedule's runs find that after a restart of the cache; who opens the page then is known again.
                await self._fail(services, citizen_id, CITIZEN_UNKNOWN, began, settings.retry_after)
            return Ended(CITIZEN_UNKNOWN, due_in=None)
        try:
            with deadline.within(settings.total_timeout), quarantine.about(_ids(services, cpr, citizen_id)):
                fetched = await self._fetch(services, cpr)
            await services.admission(self.name).check()
        except UpstreamError as error:
            reason, retry_after = error.reason, error.retry_after or settings.retry_after
            log.warning("fetch_failed", register=self.name, citizen=citizen_id, reason=reason, detail=str(error))
            if schedule is not None and isinstance(error, NotCalled):
                # Nobody asked, and nobody is told.
                return Ended(reason, _after_failure(settings, retry_after), spared=error.of_all)
        except Exception:
            # Our own defect must be a failure that is told of, and never look like "no data".
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
            await self._tell_of_left_out(services, citizen_id, fetched.normalised.left_out)
            outcome = await self._kept(services, citizen_id) if stored else "superseded"
            return Ended(outcome, ahead_of_expiry(fresh_for, fresh_for, settings.refresh_ahead))
        await self._fail(services, citizen_id, reason, began, retry_after)
        return Ended(reason, _after_failure(settings, retry_after))

    async def _fail(
        self, services: Services, citizen_id: str, reason: str, began: float, retry_after: timedelta
    ) -> None:
        await services.entries.fail(citizen_id, self.name, reason, age=_since(began), retry_after=retry_after)

    async def _kept(self, services: Services, citizen_id: str) -> str:
        """What came in the very moment in which the register was cut off is not to be trusted, and is taken back."""
        try:
            await services.admission(self.name).check()
        except CircuitOpen:
            await services.entries.discard(citizen_id, self.name)
            log.critical("data_taken_back", register=self.name, citizen=citizen_id)
            return "taken_back"
        return "stored"

    async def _fetch(self, services: Services, cpr: Cpr) -> Fetched:
        fetched = await self.fetch(services, cpr)
        if fetched.normalised.sections.keys() != {section.id for section in sections_of(self.name)}:
            raise ValueError(f"{self.name} did not fill exactly its own sections")
        self._tell_of_unknown_values(fetched.normalised.unknown)
        return fetched

    def _tell_of_unknown_values(self, left_out: Sequence[UnknownValue]) -> None:
        """Counts all of them, and names each once: an answer may hold thousands, and is not to fill the log."""
        for unknown in left_out:
            metrics.UNKNOWN_VALUES.labels(self.name, unknown.field).inc()
        named = list(dict.fromkeys(left_out))
        for unknown in named[:UNKNOWN_VALUES_NAMED]:
            log.warning("unknown_value_left_out", register=self.name, field=unknown.field, value=unknown.value)
        if more := len(named[UNKNOWN_VALUES_NAMED:]):
            log.warning("unknown_values_left_out", register=self.name, more=more)

    async def _tell_of_left_out(self, services: Services, citizen_id: str, left_out: Sequence[LeftOut]) -> None:
        """Counts all of them, and has the register be partial; one line for an answer, which may hold thousands."""
        if not left_out:
            return
        places: defaultdict[str, list[str]] = defaultdict(list)
        for item in left_out:
            places[item.kind].append(item.place)
        kinds = {kind: len(found) for kind, found in places.items()}
        for kind, count in kinds.items():
            metrics.ITEMS_LEFT_OUT.labels(self.name, kind).inc(count)
        log.warning(
            "items_left_out",
            register=self.name,
            citizen=citizen_id,
            number=len(left_out),
            kinds=kinds,
            places={kind: found[:PLACES_NAMED] for kind, found in places.items()},
        )
        await partial_answers.note(services.coordination, self.name, kinds)


def _ids(services: Services, cpr: Cpr, citizen_id: str) -> tuple[str, ...]:
    """All ids of a citizen, the newest first; `citizen_id` may be of a pepper that is gone meanwhile."""
    return tuple(dict.fromkeys((*services.citizens.ids_of(cpr), citizen_id)))


def _without_fetching(settings: RegisterSettings, entry: Entry, schedule: "Schedule | None") -> "Ended | None":
    """What the entry alone comes to: another run may have stored it, or failed, after this was asked for."""
    if schedule is not None and entry.failure:
        return Ended("failed_already", _after_failure(settings, entry.retry_after or settings.retry_after))
    if not entry.fresh or entry.fresh_until is None or entry.fetched_at is None:
        return None
    left, fresh_for = entry.fresh_until - entry.read_at, entry.fresh_until - entry.fetched_at
    if schedule is None or (schedule is Schedule.DUE and left > fresh_for * settings.refresh_ahead):
        return Ended("fresh", ahead_of_expiry(left, fresh_for, settings.refresh_ahead))
    return None


def _after_failure(settings: RegisterSettings, retry_after: timedelta) -> timedelta:
    return after_failure(retry_after, settings.fresh_for, settings.refresh_ahead)


async def _put_back(services: Services, register: str, citizen_ids: Iterable[str], wait: timedelta) -> None:
    """Without Redis, what was taken is due again when it counts as lost."""
    try:
        await services.timetable.put_back(register, citizen_ids, wait)
    except REDIS_DOWN as error:
        log.warning("schedule_not_put_back", register=register, detail=type(error).__name__)


async def _hand_back(services: Services, lease: Lease) -> None:
    """At the end of the process; without Redis the lease ends by itself."""
    try:
        await services.leases.hand_back(lease)
    except REDIS_DOWN as error:
        log.warning("lease_not_handed_back", register=lease.register, detail=type(error).__name__)


def _since(began: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - began)


def send(register: str, citizen_id: str, queue: str) -> None:
    """Publishes the task that refreshes `register`; its only argument is the citizen's opaque id.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{register}.refresh", [citizen_id], queue)


def send_many(register: str, citizen_ids: Iterable[str], *, early: bool = False) -> None:
    """Publishes the task that refreshes many citizens for the schedule, on the queue for what nobody waits for.

    Raises kombu's OperationalError when the broker does not take it.
    """
    publish(f"{register}.refresh_many", [[*citizen_ids], early], bulk(register))


def make_tasks(register: Register) -> None:
    """Makes the register's Celery tasks: `<name>.refresh`, `.refresh_many`, `.sweep` and `.alive`."""
    heartbeat.make_task(register.name)

    @shared_task(name=f"{register.name}.refresh")
    def refresh(citizen_id: str) -> None:
        if not is_citizen_id(citizen_id):
            log.error("task_refused", register=register.name, detail="the argument is no citizen id")
            return
        process = runtime.current()
        process.run(register.refresh(process.services, citizen_id))

    @shared_task(name=f"{register.name}.refresh_many")
    def refresh_many(citizen_ids: Any, early: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 - as messages are
        if not isinstance(citizen_ids, list) or not all(map(is_citizen_id, citizen_ids)):
            log.error("task_refused", register=register.name, detail="the argument is no list of citizen ids")
            return
        process = runtime.current()
        process.run(register.refresh_many(process.services, citizen_ids, early=early))

    @shared_task(name=f"{register.name}.sweep")
    def sweep() -> None:
        process = runtime.current()
        process.run(register.sweep(process.services))
