"""Kills workers and Redis while tasks run, and counts what is lost and what runs twice: `python bench/queue_check.py`.

For each seed and each transport: a Redis with an append-only file, two workers, and a publisher that tries again until
Redis has taken its message. Workers die by SIGKILL at random moments, Redis is killed and started again twice, and
frozen once. Every run of a task is counted in another Redis, which nobody touches. Lost is what never ran although
nothing is left in the queues. The last line is a JSON object.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import redis
from celery import Celery

from demo.installation import Process, RedisServer, wait_for
from redis_transport import install

BROKER, COUNTS, TRANSPORT = "QUEUE_CHECK_BROKER", "QUEUE_CHECK_COUNTS", "QUEUE_CHECK_TRANSPORT"
QUEUE = "check"
TASK = "queue_check.count"
TRANSPORTS = ("ours", "stock")
WORKERS = 2
TASK_SECONDS = 0.01
FROZEN_SECONDS = 4
REDELIVERY_SECONDS = 5
STALLED_SECONDS = 90


def make_app(broker: str, which: str) -> Celery:
    """The same for both transports; each brings back a dead worker's messages after a few seconds."""
    if which == "ours":
        install()
    app = Celery("queue_check", broker=broker, set_as_current=False)
    app.conf.update(
        broker_transport=None if which == "ours" else "kombu.transport.redis:Transport",
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 2,
            "redelivery_time": REDELIVERY_SECONDS,
            "visibility_timeout": REDELIVERY_SECONDS,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
        },
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        task_publish_retry=False,
        worker_pool="threads",
        worker_concurrency=10,
        worker_prefetch_multiplier=1,
    )
    return app


if BROKER in os.environ:
    app = make_app(os.environ[BROKER], os.environ[TRANSPORT])
    counts = redis.Redis.from_url(os.environ[COUNTS])

    @app.task(name=TASK)
    def count(number: int) -> None:
        """Takes a moment, and counts that it ran."""
        time.sleep(TASK_SECONDS)
        counts.hincrby("runs", str(number), 1)


@dataclass
class Outcome:
    """What became of the tasks of one run."""

    lost: int = 0
    twice: int = 0
    dead: int = 0
    in_flight_at_kills: int = 0
    seconds: float = 0.0
    kills: int = 0

    def add(self, other: "Outcome") -> None:
        """Adds up."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)


class Run:
    """One run: its servers, its workers, and its publisher."""

    def __init__(self, which: str, directory: Path, messages: int, kills: int, seed: int) -> None:
        self.which = which
        self.messages = messages
        self.kills = kills
        self.random = random.Random(seed)  # noqa: S311 - chance, and no secret
        self.directory = directory
        self.outcome = Outcome()
        self.stack = ExitStack()
        self.broker = self._server("broker")
        self.counts = self._server("cache")
        self.workers: list[Process] = []
        self.app = make_app(self.broker.url, which)
        self.stack.callback(self.app.close)

    def _server(self, role: str) -> RedisServer:
        server = RedisServer(role, self.directory).start()
        self.stack.callback(server.stop)
        return server

    def start_worker(self) -> Process:
        """Starts a worker; `ready` tells when it consumes."""
        number = len(self.workers)
        environment = {BROKER: self.broker.url, COUNTS: self.counts.url, TRANSPORT: self.which}
        process = Process(
            f"worker {number}",
            [
                sys.executable,
                "-m",
                "celery",
                "-A",
                "bench.queue_check",
                "worker",
                "-n",
                f"w{number}@%h",
                "-l",
                "INFO",
                "--without-mingle",
            ],
            self.directory / f"worker-{number}.log",
            environment,
        ).start()
        self.workers.append(process)
        self.stack.callback(process.stop)
        return process

    def ran(self) -> int:
        """How many tasks have run at least once."""
        with self.counts.client() as client:
            return int(client.hlen("runs"))

    def in_flight(self) -> int:
        """How many messages are delivered and not acknowledged at this moment."""
        try:
            with redis.Redis(port=self.broker.port, socket_timeout=2) as client:
                return int(client.hlen("unacked"))
        except redis.RedisError:
            return 0

    def publish(self) -> None:
        """Publishes all tasks; each is published again until Redis has answered."""
        for number in range(self.messages):
            while True:
                try:
                    self.app.send_task(TASK, (number,))
                    break
                except Exception:  # noqa: BLE001 - whatever went wrong, it was not taken for certain
                    time.sleep(0.1)

    def run(self) -> Outcome:
        """All of it."""
        began = time.monotonic()
        with self.stack:
            for _ in range(WORKERS):
                self.start_worker()
            publisher = threading.Thread(target=self.publish)
            publisher.start()
            for at, event in self._plan():
                wait_for(lambda at=at: self.ran() >= at, f"{at} tasks run", STALLED_SECONDS)  # type: ignore[misc]
                event()
            publisher.join()
            wait_for(self._settled, "empty queues", STALLED_SECONDS)
            with self.counts.client() as client:
                runs = {int(number): int(times) for number, times in client.hgetall("runs").items()}
            with self.broker.client() as client:
                self.outcome.dead = int(client.hlen("unacked_dead"))
        self.outcome.lost = self.messages - len(runs)
        self.outcome.twice = sum(times - 1 for times in runs.values())
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _plan(self) -> list[tuple[int, Callable[[], None]]]:
        """What happens after how many tasks."""
        latest = int(self.messages * 0.9)
        events: list[tuple[int, Callable[[], None]]] = [
            (self.random.randrange(1, latest), self.kill_worker) for _ in range(self.kills)
        ]
        events += [(int(self.messages * part), self.kill_redis) for part in (0.3, 0.6)]
        events.append((int(self.messages * 0.45), self.freeze_redis))
        return sorted(events, key=lambda event: event[0])

    def _settled(self) -> bool:
        with self.broker.client() as client:
            return not client.exists(QUEUE, "unacked")

    def kill_worker(self) -> None:
        """SIGKILL for one of the workers, at no particular moment, and another starts."""
        running = [worker for worker in self.workers if worker.runs]
        victim = self.random.choice(running)
        time.sleep(self.random.uniform(0, 0.05))
        self._note_kill()
        victim.kill()
        self.start_worker()

    def kill_redis(self) -> None:
        """SIGKILL for the broker, and it starts again from its file."""
        self._note_kill()
        self.broker.process.kill()
        time.sleep(self.random.uniform(0, 2))
        self.broker.start()

    def freeze_redis(self) -> None:
        """The broker answers nothing for a while."""
        self._note_kill()
        self.broker.process.signal(SIGSTOP)
        time.sleep(FROZEN_SECONDS)
        self.broker.process.signal(SIGCONT)

    def _note_kill(self) -> None:
        self.outcome.kills += 1
        self.outcome.in_flight_at_kills += self.in_flight()


def check(which: str, messages: int, kills: int, seed: int) -> Outcome:
    """One run with one transport."""
    with tempfile.TemporaryDirectory(prefix="queue-check-") as directory:
        return Run(which, Path(directory), messages, kills, seed).run()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=2500)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    totals = {which: Outcome() for which in TRANSPORTS}
    for seed in range(1, arguments.seeds + 1):
        for which in TRANSPORTS:
            outcome = check(which, arguments.messages, arguments.kills, seed)
            totals[which].add(outcome)
            print(
                f"seed {seed} {which:5}: {outcome.lost} lost, {outcome.twice} runs too many, "
                f"{outcome.in_flight_at_kills} in flight at {outcome.kills} kills, {outcome.dead} dead letters, "
                f"{outcome.seconds:.0f} s",
                flush=True,
            )
    result = {which: {"lost": total.lost, "twice": total.twice} for which, total in totals.items()}
    print(json.dumps({**result, "seeds": arguments.seeds}))
    sys.exit(1 if totals["ours"].lost else 0)


if __name__ == "__main__":
    main()
