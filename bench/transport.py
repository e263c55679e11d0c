"""Measures the transport beside kombu's own, and a whole fetch beside other queues: `python bench/transport.py`.

Empty tasks, alternating, medians of five; the time from publication to start with an idle worker; what an idle worker
costs; how soon a killed worker's long task starts again; and fetches that take 200 ms, stored in Redis, beside arq and
taskiq, when `--arq` and `--taskiq` name interpreters with them. These were arq 0.28.0 (with redis 5.3.1), and taskiq
0.13.0 with taskiq-redis 1.2.4 (redis 8.1.0), both with hiredis 3.5.0 and aiohttp 3.14.5, each in its own environment.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import redis
from celery import Celery

from ops.local import Process, RedisServer, wait_for
from workers import transport

SETTINGS = "TRANSPORT_BENCH_SETTINGS"
QUEUE = "bench"
TRANSPORTS = ("ours", "stock")
PROJECT = Path(__file__).resolve().parent.parent


def make_app(broker: str, which: str, **options: object) -> Celery:
    """What both transports are measured with."""
    (transport.install if which == "ours" else transport.uninstall)()
    app = Celery("transport_bench", broker=broker, set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2} | options,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        worker_pool="threads",
        worker_concurrency=100,
        worker_prefetch_multiplier=1,
    )
    return app


if SETTINGS in os.environ:
    settings = json.loads(os.environ[SETTINGS])
    app = make_app(settings["broker"], settings["which"], **settings["options"])
    notes = redis.Redis.from_url(settings["notes"])

    @app.task(name="empty")
    def empty() -> None:
        """Nothing at all."""

    @app.task(name="latency")
    def latency(published: float) -> None:
        """Notes how long ago, by the machine's one monotonic clock, it was published."""
        notes.rpush("latency", time.monotonic() - published)

    @app.task(name="long")
    def long(seconds: float) -> None:
        """Takes its time."""
        notes.rpush("started", time.monotonic())
        time.sleep(seconds)
        notes.rpush("ended", time.monotonic())

    def _loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        return loop

    @app.task(name="fetch")
    def fetch(number: int) -> None:
        """A coroutine on the one event loop of the process, for which the thread waits: as the refreshes do it."""
        from bench import peers  # noqa: PLC0415 - needed for this task alone

        global _fetch_loop  # noqa: PLW0603 - made by the first task
        with _making:
            _fetch_loop = _fetch_loop or _loop()
        asyncio.run_coroutine_threadsafe(peers.fetch(number), _fetch_loop).result()

    _making = threading.Lock()
    _fetch_loop: asyncio.AbstractEventLoop | None = None


class Bench:
    """Servers and workers of one measurement."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self.stack = stack
        self.broker = self._server("broker")
        self.notes = self._server("cache")
        self.broker_client = stack.enter_context(self.broker.client())
        self.notes_client = stack.enter_context(self.notes.client())
        self.workers: list[Process] = []

    def _server(self, role: str) -> RedisServer:
        server = RedisServer(role, self.directory).start()
        self.stack.callback(server.stop)
        return server

    def start(
        self, which: str, *arguments: str, environment: dict[str, str] | None = None, **options: object
    ) -> Process:
        """Starts a worker, without waiting for it."""
        number = len(self.workers)
        told = {"broker": self.broker.url, "which": which, "notes": self.notes.url, "options": options}
        worker = Process(
            f"{which} worker",
            [sys.executable, "-m", "celery", "-A", "bench.transport", "worker", "-n", f"w{number}@%h",
             "-l", "WARNING", *arguments],
            self.directory / f"worker-{number}.log",
            {SETTINGS: json.dumps(told), **(environment or {})},
        ).start()  # fmt: skip
        self.stack.callback(worker.kill)
        self.workers.append(worker)
        return worker

    def consumes(self) -> bool:
        """Whether a worker waits at the queue."""
        return any(client["cmd"] == "brpop" for client in self.broker_client.client_list())

    def is_done(self) -> bool:
        """Whether nothing waits and nothing is delivered."""
        return not self.broker_client.exists(QUEUE, "unacked")

    def drain(self, count: int) -> float:
        """Tasks per second, from the first that leaves the queue until the last is acknowledged."""
        while self.broker_client.llen(QUEUE) >= count:
            time.sleep(0.002)
        began = time.monotonic()
        while not self.is_done():
            time.sleep(0.01)
        return count / (time.monotonic() - began)


@contextmanager
def bench() -> Iterator[Bench]:
    """Fresh servers, and an end for all that was started."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
        yield Bench(Path(directory), stack)


def throughput(which: str, count: int) -> float:
    """Empty tasks per second."""
    with bench() as here:
        app = make_app(here.broker.url, which)
        for _ in range(count):
            app.send_task("empty")
        app.close()
        here.start(which)
        return here.drain(count)


def latencies(which: str, count: int) -> list[float]:
    """Milliseconds from publication to start, one task at a time at odd moments."""
    with bench() as here:
        here.start(which)
        wait_for(here.consumes, "the worker")
        app = make_app(here.broker.url, which)
        chance = random.Random(1)  # noqa: S311 - chance, and no secret
        for number in range(count):
            time.sleep(chance.uniform(0.02, 0.06))
            app.send_task("latency", (time.monotonic(),))
            wait_for(lambda number=number: here.notes_client.llen("latency") > number, "the task")  # type: ignore[misc]
        app.close()
        return sorted(float(value) * 1000 for value in here.notes_client.lrange("latency", 0, -1))


def idle(which: str, seconds: float) -> dict[str, float]:
    """What an idle worker does each second, on the server and with the processor."""
    with bench() as here:
        worker = here.start(which)
        wait_for(here.consumes, "the worker")
        time.sleep(5)
        began, calls, cpu = time.monotonic(), _calls(here.broker_client), _cpu(worker.popen.pid)
        time.sleep(seconds)
        took = time.monotonic() - began
        now = _calls(here.broker_client)
        done = {name: now[name] - calls.get(name, 0) for name in now}
        done["info"] = 0
        return {
            "commands": sum(done.values()) / took,
            "of these Celery's events": done.get("publish", 0) / took,
            "cpu ms": (_cpu(worker.popen.pid) - cpu) * 1000 / took,
        }


def _calls(client: redis.Redis) -> dict[str, int]:
    stats = client.info("commandstats")
    return {name.removeprefix("cmdstat_"): value["calls"] for name, value in stats.items()}


def _cpu(pid: int) -> float:
    """Seconds of processor time of all threads; the scheduler counts nanoseconds."""
    return sum(int(path.read_text("ascii").split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def redelivery() -> dict[str, float]:
    """A task of 60 s with a redelivery time of 5 s: its runs, and after a kill at 30 s the time to the next start."""
    with bench() as here:
        for _ in range(2):
            here.start("ours", redelivery_time=5)
        wait_for(here.consumes, "the workers")
        app = make_app(here.broker.url, "ours")
        app.send_task("long", (60,))
        wait_for(lambda: here.notes_client.llen("ended") == 1, "the end of the task", within=90)
        wait_for(here.is_done, "the acknowledgement")
        runs = here.notes_client.llen("started")
        here.notes_client.delete("started", "ended")
        app.send_task("long", (60,))
        wait_for(lambda: here.notes_client.llen("started") == 1, "the start of the task")
        app.close()
        time.sleep(30)
        tag = here.broker_client.zrange("unacked_index", 0, 0)[0]
        score = here.broker_client.zscore("unacked_index", tag)
        holder = here.broker_client.zrangebyscore("unacked_consumers", score, score)[0].decode()
        killed = time.monotonic()
        next(worker for worker in here.workers if f"-{worker.popen.pid}-" in holder).kill()
        wait_for(lambda: here.notes_client.llen("started") == 2, "the second start")
        return {"runs": runs, "seconds to the next start": float(here.notes_client.lindex("started", 1)) - killed}


def peers(pythons: dict[str, str], count: int, repeats: int) -> dict[str, float]:
    """Fetches of 200 ms per second, from the queue to Redis, of one process with 100 at a time."""
    rates: dict[str, list[float]] = {name: [] for name in (*TRANSPORTS, *pythons)}
    for _ in range(repeats):
        for name, found in rates.items():
            found.append(_fetches(name, pythons.get(name, sys.executable), count))
            print(f"  {name}: {found[-1]:.0f}/s", flush=True)
    return {name: median(found) for name, found in rates.items()}


def _fetches(name: str, python: str, count: int) -> float:
    with bench() as here:
        upstream = Process(
            "upstream", [python, str(PROJECT / "bench" / "peers.py"), "upstream"], here.directory / "upstream.log", {}
        ).start()
        here.stack.callback(upstream.stop)
        wait_for(lambda: upstream.has_logged("\n"), "upstream")
        environment = {
            "PEERS_UPSTREAM": upstream.log.read_text(encoding="ascii").strip(),
            "PEERS_STORE": here.notes.url,
            "PEERS_BROKER": here.broker.url,
        }
        if name in TRANSPORTS:
            app = make_app(here.broker.url, name)
            for number in range(count):
                app.send_task("fetch", (number,))
            app.close()
            here.start(name, environment=environment)
        else:
            command = [python, str(PROJECT / "bench" / "peers.py"), name]
            subprocess.run([*command, "publish", str(count)], env={**os.environ, **environment}, check=True)
            worker = Process(name, [*command, "work"], here.directory / f"{name}.log", environment).start()
            here.stack.callback(worker.stop)
        wait_for(lambda: here.notes_client.dbsize() > 0, name)
        began, already = time.monotonic(), here.notes_client.dbsize()
        wait_for(lambda: here.notes_client.dbsize() >= count, name, within=120)
        return (count - already) / (time.monotonic() - began)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--arq", metavar="PYTHON")
    parser.add_argument("--taskiq", metavar="PYTHON")
    parser.add_argument("--only", choices=["throughput", "latency", "idle", "redelivery", "peers"], nargs="*")
    arguments = parser.parse_args()
    wanted = arguments.only or ["throughput", "latency", "idle", "redelivery", "peers"]
    if "throughput" in wanted:
        rates: dict[str, list[float]] = {which: [] for which in TRANSPORTS}
        for _ in range(arguments.repeats):
            for which, found in rates.items():
                found.append(throughput(which, arguments.messages))
        print(
            f"empty tasks per second: {json.dumps({w: [round(rate) for rate in found] for w, found in rates.items()})}"
        )
        ours, stock = (median(rates[which]) for which in TRANSPORTS)
        print(f"  medians: ours {ours:.0f}, stock {stock:.0f}, ratio {ours / stock:.2f}", flush=True)
    if "latency" in wanted:
        for which in TRANSPORTS:
            found = latencies(which, 200)
            late = found[int(len(found) * 0.95)]
            print(f"latency of an idle worker, {which}: p50 {median(found):.1f} ms, p95 {late:.1f} ms", flush=True)
    if "idle" in wanted:
        for which in TRANSPORTS:
            costs = ", ".join(f"{name} {value:.2f}" for name, value in idle(which, 60).items())
            print(f"idle, each second, {which}: {costs}", flush=True)
    if "redelivery" in wanted:
        print(f"a task of 60 s with a redelivery time of 5 s: {json.dumps(redelivery())}", flush=True)
    if "peers" in wanted:
        pythons = {name: getattr(arguments, name) for name in ("arq", "taskiq") if getattr(arguments, name)}
        found_rates = peers(pythons, 2000, arguments.repeats)
        print("fetches per second: " + ", ".join(f"{name} {rate:.0f}" for name, rate in found_rates.items()))


if __name__ == "__main__":
    main()
