"""What a process owns: one event loop in a thread of its own, Redis pools, and a client for each upstream it calls."""

import asyncio
import concurrent.futures
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from config.settings import Settings, upstream_of
from workers import pool
from workers.audit import Heads, Journal
from workers.audit.journal import WRITE_WITHIN
from workers.cache.citizens import Citizens
from workers.cache.entries import Entries
from workers.cache.keyring import Keyring
from workers.cache.leases import Leases
from workers.cache.ledger import Ledger
from workers.cache.timetable import Timetable
from workers.connections import connect
from workers.queues import Queues
from workers.resilience.admission import Guard, Overrides, Rules, SharedMachine
from workers.resilience.certificates import Certificates
from workers.resilience.client import HttpClient
from workers.resilience.quarantine import Quarantine, Watch
from workers.resilience.trail import NoTrail
from workers.resilience.upstream import Upstream

T = TypeVar("T")


class Services:
    """The collaborators of one event loop. Everything is opened at its first use and closed with the loop.

    `sleep` waits between the attempts of a call; `clock` is the ledger's time in ms since 1970, its own when None.
    """

    def __init__(
        self,
        settings: Settings,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._sleep = sleep
        self.cache = connect(settings.cache_url.get_secret_value())
        self.coordination = connect(settings.coordination)
        self.ledger = Ledger(settings.ledger_url.get_secret_value())
        self.keyring = Keyring(settings)
        self.sealer = sealer = self.keyring.sealer
        self.citizens = Citizens(self.cache, sealer, self.keyring.peppers, settings.citizens_kept_for)
        self.entries = Entries(self.cache, sealer)
        self.leases = Leases(self.coordination)
        self.timetable = Timetable(self.coordination)
        self.audit_heads = Heads(self.ledger)
        self.journal = Journal(settings, self.audit_heads)
        self.overrides = Overrides(self.ledger.redis)
        self.quarantine = Quarantine(self.ledger.redis)
        self.queues = Queues(settings)
        self._upstreams: dict[str, Upstream] = {}
        self._certificates: dict[str, Certificates] = {}
        self._guards: dict[str, Guard] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}

    def upstream(self, name: str) -> Upstream:
        """The one object through which this process makes the calls of an admission, one of ADMISSIONS.

        Raises SettingsError without a base URL, or when a certificate cannot be used.
        """
        if name not in self._upstreams:
            upstream = upstream_of(name)
            settings = self.settings.upstream(upstream)
            http = HttpClient(self.settings.base_url(upstream), settings, self.certificates(upstream))
            trail = self.journal if settings.looks_up_citizens else NoTrail()
            self._upstreams[name] = Upstream(name, settings, http, self.admission(name), trail, sleep=self._sleep)
        return self._upstreams[name]

    def certificates(self, name: str) -> Certificates:
        """What that upstream is called with, read once. Raises SettingsError when one of the files cannot be used."""
        if name not in self._certificates:
            self._certificates[name] = Certificates.of(self.settings, name)
        return self._certificates[name]

    def admission(self, name: str) -> Guard:
        """The one object that says whether this process may call now, by the name of the admission."""
        if name not in self._guards:
            settings, admission = self.settings.upstream(upstream_of(name)), self.settings.admission(name)
            shared = SharedMachine(self.coordination, Rules.of(name, admission))
            self._guards[name] = Guard(
                shared,
                self.overrides,
                lease=settings.attempt_timeout + (WRITE_WITHIN if settings.looks_up_citizens else timedelta(0)),
                slow_call=admission.slow_call,
                watch=Watch(self.quarantine, name) if settings.looks_up_citizens else None,
            )
        return self._guards[name]

    def turns(self, register: str) -> asyncio.Semaphore:
        """For the schedule's refreshes of a register in this process.

        No more of them at a time than for citizens, nor than all processes may have together: the others would do
        nothing but ask whether there is room.
        """
        if register not in self._turns:
            at_once = self.settings.register(register).scheduled_at_once
            self._turns[register] = asyncio.Semaphore(min(self.settings.worker_concurrency, at_once))
        return self._turns[register]

    async def close(self) -> None:
        """Closes every connection."""
        for upstream in self._upstreams.values():
            await upstream.close()
        await self.journal.close()
        await self.cache.aclose()
        await self.coordination.aclose()
        await self.ledger.close()
        await asyncio.to_thread(self.queues.close)


class Runtime:
    """An event loop in a thread, to which the tasks of a worker hand their coroutines."""

    def __init__(self, settings: Settings) -> None:
        self._asked: deque[tuple[Coroutine[Any, Any, Any], concurrent.futures.Future[Any], Context]] = deque()
        self._is_called = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self.services = self.run(_services(settings))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs `coroutine` on the loop, and waits for nothing."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Runs `coroutine` on the loop and waits for its result; raises what it raises."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._asked.append((coroutine, future, copy_context()))
        # The loop is called once for all that it is handed before it comes to them: a call costs more than the rest.
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._begin_all)
        return pool.wait(future)

    def close(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Cancels what still runs, so that it hands its work back, closes the connections and ends the thread."""
        self.run(_cancel_others(grace))
        self.run(self.services.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _begin_all(self) -> None:
        self._is_called = False
        while self._asked:
            coroutine, future, context = self._asked.popleft()
            self._loop.create_task(coroutine, context=context).add_done_callback(partial(_tell, future))


def _tell(future: concurrent.futures.Future[Any], ended: asyncio.Task[Any]) -> None:
    if ended.cancelled():
        future.cancel()
    elif (error := ended.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(ended.result())


async def _services(settings: Settings) -> Services:
    return Services(settings)


async def _cancel_others(grace: timedelta) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=grace.total_seconds())


_current: Runtime | None = None


def open(settings: Settings) -> Runtime:  # noqa: A001 - reads as `runtime.open`
    """Opens this process's runtime, unless it is open."""
    global _current  # noqa: PLW0603 - a process has one, as it has one Celery app
    if _current is None:
        _current = Runtime(settings)
    return _current


def current() -> Runtime:
    """The process's runtime. Raises RuntimeError before it was opened."""
    if _current is None:
        raise RuntimeError("the runtime is opened with the worker, and is not open")
    return _current


def close() -> None:
    """Closes this process's runtime, if it is open."""
    global _current  # noqa: PLW0603
    if _current is not None:
        _current.close()
        _current = None
