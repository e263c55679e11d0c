"""A citizen's page as the API gives it: read at once, with what is due asked for, and told of as it changes."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta

import structlog

from config.settings import Settings
from config.windows import DENMARK
from portal.ending import Ending
from portal.reader import Page, Reader, Register, SectionState, SectionView
from workers import refresh
from workers.cache.entries import channel
from workers.connections import REDIS_DOWN, connect
from workers.domain.cpr import Cpr
from workers.domain.overview import REGISTERS
from workers.refresh import Citizen, Requested
from workers.runtime import Services

log = structlog.get_logger()

ASK_WITHIN = timedelta(milliseconds=150)
"""How long a page waits until what is due was asked for: it has to be there in 300 ms, and the asking may go on."""
REFRESH_WITHIN = timedelta(seconds=1)
"""As above, for who asks for nothing else."""
LOOK_EVERY = timedelta(seconds=1)
"""How often a page that is watched is read without an event: one may be lost, and what is `pending` may run out."""
SEEN_AGAIN_AFTER = timedelta(hours=1)
"""How long after it was noted that a citizen looks at their page that is noted again."""
SEEN_AT_MOST = 100_000
"""How many citizens a process remembers to have noted; then it starts anew, which costs a command each."""
LISTEN_AGAIN = timedelta(milliseconds=250)
PATTERN = channel("*")


class Closing(Exception):
    """The server ends before all is told."""


class Pages:
    """What the API does for the pages of citizens. One event loop opens, uses and closes it."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._reader = Reader(settings)
        self._listener = Listener(settings)
        self._asking: dict[tuple[str, ...], asyncio.Task[dict[str, Requested]]] = {}
        self._seen: dict[Cpr, float] = {}
        self._noting: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Closes the connections."""
        for task in (*self._asking.values(), *self._noting):
            task.cancel()
        await self._listener.close()
        await self._reader.close()

    async def page(self, citizen: Citizen) -> Page:
        """The page as the cache has it; what is due is asked for. Raises nothing."""
        page = await self._reader.page(citizen.cpr)
        if not page.due:
            self._note(citizen)
            return page
        await self._ask(citizen, page.due, ASK_WITHIN)
        return await self._reader.page(citizen.cpr)

    async def register(self, citizen: Citizen, name: str) -> Register:
        """What the cache has of a register that is for everyone; it is asked for when it is due. Raises nothing."""
        kept = await self._reader.register(citizen.cpr, name)
        if not kept.due:
            return kept
        await self._ask(citizen, (name,), ASK_WITHIN)
        return await self._reader.register(citizen.cpr, name)

    async def refresh(self, citizen: Citizen) -> dict[str, Requested]:
        """Asks for every register to be brought up to date. Raises nothing."""
        asked = await self._ask(citizen, REGISTERS, REFRESH_WITHIN)
        unknown = {
            name: Requested(refresh.State.UNAVAILABLE, self._settings.register(name).retry_after) for name in REGISTERS
        }
        return unknown | (asked or {})

    async def changes(self, citizen: Citizen, ending: Ending) -> AsyncIterator[SectionView]:
        """Each section that is not pending, and again when it changes; ends when nothing is under way any more.

        A cache that cannot be read is waited for; in the end, what could not be read is `unavailable`. Raises Closing
        once the ending has begun.
        """
        loop = asyncio.get_running_loop()
        longest = max(self._settings.register(name).pending_for for name in REGISTERS)
        ends = loop.time() + longest.total_seconds()
        told: dict[str, SectionView] = {}
        with self._listener.hears(self._services.citizens.id_of(citizen.cpr)) as changed, ending.wakes(changed):
            while True:
                changed.clear()
                page = await self.page(citizen)
                last = loop.time() >= ends
                if page.readable or last:
                    for view in page.sections():
                        if view.state is not SectionState.PENDING and told.get(view.id) != view:
                            told[view.id] = view
                            yield view
                    if last or not page.under_way:
                        return
                if ending.begun:
                    raise Closing
                try:
                    async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _note(self, citizen: Citizen) -> None:
        """That a citizen looks at a page which the schedule keeps fresh is what keeps the schedule going for them."""
        now = asyncio.get_running_loop().time()
        noted = self._seen.get(citizen.cpr)
        if noted is not None and now - noted < SEEN_AGAIN_AFTER.total_seconds():
            return
        if len(self._seen) >= SEEN_AT_MOST:
            self._seen.clear()
        self._seen[citizen.cpr] = now
        task = asyncio.create_task(refresh.seen(self._services, citizen, today()))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _ask(self, citizen: Citizen, registers: Iterable[str], within: timedelta) -> dict[str, Requested] | None:
        """Asks for these registers; None when that takes longer, in which case it goes on."""
        what = (self._services.citizens.id_of(citizen.cpr), *registers)
        task = self._asking.get(what)
        if task is None:
            task = self._asking[what] = asyncio.create_task(self._request(citizen, what[1:]))
            task.add_done_callback(lambda _: self._asking.pop(what, None))
        await asyncio.wait({task}, timeout=within.total_seconds())
        return task.result() if task.done() and not task.cancelled() else None

    async def _request(self, citizen: Citizen, registers: Iterable[str]) -> dict[str, Requested]:
        try:
            return await refresh.request(
                self._services, citizen, registers, reason=refresh.Reason.CITIZEN, today=today()
            )
        except Exception:
            # The page is there all the same, and says what it does not have.
            log.exception("refresh_request_defect")
            return {}


class Listener:
    """Hears from the cache whose entries have changed; one connection per process, while anybody listens."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings.cache_url.get_secret_value())
        self._listeners: dict[bytes, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Closes the connection."""
        await self._end()
        await self._redis.aclose()

    @contextmanager
    def hears(self, citizen_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when something of this citizen may have changed."""
        name, event = channel(citizen_id).encode(), asyncio.Event()
        self._listeners.setdefault(name, set()).add(event)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            yield event
        finally:
            self._listeners[name].discard(event)
            if not self._listeners[name]:
                del self._listeners[name]
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe(PATTERN)
                    # What happened before anybody listened is found by looking.
                    self._wake(event for events in self._listeners.values() for event in events)
                    while True:
                        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                        if message is not None:
                            self._wake(self._listeners.get(message["channel"], ()))
            except REDIS_DOWN as error:
                log.warning("events_not_heard", detail=type(error).__name__)
                await asyncio.sleep(LISTEN_AGAIN.total_seconds())

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def _wake(self, events: Iterable[asyncio.Event]) -> None:
        for event in events:
            event.set()


def today() -> date:
    """The day in Denmark, which is that of R1."""
    return datetime.now(DENMARK).date()
