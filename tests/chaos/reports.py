"""`python -m tests.chaos.reports --seconds N --seed S`: hands in fault reports while everything is killed at random.

Workers, beat and all three Redis servers are killed with SIGKILL and started again; the vendor hangs, resets after it
has received, and answers 500, 429 and 409. The last line is one JSON object; the exit status is 1 if anything was lost,
delivered twice, or delivered although it was refused. The seed decides who is killed when; the machine, what that hits.
"""

import argparse
import asyncio
import json
import logging
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from config.settings import load
from ops.local import CannotStart, Installation, installation, wait_for
from simulators.control import Control
from tests.chaos.history import Answer, History, Submission, holds, undelivered, verdict
from workers.booking_vendor import reports
from workers.booking_vendor.reports import (
    FaultReportError,
    IdempotencyKeyReused,
    LedgerNotDurable,
    LedgerUnavailable,
    TooManyReports,
)
from workers.domain.cpr import Cpr
from workers.runtime import Services

VENDOR = "booking_vendor"
ROLES = ("broker", "ledger", "cache")
WORKERS = ("worker-1", "worker-2")
FEWEST_REPORTS = 2000
PER_SECOND = 10
"""How many reports a long run hands in; a short one hands in the fewest, only faster."""
PER_CITIZEN = 9
"""Below the hourly limit, so that only those are refused by it who mean to be."""
DRAINED_WITHIN_SECONDS = 180.0
"""After the last kill: a new beat waits 30 s for the lock of a killed one, and the breaker opens for a minute."""
ASKED_AGAIN_FOR_SECONDS = 60.0
SETTINGS = {
    # As many attempts as possible within the run.
    "BOOKING_VENDOR__ATTEMPT_TIMEOUT": "PT2S",
    "BOOKING_VENDOR__TOTAL_TIMEOUT": "PT2S",
    "BOOKING_VENDOR__LONGEST_WAIT": "PT4S",
    "BOOKING_VENDOR__RETRY_AFTER": "PT2S",
}
KILLS = (*WORKERS, *WORKERS, "beat", *ROLES, "all_redis")
FAULTS = (
    [{"kind": "hang_before_headers", "share": 0.2}],
    [{"kind": "reset_after", "share": 0.5}],
    [{"kind": "status", "status": 500, "answered": answered, "share": 0.3} for answered in (True, False)],
    [{"kind": "status", "status": 429, "retry_after": 1, "share": 0.7}],
    [{"kind": "status", "status": 409, "answered": answered, "share": 0.4} for answered in (True, False)],
    [{"kind": "latency", "median": 0.3}],
    [{"kind": "hang_before_headers"}],
    [],
)


class Deck:
    """Deals every card once, in random order, before any comes again; so that a short run has some of each."""

    def __init__(self, cards, chance):
        self._cards, self._chance, self._left = list(cards), chance, []

    def deal(self):
        if not self._left:
            self._left = self._chance.sample(self._cards, len(self._cards))
        return self._left.pop()


class Chaos:
    """One run."""

    def __init__(self, here: Installation, control: Control, services: Services, history: History, seed: int) -> None:
        self._here = here
        self._control = control
        self._services = services
        self._history = history
        self._seed = seed
        self._chance = {name: random.Random(f"{seed} {name}") for name in ("kills", "vendor", "citizens")}
        self._busy = asyncio.Semaphore(100)
        self.kills = Counter(worker=0, beat=0, broker=0, ledger=0, cache=0)

    async def run(self, seconds: float) -> dict:
        wanted = max(FEWEST_REPORTS, round(seconds * PER_SECOND))
        ends = time.monotonic() + seconds
        killing, breaking = asyncio.create_task(self._kill()), asyncio.create_task(self._break())
        tending = asyncio.create_task(self._tend())
        async with asyncio.TaskGroup() as citizens:
            for number in range(wanted):
                due = ends - seconds * (1 - number / wanted)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                citizens.create_task(self._citizen(number))
            await asyncio.sleep(max(0.0, ends - time.monotonic()))
            for task in (killing, breaking):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self._control.mend(VENDOR)
            await asyncio.to_thread(self._start_what_was_killed)
        await self._drained()
        tending.cancel()
        with suppress(asyncio.CancelledError):
            await tending
        found = verdict(self._history.submissions(), self._control.reports())
        return {**found, "kills": dict(self.kills), "seed": self._seed}

    async def _citizen(self, number: int) -> None:
        """Hands in one report, and now and then something that must be refused."""
        async with self._busy:
            text = f"Rapport {number} af {self._seed}: æøå 😀\nDer skete en fejl."
            cpr, key = cpr_of(number // PER_CITIZEN), f"key-{number}"
            await self._submit(cpr, text, key)
            match number % 20:
                case 3:
                    await self._submit(cpr, text.replace("Rapport", "Genbrugt"), key)
                case 7:
                    await self._submit(cpr, text.replace("Rapport", "For lang") + "x" * 500, f"{key}-long")
                case 11:  # two clicks at the same moment
                    clicked = text.replace("Rapport", "Klik")
                    await asyncio.gather(*(self._submit(cpr, clicked, f"{key}-twice") for _ in range(2)))

    async def _submit(self, cpr: Cpr, text: str, key: str) -> None:
        """As a browser would: asks again, with the same key, until there is an answer."""
        ends = time.monotonic() + ASKED_AGAIN_FOR_SECONDS
        answer, ids, detail = Answer.REFUSED, [], ""
        while time.monotonic() < ends:
            try:
                accepted = await reports.submit(self._services, cpr, text, idempotency_key=key)
            except LedgerUnavailable:
                answer = Answer.UNKNOWN  # and stays so, whatever a later refusal says
                await asyncio.sleep(0.5)
            except (FaultReportError, IdempotencyKeyReused, TooManyReports, LedgerNotDurable) as error:
                detail = type(error).__name__
                break
            else:
                answer, ids = Answer.ACCEPTED, [accepted.id]
                break
        self._history.note(Submission(text, answer, tuple(ids), detail))

    async def _kill(self) -> None:
        chance = self._chance["kills"]
        deck = Deck(KILLS, chance)
        while True:
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            victim, pause = deck.deal(), chance.uniform(0.0, 1.0)
            if victim in self._here.processes:
                await asyncio.to_thread(self._here.processes[victim].kill)
                self.kills["beat" if victim == "beat" else "worker"] += 1
                continue  # it is started again by who looks after the processes
            roles = ROLES if victim == "all_redis" else (victim,)
            for role in roles:
                await asyncio.to_thread(self._here.redis[role].process.kill)
                self.kills[role] += 1
            await asyncio.sleep(pause)
            for role in roles:
                await asyncio.to_thread(self._here.redis[role].start)

    async def _tend(self) -> None:
        """What a service manager does: starts again whatever has ended."""
        while True:
            await asyncio.to_thread(self._start_processes)
            await asyncio.sleep(0.5)

    def _start_processes(self) -> None:
        for name in WORKERS:
            if not self._here.processes[name].runs:
                self._here.start_worker(VENDOR, name)
        if not self._here.processes["beat"].runs:
            self._here.start_beat()

    def _start_what_was_killed(self) -> None:
        for role in ROLES:
            if not self._here.redis[role].process.runs:
                self._here.redis[role].start()

    async def _break(self) -> None:
        chance = self._chance["vendor"]
        deck = Deck(FAULTS, chance)
        while True:
            self._control.fault(VENDOR, *deck.deal())
            await asyncio.sleep(chance.uniform(1.0, 3.0))

    async def _drained(self) -> None:
        """Returns when the vendor has all that was acknowledged and hears nothing more; or when it takes too long."""
        ends = time.monotonic() + DRAINED_WITHIN_SECONDS
        before = -1
        while time.monotonic() < ends:
            received = self._control.reports()
            heard = sum(entry["received"] for entry in received.values())
            if heard == before and not undelivered(self._history.submissions(), received):
                return
            before = heard
            await asyncio.sleep(3.0)


def cpr_of(number: int) -> Cpr:
    """One of many citizens, none of whom can be a real person: the day is 61 to 88."""
    return Cpr.parse(f"{61 + number % 28}{1 + number // 28 % 12:02}99{1000 + number % 3000:04}")


async def _run(here: Installation, seconds: float, seed: int) -> dict:
    os.environ.update(here.environment)
    from workers import app  # noqa: F401 - its broker is this installation's

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    services = Services(load())
    try:
        with Control(here.upstreams) as control:
            return await Chaos(here, control, services, History(here.directory / "history.jsonl"), seed).run(seconds)
    finally:
        await services.close()


def main() -> int:
    """Runs, prints what was found, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="registerbro-chaos-") as directory:
        try:
            with installation(Path(directory), SETTINGS) as here:
                here.start_redis().start_simulators()
                for name in WORKERS:
                    here.start_worker(VENDOR, name)
                here.start_beat()
                for name in WORKERS:
                    wait_for(lambda name=name: here.processes[name].has_logged("worker_ready"), name)
                found = asyncio.run(_run(here, arguments.seconds, seed))
        except CannotStart as error:
            print(f"chaos: {error}", file=sys.stderr)
            return 2
    print(json.dumps(found))
    return 0 if holds(found) else 1


if __name__ == "__main__":
    sys.exit(main())
