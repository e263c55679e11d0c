"""Whether a worker stays as it is: a million refreshes for citizens who wait, and what it holds at rest, five times.

    make soak [REFRESHES=1000000]

One worker of SU, whose register answers after 10 ms; entries are fresh for a moment only, so that each request is a
refresh. After each fifth everything comes to rest and is counted. From the first of these on, the warm-up, resident
memory may not grow by more than 5 %, the blocks of memory that Python uses by more than 0.5 %, and Redis keys, sockets,
threads and asyncio tasks not at all. The last line is JSON, and the exit status 1 when that does not hold.
"""

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil
from redis.asyncio.client import PubSub
from rich.console import Console
from rich.progress import Progress, TaskID

from bench.harness import MARK, contained, installed, services, until
from bench.people import numbers
from demo.installation import Installation, Process
from domain.citizen import Citizen
from domain.cpr import Cpr
from registerbro import refresh
from registerbro.refresh.request import Reason, State
from registerbro.services import Services
from registerbro.storage.keys import entry_channel

REFRESHES = 1_000_000
CITIZENS = 2000
AT_ONCE = 100
CHECKS = 5
REST_SECONDS = 25
"""Idle connections to the register are closed after ten seconds, at the latest at the second look for them."""
MEMORY_MAY_GROW = 1.05
BLOCKS_MAY_GROW = 1.005
"""At a million refreshes, one block in 300 of them."""
SETTINGS = {"SU__FRESH_FOR": "PT0.001S"}


@dataclass(frozen=True)
class Held:
    """What the worker and its Redis servers hold at rest."""

    refreshes: int
    rss_mib: float
    keys: dict[str, int]
    sockets: int
    threads: int
    tasks: int
    blocks: int
    """What Python's own allocator has given out, after a collection of the garbage: the memory that is in use."""


class Soak:
    """One installation under load."""

    def __init__(self, here: Installation, worker: Process) -> None:
        self._here = here
        self._worker = worker
        self._process = psutil.Process(worker.popen.pid)
        self._stored: dict[str, asyncio.Event] = {}
        self._clients = {role: server.client() for role, server in here.redis.items()}
        self.not_taken = 0
        """Requests that were not taken, and were made again."""

    async def run(self, count: int, progress: Progress) -> list[Held]:
        """All refreshes, with a look at each fifth."""
        task = progress.add_task("refreshes", total=count)
        people = [
            Citizen(Cpr.parse(cpr), frozenset({12}), education_order=True)
            for cpr in numbers(min(CITIZENS, count // CHECKS))
        ]
        held = []
        async with services() as ours:
            everyone = itertools.cycle(people)
            for check in range(1, CHECKS + 1):
                wanted = count // CHECKS
                await self._refresh(ours, itertools.islice(everyone, wanted), progress, task)
                held.append(await self._at_rest(check * wanted))
        return held

    async def _refresh(self, ours: Services, rest: Iterator[Citizen], progress: Progress, task: TaskID) -> None:
        async def work() -> None:
            for citizen in rest:
                stored = self._stored[entry_channel(ours.citizens.id_of(citizen.cpr))] = asyncio.Event()
                async with asyncio.timeout(60):
                    while not await self._is_asked(ours, citizen):
                        self.not_taken += 1
                        await asyncio.sleep(1)
                    await stored.wait()
                progress.advance(task)

        async with ours.cache.pubsub() as events, asyncio.TaskGroup() as group:
            await events.psubscribe(entry_channel("*").replace("{*}", "*"))
            listening = group.create_task(self._listen(events))
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_ONCE):
                    workers.create_task(work())
            listening.cancel()

    async def _is_asked(self, ours: Services, citizen: Citizen) -> bool:
        """Whether the request was taken: on a busy machine Redis may not answer in time, and then it was not."""
        today = datetime.now(UTC).date()
        answers = await refresh.request_due(ours, citizen, ["su"], reason=Reason.CITIZEN, today=today)
        return answers["su"].state is State.PENDING

    async def _listen(self, events: PubSub) -> None:
        async for event in events.listen():
            if event["type"] == "pmessage" and (stored := self._stored.pop(event["channel"].decode(), None)):
                stored.set()

    async def _at_rest(self, refreshes: int) -> Held:
        broker = self._clients["broker"]
        await until(lambda: not broker.exists("su", "unacked"), 60, "the queue's end", every=0.1)
        await asyncio.sleep(REST_SECONDS)
        told = json.loads(self._last_line())
        return Held(
            refreshes,
            round(self._process.memory_info().rss / 2**20, 2),
            {role: client.dbsize() for role, client in self._clients.items()},
            len(self._process.net_connections()),
            told["threads"],
            told["tasks"],
            told["blocks"],
        )

    def _last_line(self) -> str:
        told = ""
        with self._worker.log.open(encoding="utf-8") as lines:  # a gigabyte in the end, so never all of it at once
            for line in lines:
                if line.startswith(MARK):
                    told = line.removeprefix(MARK)
        return told


def verdict(held: list[Held]) -> dict[str, bool]:
    """What holds of the last look, beside the first, which is after the warm-up."""
    first, last = held[0], held[-1]
    return {
        "memory": last.rss_mib <= first.rss_mib * MEMORY_MAY_GROW,
        "blocks": last.blocks <= first.blocks * BLOCKS_MAY_GROW,
        "keys": all(last.keys[role] <= first.keys[role] for role in first.keys),
        "sockets": last.sockets <= first.sockets,
        "threads": last.threads <= first.threads,
        "tasks": last.tasks <= first.tasks,
    }


def main() -> None:
    """`make soak`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refreshes", type=int, default=REFRESHES)
    count = parser.parse_args().refreshes
    began = time.monotonic()
    result: dict[str, object] = {"refreshes": count, "holds": False}
    try:
        with contained(), installed(SETTINGS) as (here, upstream), Progress(console=Console(stderr=True)) as progress:
            upstream.tell("median/0.01")
            command = [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "bench.watched",
                "worker",
                "-n",
                "su@%h",
                "-Q",
                "su,su.bulk",
            ]
            worker = Process("worker-su", command, here.directory / "worker-su.log", here.environment).start()
            try:
                soak = Soak(here, worker)
                held = asyncio.run(soak.run(count, progress))
            finally:
                worker.stop()
        holds = verdict(held)
        result |= {
            "holds": all(holds.values()), **{f"{name}_holds": value for name, value in holds.items()},
            "seconds": round(time.monotonic() - began), "not_taken": soak.not_taken,
            "at_rest": [asdict(one) for one in held],
        }  # fmt: skip
    except Exception as error:  # noqa: BLE001 - the last line says so
        result["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(result))
    sys.exit(0 if result["holds"] else 1)


if __name__ == "__main__":
    main()
