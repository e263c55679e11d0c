"""Fetches per second of a worker that has one core: ours and those of bench/peers, turn and turn about.

Each contender fetches SU of so many citizens, 200 ms log-normal, checks the answers and stores them in the same Redis.
Its worker stands still while its queue is filled; then it is timed over the middle of what it stores. The worker has
one core to itself, and everything else (Redis, the register, this process) the other.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

import psutil

from bench.harness import Row, Target, Tree, Upstream, failures, installed, on_core, services, some_at_a_time, until
from bench.load import ceiling
from bench.people import numbers
from demo.installation import PROJECT, Installation, Process
from domain.cpr import Cpr
from registerbro.refresh import schedule
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.storage.keys import ACTIVE_KEY, due_key, running_key, taken_key

AT_ONCE = 800
"""Fetches under way, which each contender is told in its own way. They make 3,700 per second at the most: with fewer,
the register's 200 ms would be what is measured of the fastest, and that flatters the others."""
PREFORK = 96
"""Celery's processes: what gave it the most on a fast core, and keeps any core busy; they take 3.9 GB."""
DRAMATIQ_THREADS = 400
"""Dramatiq's threads, each of which holds a message: what gave it the most."""
REST_SECONDS = 0.3
PATIENCE = {"SU__ATTEMPT_TIMEOUT": "PT30S", "SU__TOTAL_TIMEOUT": "PT60S", "SU__ADMISSION__SLOW_CALL": "PT30S"}
"""So many under way on a slow core take longer than a register may."""
FROM, TO = 0.25, 0.75
"""The part of the fetches that is timed: in it as many begin as end, when there are at least four times AT_ONCE."""
OTHERS, WORKERS = 0, 1
"""The cores."""
AGAINST = {
    "arq": "arq",
    "taskiq": "taskiq (RedisStreamBroker)",
    "celery": f"Celery, prefork {PREFORK}, synchronous httpx",
    "dramatiq": f"Dramatiq, AsyncIO, {DRAMATIQ_THREADS} threads",
    "plain": "plain asyncio, aiohttp and redis, without a queue",
}
PEERS_PYTHON = {
    "arq": PROJECT / ".venv-bench-arq" / "bin" / "python",
    "taskiq": PROJECT / ".venv-bench" / "bin" / "python",
    "celery": Path(sys.executable),
    "dramatiq": PROJECT / ".venv-bench" / "bin" / "python",
    "plain": Path(sys.executable),
}


@dataclass(frozen=True)
class Timed:
    """What one turn gave; CPU in ms per fetch, of the worker and of the Redis servers."""

    per_second: float
    cpu: float
    redis: float


@dataclass
class Contender:
    """One worker that is measured: how its queue is filled, and how it is let go."""

    name: str
    count: int
    pid: int
    fill: Callable[[int], Awaitable[None]]
    go: Callable[[], None]
    turns: list[Timed] = field(default_factory=list)
    memory: int = 0

    @property
    def tree(self) -> Tree:
        """Its processes."""
        return Tree(self.pid)

    @property
    def costs(self) -> dict[str, float]:
        """What its turns came to."""
        return {
            "cpu_ms_per_fetch": round(median(turn.cpu for turn in self.turns), 2),
            "redis_cpu_ms_per_fetch": round(median(turn.redis for turn in self.turns), 2),
            "mib": round(self.memory / 2**20),
        }


class Track:
    """Where the contenders run."""

    def __init__(self, here: Installation, upstream: Upstream, stack: ExitStack) -> None:
        self._here = here
        self._stack = stack
        self._store = stack.enter_context(here.redis["cache"].client())
        self._broker = stack.enter_context(here.redis["broker"].client())
        self._servers = [psutil.Process(server.process.popen.pid) for server in here.redis.values()]
        self._environment = {
            "PEERS_UPSTREAM": f"{upstream.url}/v1/su-forloeb",
            "PEERS_STORE": here.redis["cache"].url,
            # In a database of its own, since stock Celery has keys of the same names as ours.
            "PEERS_BROKER": here.redis["broker"].url.removesuffix("0") + "1",
            "PEERS_AT_ONCE": str(AT_ONCE),
            "PYTHONPATH": str(PROJECT),
        }

    def ours(self, count: int) -> tuple[Contender, Contender]:
        """A worker of SU's queues: fetches for citizens who wait, one message each, and the schedule's, in chunks."""
        with on_core(WORKERS):
            pid = self._here.start_worker("su").popen.pid
        return (
            Contender("ours", count, pid, self._stopped(pid, ask_for), _continued(pid)),
            Contender("ours, scheduled", count, pid, self._stopped(pid, schedule_all), _continued(pid)),
        )

    def queue(self, name: str, count: int, publish: str, *work: str) -> Contender:
        """A worker of one of the other queues; `publish` is the module that fills it.

        It starts on all cores, as Celery's many processes take long enough even so, and has one from its warm-up on.
        """
        python = str(PEERS_PYTHON[name])
        with on_core(OTHERS, WORKERS):
            worker = Process(name, [python, *work], self._here.directory / f"{name}.log", self._environment).start()
        self._stack.callback(worker.stop, 5)
        self._stack.callback(_continued(worker.popen.pid))
        publish_all = [python, "-m", *publish.split()]

        async def fill(citizens: int) -> None:
            await asyncio.to_thread(
                subprocess.run, [*publish_all, str(citizens)], check=True, cwd=PROJECT,
                env={**os.environ, **self._environment},
            )  # fmt: skip

        pid = worker.popen.pid
        return Contender(name, count, pid, self._stopped(pid, fill), _continued(pid))

    def _stopped(self, pid: int, fill: Callable[[int], Awaitable[None]]) -> Callable[[int], Awaitable[None]]:
        """Fills a queue while its worker stands still; first the worker comes to rest, as nothing may be under way."""

        async def fill_while_stopped(count: int) -> None:
            await until(lambda: not self._broker.exists("wanted:{su}", "unacked"), 20, "the worker's rest")
            await asyncio.sleep(REST_SECONDS)
            Tree(pid).signal(signal.SIGSTOP)
            await fill(count)

        return fill_while_stopped

    def plain(self, count: int) -> Contender:
        """No queue: it is told on its standard input how much to do."""
        with on_core(WORKERS):
            process = subprocess.Popen(
                [str(PEERS_PYTHON["plain"]), "-m", "bench.peers.plain"], env={**os.environ, **self._environment},
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, bufsize=1,
            )  # fmt: skip
        self._stack.callback(_end, process)
        wanted = [0]

        async def fill(citizens: int) -> None:
            wanted[0] = citizens

        return Contender("plain", count, process.pid, fill, lambda: print(wanted[0], file=process.stdin))

    async def warm_up(self, *contenders: Contender) -> None:
        """Two turns that do not count: connections are opened, and threads and processes started."""
        for count in (20, 400):
            for contender in contenders:
                await self.turn(contender, count)
                contender.tree.run_on(WORKERS)

    async def turn(self, contender: Contender, count: int | None = None) -> Timed:
        """Fills the queue, lets the worker go, and times it until everything is stored."""
        count = count or contender.count
        self._store.flushall()
        await contender.fill(count)
        already = self._store.dbsize()
        contender.go()
        await self._stored(contender, already + FROM * count)
        done, began, cpu, servers = self._store.dbsize(), time.monotonic(), contender.tree.cpu(), self._redis_cpu()
        await self._stored(contender, already + TO * count)
        fetched, seconds = self._store.dbsize() - done, time.monotonic() - began
        timed = Timed(
            fetched / seconds,
            1000 * (contender.tree.cpu() - cpu) / fetched,
            1000 * (self._redis_cpu() - servers) / fetched,
        )
        await self._stored(contender, already + count)
        if failed := failures(self._store):
            raise RuntimeError(f"{contender.name}: {failed} fetches failed")
        contender.memory = max(contender.memory, contender.tree.memory())
        return timed

    async def _stored(self, contender: Contender, count: float) -> None:
        def enough() -> bool:
            if not psutil.pid_exists(contender.pid):
                raise RuntimeError(f"{contender.name} has ended")
            return self._store.dbsize() >= count

        await until(enough, 60, contender.name)

    def _redis_cpu(self) -> float:
        return sum(sum(server.cpu_times()[:2]) for server in self._servers)


def _continued(pid: int) -> Callable[[], None]:
    def go() -> None:
        with suppress(psutil.NoSuchProcess):
            Tree(pid).signal(signal.SIGCONT)

    return go


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    process.wait(10)


async def ask_for(count: int) -> None:
    """As `registerbro.refresh.request` does for a citizen who waits."""
    from registerbro.refresh.register import send  # noqa: PLC0415 - it wants the app to be there

    async with services() as ours:

        async def ask(cpr: str) -> str:
            citizen_id = await ours.citizens.remember(Cpr.parse(cpr))
            await ours.leases.acquire(citizen_id, "su", timedelta(hours=1), CITIZENS_WISH)
            return citizen_id

        for citizen_id in await some_at_a_time(ask, numbers(count)):
            send("su", citizen_id, "su")


async def schedule_all(count: int) -> None:
    """As beat has it done."""
    async with services() as ours:
        # Who was refreshed in the last turn is due in hours.
        await ours.coordination.delete(ACTIVE_KEY, *(of("su") for of in (due_key, taken_key, running_key)))

        async def note(cpr: str) -> None:
            citizen_id = await ours.citizens.remember(Cpr.parse(cpr))
            await ours.timetable.record_activity(citizen_id, timedelta(hours=1), None, {"su": timedelta(0)})

        await some_at_a_time(note, numbers(count))
        async with asyncio.timeout(60):
            sent = 0
            while sent < count:
                sent += await schedule.run(ours, "su")


def measure(*, quick: bool) -> list[Row]:
    """The five rows of the table."""
    return asyncio.run(_measure(*((1, 3200) if quick else (5, 4000))))


async def _measure(rounds: int, count: int) -> list[Row]:
    with ExitStack() as stack:
        stack.enter_context(on_core(OTHERS))
        here, upstream = stack.enter_context(installed(PATIENCE | {"WORKER_CONCURRENCY": str(AT_ONCE)}))
        track = Track(here, upstream, stack)
        # One after the other, since what starts takes the core from who is warming up.
        ours, scheduled = track.ours(count)
        await track.warm_up(ours, scheduled)
        arq = track.queue("arq", count, "bench.peers.with_arq publish", "-m", "bench.peers.with_arq", "work")
        await track.warm_up(arq)
        taskiq = track.queue(
            "taskiq", count, "bench.peers.with_taskiq", "-m", "taskiq", "worker", "bench.peers.with_taskiq:broker",
            "--workers", "1", "--max-async-tasks", str(AT_ONCE), "--log-level", "WARNING",
        )  # fmt: skip
        await track.warm_up(taskiq)
        celery = track.queue(
            "celery", count // 4, "bench.peers.with_celery", "-m", "celery", "-A", "bench.peers.with_celery", "worker",
            "--concurrency", str(PREFORK), "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
        )  # fmt: skip
        await track.warm_up(celery)
        dramatiq = track.queue(
            "dramatiq", count // 2, "bench.peers.with_dramatiq", "-m", "dramatiq", "bench.peers.with_dramatiq",
            "--processes", "1", "--threads", str(DRAMATIQ_THREADS),
        )  # fmt: skip
        await track.warm_up(dramatiq)
        plain = track.plain(count)
        await track.warm_up(plain)
        contenders = (ours, arq, taskiq, celery, dramatiq, scheduled, plain)
        for _ in range(rounds):
            for contender in contenders:
                contender.turns.append(await track.turn(contender))
        most = await asyncio.to_thread(ceiling, upstream, WORKERS)
    return [
        *(_row(f"message_{peer.name}", "one message per citizen and register", target, ours, peer, most)
          for peer, target in ((arq, 1.5), (taskiq, 1.1), (celery, 4.5), (dramatiq, 1.0))),
        _row("scheduled_plain", "scheduled refresh, in chunks", 0.6, scheduled, plain, most),
    ]  # fmt: skip


def _row(  # noqa: PLR0917
    id_: str, name: str, target: float, ours: Contender, theirs: Contender, most: float
) -> Row:
    pairs = [(one.per_second, other.per_second) for one, other in zip(ours.turns, theirs.turns, strict=True)]
    by_cpu = median(other.cpu / one.cpu for one, other in zip(ours.turns, theirs.turns, strict=True))
    return Row.compared(
        id_, f"{name}, beside {AGAINST[theirs.name]}", Target("at least", target), pairs, "fetches/s on one core",
        AGAINST[theirs.name], ratio_by_cpu_time=round(by_cpu, 3), ours_costs=ours.costs, theirs_costs=theirs.costs,
        upstream_ceiling_per_second=most,
    )  # fmt: skip
