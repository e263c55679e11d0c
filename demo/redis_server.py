"""Redis server on this machine, with the configuration and the users of one of the three roles."""

import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import redis

from demo.processes import PROJECT, TRIES, CannotStart, Process, find_redis, free_port, kind_of, wait_for
from registerbro.storage import acl


class RedisServer:
    """A redis-server with the configuration of `role` (broker, ledger or cache).

    `passwords`, by service, give it users, each of which may do only what `registerbro.storage.acl` says. `options` are
    arguments of the server's command line, and override its configuration.
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
        """Its URL; that of the operator, where the server has users."""
        return self.url_for(acl.OPERATOR)

    def url_for(self, service: str) -> str:
        """Its URL with the password of `service`; a service without one signs in as nobody."""
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
        """Starts it, on its former port if it had one, and returns when it answers. Raises CannotStart."""
        program = find_redis()
        users = self._write_users(program)
        # A copy, because Redis writes to its file when a Sentinel makes it a replica.
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
        """Ends it, if it runs; a frozen server is woken first."""
        self.process.signal(signal.SIGCONT)
        self.process.stop()

    def client(self) -> "redis.Redis":
        """A client of it, for tests that read its keys."""
        return redis.Redis.from_url(self.url)


def _answers(port: int) -> bool:
    try:
        with redis.Redis(port=port, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.AuthenticationError:
        # Authentication required: the server is up.
        return True
    except redis.RedisError:
        return False
