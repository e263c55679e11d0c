"""Whole installation on this machine: three Redis servers, simulators, workers, beat and the portal as processes.

The demo, the tests and the benchmarks use it. It takes free ports and needs no root, and the end of its block stops
every process that it started, by its id.
"""

import base64
import json
import secrets
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from config.celery import WORKERS, service_of
from config.settings import PREFIX
from demo import tokens
from demo.processes import (
    PROJECT,
    CannotStart,
    Process,
    ServerKind,
    embedded_redis,
    find_redis,
    free_port,
    free_ports,
    kind_of,
    listens,
    wait_for,
)
from demo.redis_server import RedisServer
from registerbro.storage import acl

__all__ = [
    "PROJECT",
    "CannotStart",
    "Installation",
    "Process",
    "RedisServer",
    "ServerKind",
    "embedded_redis",
    "find_redis",
    "free_port",
    "free_ports",
    "installation",
    "kind_of",
    "listens",
    "wait_for",
]


class Installation:
    """The processes of one installation, with secrets of its own; `installation` makes one, and stops its processes."""

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
        """The settings of this installation, as environment variables; those of the operator, where Redis has users."""
        return self.environment_of(acl.OPERATOR)

    def environment_of(self, service: str) -> dict[str, str]:
        """The settings of one service, named as in `registerbro.storage.acl`."""
        settings = {
            **{f"{role.upper()}_URL": server.url_for(service) for role, server in self.redis.items()},
            **{f"{name}_FILE": str(self._secret_file(name)) for name in self._secrets},
            "AUDIT_DIR": str(self._audit_directory_of(service)),
            **{f"{name.upper()}__BASE_URL": url for name, url in self.upstreams.items() if name in CALLED},
            **DEMO_CREDENTIALS,
            **DEMO_TIMES,
            **self._log_in,
            **self.settings,
        }
        return {PREFIX + name: value for name, value in settings.items()}

    def _audit_directory_of(self, service: str) -> Path:
        """A service's audit folder. Where Redis has users, a worker's is within the portal's, as in containers."""
        if not self._passwords or not service.startswith("worker-"):
            return self.audit_directory
        own = self.audit_directory / service
        own.mkdir(exist_ok=True)
        return own

    def _secret_file(self, name: str) -> Path:
        return self.directory / name.lower()

    @property
    def _log_in(self) -> dict[str, str]:
        """The settings with which the portal signs and checks its own tokens, once it was started."""
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
        """Gives Redis users: each service signs in as itself, and may do only what `registerbro.storage.acl` says."""
        self._passwords = {
            server: {service: secrets.token_urlsafe(24) for service, grants in acl.GRANTS.items() if server in grants}
            for server in acl.SERVERS
        }
        return self

    def use_redis(self, servers: Mapping[str, RedisServer]) -> Self:
        """Uses servers that the caller has started and will stop, in place of own ones."""
        self.redis = dict(servers)
        return self

    def start_redis(self, *options: str) -> Self:
        """Starts the three Redis servers; `options` are arguments of each one's command line."""
        for role in ("broker", "ledger", "cache"):
            self.redis[role] = RedisServer(role, self.directory, self._passwords.get(role), options).start()
            self._stack.callback(self.redis[role].stop)
        return self

    def start_simulators(self, *options: str) -> Self:
        """Starts the upstreams' simulators and notes their addresses; `options` are arguments of their command line."""
        ready = self.directory / "simulators.json"
        process = self._run("simulators", [sys.executable, "-m", "simulators", *options], {}, log=ready)
        wait_for(lambda: process.has_logged("}\n"), "simulators")
        self.upstreams = json.loads(ready.read_text(encoding="utf-8").splitlines()[0])
        return self

    def start_worker(self, service: str, name: str | None = None, *arguments: str) -> Process:
        """Starts a worker of one service's queues; `name` distinguishes several of a service."""
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

        Every caller that reaches it may log in as a constructed citizen.
        """
        pem = tokens.new_key()
        self.signing_key.touch(mode=0o600)
        self.signing_key.write_bytes(pem)
        self.signing_key.with_name("jwks.json").write_text(json.dumps(tokens.jwks(pem)), encoding="utf-8")
        port = free_port()
        self.portal_url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "cli.app", "serve", "--port", str(port)]
        process = self._run("portal", command, self.environment_of("portal"))
        # No log has this character: the call raises CannotStart, with the reason, once the process has ended.
        wait_for(lambda: listens(port) or process.has_logged("\0"), "portal")
        return self

    def start_flower(self) -> Self:
        """Starts Flower on a free port, and returns when it listens; `flower_url` has its address and password."""
        port, password = free_port(), secrets.token_urlsafe(9)
        self.settings |= {"FLOWER__USER": "demo", "FLOWER__PASSWORD": password, "FLOWER__PORT": str(port)}
        self.flower_url = f"http://demo:{password}@127.0.0.1:{port}"
        process = self._run("flower", [*_CELERY, "flower"], self.environment_of("flower"))
        # No log has this character: the call raises CannotStart, with the reason, once the process has ended.
        wait_for(lambda: listens(port) or process.has_logged("\0"), "flower")
        return self

    def start_beat(self, name: str = "beat") -> Process:
        """Starts beat; `name` distinguishes several."""
        return self._run(name, [*_CELERY, "beat"], self.environment_of("beat"))

    def _run(self, name: str, command: list[str], environment: Mapping[str, str], log: Path | None = None) -> Process:
        process = Process(name, command, log or self.directory / f"{name}.log", environment).start()
        self.processes[name] = process
        self._stack.callback(process.stop)
        return process

    def stop(self) -> None:
        """Stops all processes, the last started first; all are asked to end before the first is waited for."""
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
"""The credentials that the simulators accept; no other system does."""

DEMO_TIMES = {"UDB__EVENTS_AFTER": "PT0.001S"}
"""How soon the simulators know all: Ungedatabasen's has a citizen's events with the subscription."""

_CELERY = [sys.executable, "-m", "celery", "-A", "workers.app"]


@contextmanager
def installation(directory: Path, settings: Mapping[str, str] | None = None) -> Iterator[Installation]:
    """An installation with its files in `directory`; `settings` (names without prefix) override its own.

    The block starts the processes that it wants; its end stops all of them.
    """
    here = Installation(directory, settings or {})
    try:
        yield here
    finally:
        here.stop()
