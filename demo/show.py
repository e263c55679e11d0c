"""`registerbro demo`: starts a whole installation on this machine, and shows how a register fails and recovers."""

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
from pathlib import Path
from types import FrameType
from typing import Any

from config import logging
from config.settings import settings
from demo.installation import CannotStart, Installation, installation
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import EINDKOMST, OVERVIEWS, REGISTERS, UNAVAILABLE_TEXT, sections_of
from domain.service_windows import DENMARK, danish_today
from registerbro import refresh
from registerbro.bounded_calls import TookTooLong, call
from registerbro.pages.reader import Page, Reader, SectionState, SectionView
from registerbro.services import Services
from registerbro.terminal import Cell, Screen, Table, remark, say, say_json, table

EMPLOYMENTS = sections_of(EINDKOMST)[0].id
SETTINGS = {
    # So short that an outage shows within seconds; an installation shows its data for half a day.
    **{f"{name.upper()}__FRESH_FOR": "PT15S" for name in REGISTERS},
    **{f"{name.upper()}__RETRY_AFTER": "PT3S" for name in REGISTERS},
    # Longer than the simulator takes for a citizen's events, and a real one takes up to a day.
    "UDB__EVENTS_AFTER": "PT4S",
    "EINDKOMST__FRESH_FOR": "PT2S",
    "EINDKOMST__RETRY_AFTER": "PT2S",
}
SLOW = {"kind": "latency", "median": 0.5, "p99": 2.0}
"""Latency of real registers, so that the pages are seen to fill."""
EVENTS_AFTER_SECONDS = 1.5
"""How long after a subscription Ungedatabasen's simulator has the citizen's events."""
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
    citizen: Citizen


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """The demo was asked to end: Ctrl-C, or a signal of the system."""


class Demonstration:
    """The demonstration: requests and reads pages, as a portal does, and shows them."""

    def __init__(
        self, screen: Screen, services: Services, reader: Reader, here: Installation, stopping: "_Stopping"
    ) -> None:
        self._screen = screen
        self._stopping = stopping
        self._services = services
        self._reader = reader
        self._control = here.upstreams["control"]

    async def run(self) -> dict[str, Any]:
        """Runs the demonstration. Returns what was observed, as the last line of `--once` has it."""
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
        """Refreshes, reads and shows these people's pages until all are settled, or SEEN_WITHIN_SECONDS are over."""
        ends = time.monotonic() + SEEN_WITHIN_SECONDS
        pages: dict[str, Page] = {}
        settled: dict[str, Page] = {}
        with self._screen.changing() as shown:
            while len(settled) < len(people) and time.monotonic() < ends:
                self._stopping.check()
                for person in people:
                    await refresh.request_due(
                        self._services,
                        person.citizen,
                        reason=refresh.Reason.CITIZEN,
                        today=danish_today(),
                    )
                    page = pages[person.name] = await self._reader.read_page(person.citizen.cpr)
                    if is_settled(page):
                        settled.setdefault(person.name, page)
                shown.update(_table(pages))
                await asyncio.sleep(0.1)
        self._screen.say()
        return {**pages, **settled}

    async def _people(self, count: int) -> list[Person]:
        """Citizens of the target group who have had a job, so that each section has items."""
        listed = (await call("GET", f"{self._control}/__sim__/citizens")).raise_for_status().json()
        today = danish_today()
        people = [
            Person(
                one["name"],
                Citizen(Cpr.parse(one["cpr"]), frozenset(one["contact_groups"]), one["education_order"]),
            )
            for one in listed
            if EINDKOMST in one["known_to"]
        ]
        return [person for person in people if person.citizen.is_in_target_group(self._services.rules.now(), today)][
            :count
        ]

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
    """One overview as a citizen sees it: sections without data are hidden."""
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
    """A period as the page shows it: an unknown end is »Ukendt« (R5)."""
    return f"{item['start'] or 'Ukendt'} – {item['end'] or 'Ukendt'}"


_JOB = {True: ", samtidig i job", False: "", None: ", samtidig i job: Ukendt"}

ITEM: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "completed_educations": lambda item: f"Taget: {item['name']} ({item['year'] or 'Ukendt'})",
    "started_educations": lambda item: f"Startet: {item['name']} ({item['year'] or 'Ukendt'})",
    "su_attempts": lambda item: f"SU-forsøg: {item['count']}",
    "fgu": lambda item: f"FGU: {item['place']}, {_years(item)}",
    "stu": lambda item: f"STU: {item['place']}, {_years(item)}",
    "employments": lambda item: f"{item['employer']}, {_years(item)}",
    "benefits": lambda item: f"{item['type']}, {_years(item)}{_JOB[item['concurrent_job']]}",
}
"""Section → the line that shows one of its items."""


class _Stopping:
    """Handler of the signals that stop the demo: raises Stopped or cancels the task, and remembers the request.

    An exception raised by a signal handler is lost inside a destructor, and a cancellation inside `asyncio.wait_for` of
    Python 3.11, which redis-py uses; `check` raises for a request that was lost.
    """

    def __init__(self) -> None:
        self._wanted = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)

    def check(self) -> None:
        """Raises Stopped when a stop was requested."""
        if self._wanted:
            raise Stopped

    @contextmanager
    def held(self) -> Iterator[None]:
        """Defers a request to stop to the block's end: an import may swallow what a handler raises in it."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._note)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                signal.signal(number, self._stop)
        self.check()

    def hand_to_loop(self) -> None:
        """From here on, a request to stop cancels the current task."""
        task = asyncio.current_task()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._cancel, task)
        self.check()

    def ignore(self) -> None:
        """From here on, ignores the signals: the processes are being stopped, and this must not be interrupted."""
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
    """Runs the demo. Returns the exit status: 0 when every promise was observed, 1 when not or when it cannot start."""
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
        "Starting three Redis servers, the registers' simulators, nine workers, beat, the portal and Flower …"
    ):
        here.use_users().start_redis().start_simulators(
            "--events-after", str(EVENTS_AFTER_SECONDS)
        ).start_workers().start_portal().start_flower()
    screen.say(f"Started {len(here.redis) + len(here.processes)} processes; what they write is in {directory}")
    _tell_where(here)
    os.environ.update(here.environment)
    logging.configure("CRITICAL")
    with stopping.held():
        from registerbro.messaging import celery_app  # noqa: F401, PLC0415 - importing it connects this process to the broker

    seen = asyncio.run(_demonstrate(screen, here, stopping, once=once))
    # On one line, because a program reads it.
    say_json(seen, indent=None)
    return 0 if all(seen["outage"].values()) else 1


def _tell_where(here: Installation) -> None:
    # Not through the screen, which would wrap an address.
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
