"""What one register that hangs costs the others.

Refreshes of SU are timed from the request to the page, in turns: while Ungedatabasen answers, and while every one of
its calls hangs and its queue is full of refreshes. Workers, Redis and simulators are processes of their own.
"""

import asyncio
import itertools
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.harness import Row, Spread, Target, percentile
from config import logging
from config.settings import settings
from demo.installation import installation
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.pages.reader import Page, Reader, SectionState
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.storage.keys import entry_key
from simulators import Control

REFRESHES_PER_TURN = 40
LATENCY = {"kind": "latency", "median": 0.05, "p99": 0.1}


class Portal:
    """Asks for refreshes and times them."""

    def __init__(self, citizens: list[Citizen]) -> None:
        self._services, self._reader = Services(settings()), Reader(settings())
        self._citizens = citizens
        self._turn = itertools.cycle(citizens)

    async def refresh_all(self, register: str) -> None:
        """Asks for every citizen's register."""
        await asyncio.gather(*(self._request(citizen, register) for citizen in self._citizens))

    async def timed(self, register: str) -> float:
        """Seconds from the request to the page of the next citizen."""
        citizen = next(self._turn)
        await self._services.cache.delete(entry_key(self._services.citizens.id_of(citizen.cpr), register))
        began = time.perf_counter()
        await self._request(citizen, register)
        while self._pending(await self._reader.read_page(citizen.cpr), register):  # noqa: ASYNC110 - as a page polls
            await asyncio.sleep(0.002)
        return time.perf_counter() - began

    async def close(self) -> None:
        """Closes the connections."""
        await self._services.close()
        await self._reader.close()

    async def _request(self, citizen: Citizen, register: str) -> None:
        today = datetime.now(UTC).date()
        await refresh.request_due(self._services, citizen, [register], reason=Reason.OPERATOR, today=today)

    def _pending(self, page: Page, register: str) -> bool:
        return any(view.state is SectionState.PENDING for view in page.sections() if view.register_ == register)


async def _compare(control: Control, turns: int) -> Row:
    people = [Citizen(Cpr.parse(one["cpr"]), frozenset({12}), education_order=False) for one in control.citizens()]
    portal = Portal(people)
    normal: list[float] = []
    hanging: list[float] = []
    control.fault("su", LATENCY)
    for _ in range(turns):
        control.fault("udb", LATENCY)
        normal += [await portal.timed("su") for _ in range(REFRESHES_PER_TURN)]
        control.fault("udb", {"kind": "hang_before_headers"})
        await portal.refresh_all("udb")
        hanging += [await portal.timed("su") for _ in range(REFRESHES_PER_TURN)]
    await portal.close()
    turn_by_turn = [
        (percentile(hanging[n : n + REFRESHES_PER_TURN], 0.5), percentile(normal[n : n + REFRESHES_PER_TURN], 0.5))
        for n in range(0, len(normal), REFRESHES_PER_TURN)
    ]
    ours, theirs = (1000 * percentile(times, 0.99) for times in (hanging, normal))
    return Row(
        "hanging", "the other registers' p99 while one hangs, beside normal", Target("at most", 1.2),
        figure=round(ours / theirs, 3), ours=round(ours, 1), unit="ms", theirs=round(theirs, 1), against="none hangs",
        ratio=Spread.of([one / other for one, other in turn_by_turn]),
        details={"refreshes": len(normal), "ratio_is_of": "the medians of each turn; the figure is of all p99"},
    )  # fmt: skip


def measure(*, quick: bool) -> list[Row]:
    """Starts an installation, measures, and stops it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, installation(Path(directory), {}) as here:
        here.start_redis().start_simulators().start_workers()
        os.environ.update(here.environment)
        logging.configure("CRITICAL")
        from workers import app  # noqa: F401, PLC0415 - importing it connects this process to the broker

        with Control(here.upstreams) as control:
            return [asyncio.run(_compare(control, 2 if quick else 8))]
