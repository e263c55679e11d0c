"""Pages of the API: a citizen's page is read at once, a refresh is requested for what is due, and changes are streamed.

Requests for the same citizen and registers are coalesced within the process.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import timedelta

import structlog

from config.settings import Settings
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import REGISTERS
from domain.service_windows import danish_today
from portal.api.cache_events import Listener
from portal.shutdown import Shutdown
from registerbro import refresh
from registerbro.pages.reader import Page, Reader, SectionState, SectionView
from registerbro.refresh.request import Requested
from registerbro.services import Services

log = structlog.get_logger()

ASK_WITHIN = timedelta(milliseconds=150)
"""How long a page waits for its refresh request: it has to be there in 300 ms, and the request may go on behind it."""
REFRESH_WITHIN = timedelta(seconds=1)
"""How long a call that does nothing but request a refresh waits for it."""
LOOK_EVERY = timedelta(seconds=1)
"""How often a streamed page is read without an event: an event may be lost, and `pending` may run out."""
VISIT_AGAIN_AFTER = timedelta(hours=1)
"""How long a recorded visit stands before the citizen's next one is recorded."""
VISITS_AT_MOST = 100_000
"""How many visits a process remembers as recorded; then it forgets all, which costs a command for each citizen."""


class Closing(Exception):
    """The server shuts down before the page has settled."""


class Pages:
    """Reads, refreshes and streams citizens' pages. One event loop opens, uses and closes it."""

    def __init__(self, settings: Settings, services: Services) -> None:
        self._settings = settings
        self._services = services
        self._reader = Reader(settings)
        self._listener = Listener(settings)
        self._requests: dict[tuple[str, ...], asyncio.Task[dict[str, Requested]]] = {}
        self._visits: dict[Cpr, float] = {}

    async def close(self) -> None:
        """Closes the connections."""
        for task in self._requests.values():
            task.cancel()
        await self._listener.close()
        await self._reader.close()

    async def read_page(self, citizen: Citizen) -> Page:
        """Reads a page from the cache; a refresh is requested for what is due. Raises nothing."""
        page = await self._reader.read_page(citizen.cpr)
        if not page.due:
            if self._is_new_visit(citizen):
                self._request(citizen, ())
            return page
        await self._requested(citizen, page.due, ASK_WITHIN)
        return await self._reader.read_page(citizen.cpr)

    async def read_sections(self, citizen: Citizen, *registers: str) -> Mapping[str, SectionView]:
        """Reads the sections, by id, of registers that are for everyone; a refresh is requested of those that are due.

        Raises nothing.
        """
        kept = await self._reader.read_sections(citizen.cpr, *registers)
        if not kept.due:
            return kept.by_id
        await self._requested(citizen, kept.due, ASK_WITHIN)
        return (await self._reader.read_sections(citizen.cpr, *registers)).by_id

    async def refresh(self, citizen: Citizen) -> dict[str, Requested]:
        """Requests a refresh of every register of the page. Raises nothing."""
        asked = await self._requested(citizen, REGISTERS, REFRESH_WITHIN)
        unknown = {
            name: Requested(refresh.State.UNAVAILABLE, self._settings.register(name).retry_after) for name in REGISTERS
        }
        return unknown | (asked or {})

    async def changes(self, citizen: Citizen, shutdown: Shutdown) -> AsyncIterator[SectionView]:
        """Yields each section that is not pending, and again when it changes, until no fetch is under way.

        Waits for a cache that cannot be read; at the end, sections that could not be read are `unavailable`. Raises
        Closing once the shutdown has begun.
        """
        loop = asyncio.get_running_loop()
        longest = max(self._settings.register(name).pending_for for name in REGISTERS)
        ends = loop.time() + longest.total_seconds()
        told: dict[str, SectionView] = {}
        with self._listener.hears(self._services.citizens.id_of(citizen.cpr)) as changed, shutdown.wakes(changed):
            while True:
                changed.clear()
                page = await self.read_page(citizen)
                last = loop.time() >= ends
                if page.readable or last:
                    for view in page.sections():
                        if view.state is not SectionState.PENDING and told.get(view.id) != view:
                            told[view.id] = view
                            yield view
                    if last or not page.under_way:
                        return
                if shutdown.begun:
                    raise Closing
                try:
                    async with asyncio.timeout(LOOK_EVERY.total_seconds()):
                        await changed.wait()
                except TimeoutError:
                    continue

    def _is_new_visit(self, citizen: Citizen) -> bool:
        """Whether the citizen's visit is to be recorded, which keeps their schedule going; remembers that it was."""
        now = asyncio.get_running_loop().time()
        recorded = self._visits.get(citizen.cpr)
        if recorded is not None and now - recorded < VISIT_AGAIN_AFTER.total_seconds():
            return False
        if len(self._visits) >= VISITS_AT_MOST:
            self._visits.clear()
        self._visits[citizen.cpr] = now
        return True

    async def _requested(
        self, citizen: Citizen, registers: Iterable[str], within: timedelta
    ) -> dict[str, Requested] | None:
        """Requests a refresh of these registers; None when that takes longer, and then it goes on."""
        task = self._request(citizen, tuple(registers))
        await asyncio.wait({task}, timeout=within.total_seconds())
        return task.result() if task.done() and not task.cancelled() else None

    def _request(self, citizen: Citizen, registers: tuple[str, ...]) -> asyncio.Task[dict[str, Requested]]:
        """The task that requests a refresh; the one that is under way for the same citizen and registers, if any."""
        key = (self._services.citizens.id_of(citizen.cpr), *registers)
        task = self._requests.get(key)
        if task is None:
            task = self._requests[key] = asyncio.create_task(self._request_due(citizen, registers))
            task.add_done_callback(lambda _: self._requests.pop(key, None))
        return task

    async def _request_due(self, citizen: Citizen, registers: tuple[str, ...]) -> dict[str, Requested]:
        try:
            return await refresh.request_due(
                self._services, citizen, registers, reason=refresh.Reason.CITIZEN, today=danish_today()
            )
        except Exception:
            # The page is shown all the same, and says which sections it lacks.
            log.exception("refresh_request_defect")
            return {}
