"""Servers, workers and stores for the transport's tests."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from kombu import Connection, pools

from redis_transport import Names, Store, install
from tests.redis_transport.app import SETTINGS, make_app
from tests.redis_transport.servers import Process, RedisServer, wait_for

MakeStore = Callable[..., Store]
Connect = Callable[..., Connection]


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    """Redis URLs mean the library's transport in these tests."""
    install()
    yield
    # Connections that Celery keeps for the next one to publish are to the servers, and as good, as this test left them.
    pools.reset()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """Two servers, for this test process: the broker, and one where tasks note what they do."""
    directory = tmp_path_factory.mktemp("redis")
    servers = {name: RedisServer(name, directory).start() for name in ("broker", "notes")}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def empty_servers(servers: dict[str, RedisServer]) -> dict[str, RedisServer]:
    """The two servers, with nothing in them."""
    for server in servers.values():
        with server.client() as client:
            client.flushall()
    return servers


@pytest.fixture
def server(empty_servers: dict[str, RedisServer]) -> RedisServer:
    """The broker, with nothing in it."""
    return empty_servers["broker"]


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    """For looking into the broker."""
    with server.client() as client:
        yield client


@pytest.fixture
def make_store(server: RedisServer) -> Iterator[MakeStore]:
    """Makes stores, each with a connection of its own."""
    with ExitStack() as stack:

        def make(names: Names | None = None, max_deliveries: int = 5) -> Store:
            return Store(stack.enter_context(server.client()), names, max_deliveries)

        yield make


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store()


@pytest.fixture
def connect(server: RedisServer) -> Iterator[Connect]:
    """Makes kombu connections; `transport` names another class than ours."""

    def end(connection: Connection) -> None:
        """In order: a channel that is closed while it consumes goes on for what it delivered."""
        for channel in list(connection.transport.channels):
            for tag in list(channel._consumers):
                channel.basic_cancel(tag)
        connection.release()

    with ExitStack() as stack:

        def make(url: str = "", transport: str | None = None, **options: object) -> Connection:
            options.setdefault("socket_timeout", 5)
            connection = Connection(url or server.url, transport=transport, transport_options=options)
            stack.callback(end, connection)
            return connection

        yield make


@pytest.fixture
def publish(client: redis.Redis) -> Callable[..., str]:
    """Puts a message into a queue as a stock publisher does, without a wake-up, and returns its tag."""

    def put(queue: str = "q", *, priority: int = 0, key: str | None = None) -> str:
        tag = str(uuid4())
        message = {
            "body": "e30=", "content-type": "application/json", "content-encoding": "utf-8",
            "headers": {"task": "workers.do", "id": f"id-{tag}", "argsrepr": "secret", "meta": {}},
            "properties": {
                "delivery_tag": tag, "body_encoding": "base64", "priority": priority, "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
            },
        }  # fmt: skip
        client.lpush(key or queue, json.dumps(message))
        return tag

    return put


class Crew:
    """Workers of one broker, and the app that publishes to it."""

    def __init__(self, broker: RedisServer, notes: RedisServer, directory: Path, stack: ExitStack) -> None:
        self.broker = broker
        self.notes = stack.enter_context(notes.client())
        self.client = stack.enter_context(broker.client())
        self._notes_url = notes.url
        self._directory = directory
        self._stack = stack
        self._started = 0

    def start(
        self, which: str = "ours", *arguments: str, url: str = "", clock: bool = False, **options: object
    ) -> Process:
        """Starts a worker, and returns when it consumes. `clock`: by a server's clock that can be set."""
        worker = self.begin(which, *arguments, url=url, clock=clock, **options)
        wait_for(lambda: worker.has_logged("ready."), worker.name)
        return worker

    def begin(
        self, which: str = "ours", *arguments: str, url: str = "", clock: bool = False, **options: object
    ) -> Process:
        """Starts a worker."""
        self._started += 1
        settings = {
            "which": which, "broker": url or self.broker.url, "notes": self._notes_url, "options": options,
            "clock": clock,
        }  # fmt: skip
        worker = Process(
            f"{which} worker {self._started}",
            [sys.executable, "-W", "default", "-m", "celery", "-A", "tests.redis_transport.app", "worker",
             "-n", f"w{self._started}@%h", "-l", "INFO",
             "--without-mingle", *(arguments or ("-P", "threads", "-c", "4"))],
            self._directory / f"worker-{self._started}.log",
            {SETTINGS: json.dumps(settings)},
        ).start()  # fmt: skip
        self._stack.callback(worker.kill)
        return worker

    def send(self, task: str, *names: str, which: str = "ours", url: str = "", **options: object) -> None:
        """Publishes a task for each name."""
        app = make_app(which, url or self.broker.url)
        try:
            for name in names:
                app.send_task(task, (name,), **options)
        finally:
            app.close()

    def ran(self, name: str | None = None) -> int:
        """How many runs there were, of one name or in all."""
        runs = [run.decode() for run in self.notes.lrange("ran", 0, -1)]
        return runs.count(name) if name else len(runs)

    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is delivered."""
        return not self.client.exists("check", "unacked", "unacked_index")


@pytest.fixture
def crew(empty_servers: dict[str, RedisServer], tmp_path: Path) -> Iterator[Crew]:
    with ExitStack() as stack:
        yield Crew(empty_servers["broker"], empty_servers["notes"], tmp_path, stack)
