"""`python -m tests.system.chaos.reports --seconds N --seed S`: hands in fault reports while everything is killed at
random.

Workers, beat and all three Redis servers are killed with SIGKILL and started again; the vendor hangs, resets before and
after it has taken a report, and answers 500, 502, 503, 504, 429 and (with `--idempotent`) 409. It knows no idempotency
keys, unless `--idempotent` says so. At the end the program does what an operator does: it asks the vendor for a report
of unknown outcome, and then settles it or has it sent again. The last line is one JSON object; the exit status is 1 if
anything was lost, delivered although it was refused, or delivered twice; without keys twice counts only if it was not
after an unknown outcome, was more often than REPEAT_UNKNOWN, at another FejlTidspunkt, or is not listed for operators.
The seed decides who is killed when; the machine, what that hits.
"""

import argparse
import asyncio
import os
import random
import secrets
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from config.settings import load
from demo.installation import Installation, wait_for
from domain.cpr import Cpr
from registerbro.fault_reports import submit
from registerbro.fault_reports.model import State
from registerbro.fault_reports.submit import (
    FaultReportError,
    IdempotencyKeyReused,
    LedgerNotDurable,
    LedgerUnavailable,
    TooManyReports,
)
from registerbro.services import Services
from registerbro.storage.redis_client import REDIS_DOWN
from simulators.control import Control
from tests.system.chaos.history import Answer, History, Submission, holds, undelivered, verdict
from tests.system.chaos.program import Found, ended

VENDOR = "booking_vendor"
ROLES = ("broker", "ledger", "cache")
WORKERS = ("worker-1", "worker-2")
FEWEST_REPORTS = 2000
PER_SECOND = 10
"""How many reports a long run hands in; a short one hands in the fewest, only faster."""
ALL = 100_000
"""More reports than there are."""
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
    [{"kind": kind, "share": 0.3} for kind in ("reset", "reset_after")],
    [{"kind": "status", "status": status, "share": 0.3} for status in (500, 503)],
    [{"kind": "status", "status": 502, "answered": answered, "share": 0.3} for answered in (True, False)],
    [{"kind": "status", "status": 504, "answered": True, "share": 0.2}],
    [{"kind": "status", "status": 429, "retry_after": 1, "share": 0.7}],
    [{"kind": "latency", "median": 0.3}],
    [{"kind": "hang_before_headers"}],
    [],
)
FAULTS_WITH_KEYS = (
    *FAULTS,
    [{"kind": "status", "status": 500, "answered": True, "share": 0.5}],
    [{"kind": "status", "status": 409, "answered": answered, "share": 0.4} for answered in (True, False)],
)
"""A vendor that knows keys may also fail after it has stored a report; and one that does not is taken at its word."""


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
        self._vendor = services.settings.booking_vendor
        self.kills = Counter(worker=0, beat=0, broker=0, ledger=0, cache=0)
        self.decided = Counter(settled=0, repeated=0)

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
        repeats = 0 if self._vendor.idempotent else self._vendor.repeat_unknown
        found = verdict(self._history.submissions(), self._control.reports(), await self._listed_as_unknown(), repeats)
        decided = {f"decided_{how}": count for how, count in self.decided.items()}
        return {**found, **decided, "kills": dict(self.kills), "seed": self._seed}

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
                accepted = await submit.submit(self._services, cpr, text, idempotency_key=key)
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
        deck = Deck(FAULTS_WITH_KEYS if self._vendor.idempotent else FAULTS, chance)
        while True:
            self._control.fault(VENDOR, *deck.deal())
            await asyncio.sleep(chance.uniform(1.0, 3.0))

    async def _drained(self) -> None:
        """Returns when the vendor has all that was acknowledged and nothing is due; or when it takes too long.

        Meanwhile it is the operator.
        """
        ends = time.monotonic() + DRAINED_WITHIN_SECONDS
        while time.monotonic() < ends:
            await asyncio.sleep(3.0)
            with suppress(*REDIS_DOWN):
                await self._decide()
                stats = await self._services.outbox.stats()
                is_over = stats.oldest_undelivered is None and not stats.undecided
                if is_over and not undelivered(self._history.submissions(), self._control.reports()):
                    return

    async def _decide(self) -> None:
        """Settles what the vendor has of the reports that need a decision, and has the others sent again."""
        outbox = self._services.outbox
        arrived = {entry["report"]["Fejltekst"] for entry in self._control.reports()}
        for record in await outbox.records([State.UNKNOWN_OUTCOME], ALL):
            if not record.needs_decision:
                continue
            content, _ = await outbox.contents(record.id)
            if content.text in arrived:
                await outbox.settle(record.id)
                self.decided["settled"] += 1
            else:
                await outbox.replay(record.id)
                self.decided["repeated"] += 1

    async def _listed_as_unknown(self) -> dict[str, int]:
        """By text, how many attempts of each report that is listed as sent again had an unknown outcome."""
        outbox = self._services.outbox
        found = await outbox.sent_again(ALL)
        return {(await outbox.contents(record.id))[0].text: record.unknown for record in found}


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
            control.know_keys(services.settings.booking_vendor.idempotent)
            return await Chaos(here, control, services, History(here.directory / "history.jsonl"), seed).run(seconds)
    finally:
        await services.close()


def main() -> int:
    """Runs, prints what was found, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--idempotent", action="store_true", help="the vendor knows idempotency keys")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed

    def work(here: Installation) -> Found:
        here.start_redis().start_simulators()
        for name in WORKERS:
            here.start_worker(VENDOR, name)
        here.start_beat()
        for name in WORKERS:
            wait_for(lambda name=name: here.processes[name].has_logged("worker_ready"), name)
        return asyncio.run(_run(here, arguments.seconds, seed))

    return ended("chaos", SETTINGS | {"BOOKING_VENDOR__IDEMPOTENT": str(arguments.idempotent)}, work, holds)


if __name__ == "__main__":
    sys.exit(main())
