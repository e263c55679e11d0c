"""pytest-celery's nodes as processes of this machine: they have what its own nodes ask of a container."""

import signal
from collections.abc import Callable

from pytest_celery import CeleryTestBackend, CeleryTestBroker, CeleryTestWorker

from demo.installation import Installation, Process, RedisServer, wait_for


class ProcessContainer:
    """A process that stands for a container: named, ended, started again, and read."""

    def __init__(self, name: str, url: str = "") -> None:
        self.name = self.id = name
        self.celeryconfig = {"url": url, "host_url": url}

    @property
    def process(self) -> Process:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    @property
    def status(self) -> str:
        return "running" if self.process.runs else "exited"

    def kill(self, signal: str | int = signal.SIGKILL) -> None:
        number = getattr(_signals, signal) if isinstance(signal, str) else _signals.Signals(signal)
        self.process.signal(number)
        self.process.popen.wait()

    def restart(self, timeout: int) -> None:
        self.process.stop(timeout)
        self.start()

    def logs(self) -> str:
        return self.process.log.read_text("utf-8", "replace")

    def ready(self) -> bool:
        return self.process.runs

    def reload(self) -> None:
        """What is known of a process is never out of date."""

    def teardown(self) -> None:
        """The installation stops what it started."""


class RedisContainer(ProcessContainer):
    def __init__(self, server: RedisServer) -> None:
        super().__init__(server.role, server.url)
        self._server = server

    @property
    def process(self) -> Process:
        return self._server.process

    def start(self) -> None:
        self._server.start()


class WorkerContainer(ProcessContainer):
    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        super().__init__(name)
        self._start = start
        self._process = start()
        self._wait()

    @property
    def process(self) -> Process:
        return self._process

    def start(self) -> None:
        self._process.log.write_text("", "utf-8")
        self._process = self._start()
        self._wait()

    def worker_name(self) -> str:
        return self.name

    def _wait(self) -> None:
        wait_for(lambda: self._process.has_logged("worker_ready"), self.name)


_signals = signal


def broker(here: Installation) -> CeleryTestBroker:
    return CeleryTestBroker(RedisContainer(here.redis["broker"]))


def backends(here: Installation) -> list[CeleryTestBackend]:
    """Where results are: this system keeps them in its cache and on its ledger, and Celery's backend has none."""
    return [CeleryTestBackend(RedisContainer(here.redis[role])) for role in ("cache", "ledger")]


def worker(here: Installation, service: str, app) -> CeleryTestWorker:
    return CeleryTestWorker(WorkerContainer(f"worker-{service}", lambda: here.start_worker(service)), app=app)
