"""The schedule's night: so many citizens × the four registers of the page, through beat, queues and workers.

    make bench-night [CITIZENS=100000]

Beat takes who is due from the timetable and sends chunks; a worker per register refreshes them; the registers answer
after 200 ms, log-normal. Everything runs on this machine. A hundredth and a tenth of the citizens are done first, for
how it grows. The result is bench/results/night.json.
"""

import argparse
import asyncio
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.harness import (
    REGISTERS,
    Row,
    Target,
    Tree,
    contained,
    failures,
    installed,
    services,
    some_at_a_time,
    start_workers,
)
from bench.people import numbers
from config.celery import WORKERS
from demo.installation import PROJECT, Installation
from domain.cpr import Cpr

CITIZENS = 100_000
WITHIN_MINUTES = 6
REDIS_KIB = 1.1
STALLED_SECONDS = 60
FLAT = 1.05
"""Memory is flat when it ends within 5 % of what it was after a fifth of the work."""
RESULT = PROJECT / "bench" / "results" / "night.json"
AT_ONCE = "400"
"""Calls that may be under way per register, as agreed with it for a night's work; a worker process has a hundred."""


@dataclass(frozen=True)
class Night:
    """What one number of citizens came to; memory in MiB, CPU in seconds by process."""

    citizens: int
    entries: int
    seconds: float
    cpu_seconds: dict[str, float]
    redis_kib_per_entry: float
    memory_over_time: list[dict[str, float]]
    memory_grew: dict[str, float]

    @property
    def per_second(self) -> float:
        """Refreshes per second."""
        return self.entries / self.seconds


class _Watch:
    """Samples of the processes."""

    def __init__(self, here: Installation) -> None:
        servers = {f"redis {role}": server.process.popen.pid for role, server in here.redis.items()}
        ours = {name: process.popen.pid for name, process in here.processes.items()}
        self._trees = {name: Tree(pid) for name, pid in {**servers, **ours}.items()}
        self._cpu = self.cpu()
        self.samples: list[dict[str, float]] = []

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far."""
        return {name: tree.cpu() for name, tree in self._trees.items()}

    def spent(self) -> dict[str, float]:
        """CPU seconds since the beginning."""
        return {name: round(now - self._cpu[name], 2) for name, now in self.cpu().items()}

    def sample(self, done: int) -> None:
        """Takes one; `done` entries are stored."""
        memory = {name: round(tree.all()[0].memory_info().rss / 2**20, 1) for name, tree in self._trees.items()}
        self.samples.append({"done": done, **memory})

    def thinned(self, most: int = 60) -> list[dict[str, float]]:
        """Not more than so many samples, evenly."""
        return self.samples[:: max(1, len(self.samples) // most)]

    def grew(self, entries: int) -> dict[str, float]:
        """By what factor each worker's memory grew from a fifth of the work to its end."""
        first = next(sample for sample in self.samples if sample["done"] >= entries / 5)
        last = self.samples[-1]
        names = [f"worker-{register}" for register in REGISTERS]
        return {name: round(last[name] / first[name], 3) for name in names}


async def _seed(count: int) -> None:
    """Citizens who were active, and whose registers are all due."""
    due = dict.fromkeys(REGISTERS, timedelta(0))
    async with services() as ours:

        async def note(cpr: str) -> None:
            citizen_id = await ours.citizens.remember(Cpr.parse(cpr))
            await ours.timetable.record_activity(citizen_id, timedelta(days=1), None, due)

        await some_at_a_time(note, numbers(count))


def _run(citizens: int, progress: Progress) -> Night:
    """One night, with servers and workers of its own."""
    limits = dict.fromkeys((f"{register.upper()}__ADMISSION__MAX_IN_FLIGHT" for register in REGISTERS), AT_ONCE)
    pace = {f"{register.upper()}__SCHEDULED_PER_SECOND": "1000" for register in REGISTERS}
    entries = citizens * len(REGISTERS)
    with installed({**limits, **pace}) as (here, _), here.redis["cache"].client() as cache:
        task = progress.add_task(f"{citizens:,} citizens", total=entries)
        empty = cache.info("memory")["used_memory"]
        asyncio.run(_seed(citizens))
        start_workers(here, WORKERS)
        here.start_beat()
        watch = _Watch(here)
        # Beside the entries, the cache holds the citizens and two employers' names.
        base, first, last = citizens + 2, 0.0, 0.0
        done, sampled, stalled = 0, 0.0, time.monotonic()
        while done < entries:
            now, before = time.monotonic(), done
            done = max(0, cache.dbsize() - base)
            if done > before:
                first, stalled = first or now, now
            if now - stalled > STALLED_SECONDS:
                raise TimeoutError(f"nothing was stored for {STALLED_SECONDS} s, with {done} of {entries} done")
            if now - sampled >= 1:
                watch.sample(done)
                sampled = now
                if evicted := cache.info("stats")["evicted_keys"]:
                    raise RuntimeError(f"the cache is full, and dropped {evicted} keys, with {done} of {entries} done")
            progress.update(task, completed=done)
            time.sleep(0.05)
        last = time.monotonic()
        if failed := failures(cache):
            raise RuntimeError(f"{failed} fetches failed")
        watch.sample(done)
        used = cache.info("memory")["used_memory"] - empty
        return Night(
            citizens, entries, round(last - first, 2), watch.spent(), round(used / 1024 / entries, 3),
            watch.thinned(), watch.grew(entries),
        )  # fmt: skip


def exponent(nights: list[Night]) -> float:
    """Of the power with which the time grows with the number of citizens, by least squares of the logarithms."""
    points = [(log(night.citizens), log(night.seconds)) for night in nights]
    mean_x, mean_y = (sum(side) / len(points) for side in zip(*points, strict=True))
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)


def _rows(night: Night, **details: Any) -> list[Row]:  # noqa: ANN401 - whatever explains the figures
    minutes = CITIZENS * len(REGISTERS) / night.per_second / 60
    measured = {"measured_citizens": night.citizens, "per_second": round(night.per_second, 1)}
    name = f"{CITIZENS:,} citizens × {len(REGISTERS)} registers overnight"
    return [
        Row.alone("night_minutes", name, Target("at most", WITHIN_MINUTES, "min"), minutes, "min",
                  cpu_seconds=night.cpu_seconds, **measured, **details),
        Row.alone("night_redis", f"{name}: Redis per entry", Target("at most", REDIS_KIB, "KiB"),
                  night.redis_kib_per_entry, "KiB", **measured),
    ]  # fmt: skip


def measure(*, quick: bool) -> list[Row]:
    """A small night, from which a whole one is projected; beside it what the last whole one took."""
    with Progress(disable=True) as progress:
        night = _run(500 if quick else 2000, progress)
    last: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        told = json.loads(RESULT.read_text(encoding="utf-8"))
        last = {name: told[name] for name in ("at", "citizens", "minutes", "exponent", "memory_grew", "holds")}
    return _rows(night, projected=True, last_whole_night=last)


def main() -> None:
    """`make bench-night`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--citizens", type=int, default=CITIZENS)
    citizens = parser.parse_args().citizens
    began, load = datetime.now(UTC), os.getloadavg()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with contained(), Progress(*columns) as progress:
        nights = [_run(count, progress) for count in _sizes(citizens)]
    whole = nights[-1]
    rows = _rows(whole)
    flat = max(whole.memory_grew.values()) <= FLAT
    result = {
        "at": began.isoformat(timespec="seconds"), "load": load, "cores": os.cpu_count(),
        "citizens": whole.citizens, "minutes": round(whole.seconds / 60, 2),
        "exponent": round(exponent(nights), 3) if len(nights) > 1 else None,
        "memory_grew": whole.memory_grew, "memory_is_flat": flat,
        "holds": flat and all(row.holds for row in rows),
        "rows": [row.as_json() for row in rows],
        "nights": [asdict(night) for night in nights],
    }  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in result.items() if name not in {"nights", "rows"}}))


def _sizes(citizens: int) -> Iterable[int]:
    return sorted({max(100, citizens // 100), max(100, citizens // 10), citizens})


if __name__ == "__main__":
    main()
