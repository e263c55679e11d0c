"""Measures the transport beside kombu's own: `python bench/transport.py`.

Empty tasks, alternating, medians of five; the time from publication to start with an idle worker; what an idle worker
costs; and how soon a killed worker's long task starts again. What other queues do is in bench/fetches.py.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import redis
from celery import Celery

from demo.installation import Process, RedisServer, wait_for
from redis_transport import install

SETTINGS = "TRANSPORT_BENCH_SETTINGS"
QUEUE = "bench"
TRANSPORTS = ("ours", "stock")
PROJECT = Path(__file__).resolve().parent.parent


def make_app(broker: str, which: str, **options: object) -> Celery:
    """What both transports are measured with."""
    if which == "ours":
        install()
    app = Celery("transport_bench", broker=broker, set_as_current=False)
    app.conf.update(
        broker_transport=None if which == "ours" else "kombu.transport.redis:Transport",
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

    def start(self, which: str, **options: object) -> Process:
        """Starts a worker, without waiting for it."""
        number = len(self.workers)
        told = {"broker": self.broker.url, "which": which, "notes": self.notes.url, "options": options}
        worker = Process(
            f"{which} worker",
            [sys.executable, "-m", "celery", "-A", "bench.transport", "worker", "-n", f"w{number}@%h",
             "-l", "WARNING"],
            self.directory / f"worker-{number}.log",
            {SETTINGS: json.dumps(told)},
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


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=["throughput", "latency", "idle", "redelivery"], nargs="*")
    arguments = parser.parse_args()
    wanted = arguments.only or ["throughput", "latency", "idle", "redelivery"]
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


if __name__ == "__main__":
    main()
