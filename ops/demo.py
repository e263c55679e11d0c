"""`registerbro demo`: the whole installation on this machine; a register fails and recovers while you watch."""

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

from config import logging
from config.settings import settings
from config.windows import DENMARK
from ops.local import CannotStart, Installation, installation
from ops.terminal import Cell, Screen, Table, remark, say, say_json, table
from ops.waits import TookTooLong, call
from portal.reader import Page, Reader, SectionState, SectionView
from workers import refresh
from workers.domain.cpr import Cpr
from workers.domain.overview import EINDKOMST, OVERVIEWS, REGISTERS, UNAVAILABLE_TEXT, sections_of
from workers.runtime import Services

EMPLOYMENTS = sections_of(EINDKOMST)[0].id
SETTINGS = {
    # So short that an outage is felt while one watches; an installation keeps its data for half a day.
    **{f"{name.upper()}__FRESH_FOR": "PT15S" for name in REGISTERS},
    **{f"{name.upper()}__RETRY_AFTER": "PT3S" for name in REGISTERS},
    "EINDKOMST__FRESH_FOR": "PT2S",
    "EINDKOMST__RETRY_AFTER": "PT2S",
}
SLOW = {"kind": "latency", "median": 0.5, "p99": 2.0}
"""As registers are; so that the pages can be seen to fill."""
SEEN_WITHIN_SECONDS = 90.0
HEADINGS = dict(zip(OVERVIEWS, ("Uddannelser", "Tidligere job", "Økonomisk hjælp"), strict=True))
SHOWN_ITEMS = 3
STYLES = {
    SectionState.READY: "green",
    SectionState.EMPTY: "dim",
    SectionState.PENDING: "cyan",
    SectionState.UNAVAILABLE: "yellow",
}


@dataclass(frozen=True, slots=True)
class Person:
    """One of the simulators' constructed citizens."""

    name: str
    citizen: refresh.Citizen


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The demo was asked to end: Ctrl-C, or a signal of the system."""


class Demonstration:
    """Asks for pages and reads them, as a portal would, and shows what it sees."""

    def __init__(
        self, screen: Screen, services: Services, reader: Reader, here: Installation, stopping: "_Stopping"
    ) -> None:
        self._screen = screen
        self._stopping = stopping
        self._services = services
        self._reader = reader
        self._control = here.upstreams["control"]

    async def run(self) -> dict[str, Any]:
        """The whole show. Returns what was really seen, in the form of the last line of `--once`."""
        *known, newcomer = await self._people(4)
        for register in REGISTERS:
            await self._mend(register)
        self._say(
            "Three citizens open »Oplysninger om dig«: every register is asked, and the page fills as they answer."
        )
        pages = await self._watch(known, lambda page: page.complete)
        before = self._employments(pages)

        self._say("eIndkomst goes down. The three open the page again, and a fourth for the first time.")
        await self._break(EINDKOMST)
        pages = await self._watch([*known, newcomer], self._outage_shows)
        during = self._employments(pages)
        kept = all(view.items and during[name].items == view.items for name, view in before.items())
        fallback = during[newcomer.name].message == UNAVAILABLE_TEXT
        self._say("The jobs that were known are still there, and the newcomer is told to try again later.")

        self._say("eIndkomst comes back. Nobody does anything but open the page again.")
        await self._mend(EINDKOMST)
        pages = await self._watch([*known, newcomer], self._all_is_new)
        after = self._employments(pages)
        recovered = all(view.state is SectionState.READY and not view.stale for view in after.values())

        states = Counter(view.state for page in pages.values() for view in page.sections())
        return {
            "citizens": len(pages),
            "sections": {name: states[SectionState(name)] for name in ("ready", "empty", "unavailable")},
            "outage": {"kept": kept, "fallback": fallback, "recovered": recovered},
        }

    def _outage_shows(self, page: Page) -> bool:
        view = _employments(page)
        return page.complete and (view.state is SectionState.UNAVAILABLE or view.stale)

    def _all_is_new(self, page: Page) -> bool:
        good = {SectionState.READY, SectionState.EMPTY}
        return page.complete and all(view.state in good and not view.stale for view in page.sections())

    def _employments(self, pages: Mapping[str, Page]) -> dict[str, SectionView]:
        return {name: _employments(page) for name, page in pages.items()}

    async def _watch(self, people: list[Person], is_settled: Callable[[Page], bool]) -> dict[str, Page]:
        """Refreshes and reads these people's pages until all are settled, or for a while; shows them as they fill."""
        ends = time.monotonic() + SEEN_WITHIN_SECONDS
        pages: dict[str, Page] = {}
        settled: dict[str, Page] = {}
        with self._screen.changing() as shown:
            while len(settled) < len(people) and time.monotonic() < ends:
                self._stopping.check()
                for person in people:
                    await refresh.request(
                        self._services,
                        person.citizen,
                        reason=refresh.Reason.CITIZEN,
                        today=datetime.now(DENMARK).date(),
                    )
                    page = pages[person.name] = await self._reader.page(person.citizen.cpr)
                    if is_settled(page):
                        settled.setdefault(person.name, page)
                shown.update(_table(pages))
                await asyncio.sleep(0.1)
        self._screen.say()
        return {**pages, **settled}

    async def _people(self, count: int) -> list[Person]:
        """Citizens of the target group who have had a job, so that there is something to see."""
        listed = (await call("GET", f"{self._control}/__sim__/citizens")).raise_for_status().json()
        today = datetime.now(DENMARK).date()
        people = [
            Person(
                one["name"],
                refresh.Citizen(Cpr.parse(one["cpr"]), frozenset(one["contact_groups"]), one["education_order"]),
            )
            for one in listed
            if EINDKOMST in one["known_to"]
        ]
        return [person for person in people if person.citizen.is_in_target_group(today)][:count]

    async def _break(self, upstream: str) -> None:
        await self._set_faults(upstream, {"kind": "status", "status": 503})

    async def _mend(self, upstream: str) -> None:
        await self._set_faults(upstream, SLOW)

    async def _set_faults(self, upstream: str, fault: Mapping[str, Any]) -> None:
        (await call("PUT", f"{self._control}/__sim__/{upstream}/faults", json=[fault])).raise_for_status()

    def _say(self, text: str) -> None:
        self._screen.say(text, "bold")


def _employments(page: Page) -> SectionView:
    return next(view for view in page.sections() if view.id == EMPLOYMENTS)


def _table(pages: Mapping[str, Page]) -> Table:
    rows: list[list[str | Cell]] = [
        [name, *(_overview(page, overview) for overview in HEADINGS)] for name, page in pages.items()
    ]
    return table(("Borger", *HEADINGS.values()), rows, steady=True)


def _overview(page: Page, overview: str) -> Cell:
    """What a citizen would see of one overview: sections without data are hidden."""
    (found,) = (one for one in page.overviews if one.id == overview)
    return Cell([line for section in found.sections for line in _lines(section)])


def _lines(section: SectionView) -> list[Cell]:
    style = STYLES[section.state]
    if section.state is SectionState.PENDING:
        return [Cell(("henter …",), style)]
    if section.state is SectionState.UNAVAILABLE:
        return [Cell((section.message or "",), style)]
    shown = [Cell((ITEM[section.id](item),), style) for item in section.items[:SHOWN_ITEMS]]
    if len(section.items) > SHOWN_ITEMS:
        shown.append(Cell((f"Vis alle ({len(section.items)})",), "underline"))
    if shown and section.stale and section.fetched_at:
        shown.append(Cell((f"Hentet kl. {section.fetched_at.astimezone(DENMARK):%H.%M.%S}",), "dim"))
    return shown


def _years(item: Mapping[str, Any]) -> str:
    """A period as it is shown: an end that is not known is »Ukendt« (R5)."""
    return f"{item['start'] or 'Ukendt'} – {item['end'] or 'Ukendt'}"


ITEM: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "completed_educations": lambda item: f"Taget: {item['name']} ({item['year'] or 'Ukendt'})",
    "started_educations": lambda item: f"Startet: {item['name']} ({item['year'] or 'Ukendt'})",
    "su_attempts": lambda item: f"SU-forsøg: {item['count']}",
    "fgu": lambda item: f"FGU: {item['place']}, {_years(item)}",
    "stu": lambda item: f"STU: {item['place']}, {_years(item)}",
    "employments": lambda item: f"{item['employer']}, {_years(item)}",
    "benefits": lambda item: f"{item['type']}, {_years(item)}" + (", samtidig i job" if item["concurrent_job"] else ""),
}
"""How one item of each section reads on one line."""


class _Stopping:
    """Notes that we were asked to end, and says so where that can be heard.

    An exception out of a signal handler is lost when it strikes inside a destructor, and a cancellation when it strikes
    inside `asyncio.wait_for` of Python 3.11, which redis-py uses; so the wish is noted as well.
    """

    def __init__(self) -> None:
        self._wanted = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)

    def check(self) -> None:
        """Raises Stopped when the wish was noted and nobody heard of it."""
        if self._wanted:
            raise Stopped

    @contextmanager
    def held(self) -> Iterator[None]:
        """Notes a wish to stop, and raises Stopped at the end: an import may swallow what a handler raises in it."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                signal.signal(number, self._stop)
        self.check()

    def hand_to_loop(self) -> None:
        """From here on the current task is cancelled instead."""
        task = asyncio.current_task()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._cancel, task)
        self.check()

    def ignore(self) -> None:
        """From here on everything is being stopped anyway, and must not be stopped in that."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def _cancel(self, task: "asyncio.Task[Any] | None") -> None:
        self._wanted = True
        if task:
            task.cancel()

    def _note(self, _: int, __: FrameType | None) -> None:
        self._wanted = True

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._wanted = True
        raise Stopped


def main(*, once: bool) -> int:
    """Runs the demo. Returns the exit status: 0 when what was promised was seen, 1 when not or when it cannot start."""
    screen = Screen()
    directory = Path(tempfile.mkdtemp(prefix="registerbro-demo-"))
    stopping = _Stopping()
    try:
        with installation(directory, SETTINGS) as here:
            try:
                status = _show(screen, here, directory, stopping, once=once)
            finally:
                stopping.ignore()
    except (Stopped, asyncio.CancelledError):
        screen.say()
        screen.say("Stopped; nothing is left running.")
        status = 0
    except (CannotStart, TookTooLong) as error:
        remark(f"registerbro: {error}")
        status = 1
    if status:
        remark(f"registerbro: what the processes wrote is in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return status


def _show(screen: Screen, here: Installation, directory: Path, stopping: _Stopping, *, once: bool) -> int:
    with screen.working(
        "Starting three Redis servers, the registers' simulators, six workers, beat, the portal and Flower …"
    ):
        here.use_users().start_redis().start_simulators().start_workers().start_portal().start_flower()
    screen.say(f"Started {len(here.redis) + len(here.processes)} processes; what they write is in {directory}")
    _tell_where(here)
    os.environ.update(here.environment)
    logging.configure("CRITICAL")
    with stopping.held():
        from workers import app  # noqa: F401, PLC0415 - importing it connects this process to the broker

    seen = asyncio.run(_demonstrate(screen, here, stopping, once=once))
    # In one line, whatever its length: a program reads it.
    say_json(seen, indent=None)
    return 0 if all(seen["outage"].values()) else 1


def _tell_where(here: Installation) -> None:
    # Not on the screen, which would wrap an address.
    say(f"The page:              {here.portal_url}/  (log in as any constructed citizen)")
    say(f"Workers and queues:    {here.flower_url}/  (Flower)")
    say(f"Break a register:      {here.portal_url}/kontrol")
    say(f"The API, described:    {here.portal_url}/openapi.json")


async def _demonstrate(screen: Screen, here: Installation, stopping: _Stopping, *, once: bool) -> dict[str, Any]:
    stopping.hand_to_loop()
    services, reader = Services(settings()), Reader(settings())
    try:
        seen = await Demonstration(screen, services, reader, here, stopping).run()
        if not once:
            screen.say("Everything stays up until Ctrl-C.")
            _tell_where(here)
            stopping.check()
            await asyncio.Event().wait()
        return seen
    finally:
        await services.close()
        await reader.close()
