"""Brokers that outgrow one machine, as processes: RabbitMQ, and a Redis with a replica and three Sentinels."""

import os
import shutil
import socket
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import redis

from demo import tokens
from demo.installation import PROJECT, Process, find_redis, free_port, installation, listens, wait_for
from domain.cpr import Cpr
from simulators import citizens

LIB = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Where Debian has the program itself; the one on PATH changes to another user first."""


def answers_amqp(port):
    """RabbitMQ listens before it serves."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            connection.settimeout(1)
            return bool(connection.recv(1))
    except OSError:
        return False


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory):
    """The URL of a RabbitMQ of our own. Without one the tests are skipped, except where everything has to be there."""
    program = str(LIB) if LIB.exists() else shutil.which("rabbitmq-server")
    if program is None or shutil.which("epmd") is None:
        why = "there is no rabbitmq-server on this machine (Debian: apt-get install rabbitmq-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("rabbitmq")
    port, names = free_port(), free_port()
    (directory / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n", encoding="utf-8")
    (directory / "plugins").write_text("[].", encoding="utf-8")
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"test-{os.getpid()}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
    }
    # In the foreground, so that RabbitMQ starts none that would outlive it.
    epmd = Process("epmd", ["epmd", "-port", str(names)], directory / "epmd.log", environment).start()
    server = Process("rabbitmq", [program], directory / "rabbitmq.log", environment).start()
    try:
        wait_for(lambda: server.has_logged("completed with") and answers_amqp(port), "rabbitmq", 120)
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        server.stop()
        epmd.stop()


class Replicated:
    """A Redis with a replica, watched by three Sentinels that agree by two."""

    def __init__(self, directory, stack):
        self.servers = [Redis(directory / name, stack) for name in ("first", "second")]
        with self.servers[1].client() as replica:
            replica.replicaof("127.0.0.1", self.servers[0].port)
        self.ports = [free_port() for _ in range(3)]
        for port in self.ports:
            configuration = directory / f"sentinel-{port}.conf"
            configuration.write_text(
                f"port {port}\nbind 127.0.0.1\nsentinel monitor mymaster 127.0.0.1 {self.servers[0].port} 2\n"
                "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 5000\n",
                encoding="utf-8",
            )
            command = [find_redis(), str(configuration), "--sentinel"]
            sentinel = Process("sentinel", command, directory / f"sentinel-{port}.log", {}).start()
            stack.callback(sentinel.stop)
        wait_for(self._all_know_each_other, "the sentinels")

    @property
    def url(self):
        return ";".join(f"sentinel://127.0.0.1:{port}/0" for port in self.ports)

    def master(self):
        with redis.Redis(port=self.ports[0], socket_timeout=5) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name("mymaster")[1])

    def kill_master(self):
        """SIGKILL; returns when the Sentinels have made the replica the master."""
        port = self.master()
        next(server for server in self.servers if server.port == port).process.kill()
        wait_for(lambda: self.master() != port, "the failover")

    def _all_know_each_other(self):
        try:
            for port in self.ports:
                with redis.Redis(port=port, socket_timeout=5) as sentinel:
                    state = sentinel.sentinel_master("mymaster")
                    if state["num-slaves"] != 1 or state["num-other-sentinels"] != 2:
                        return False
        except redis.RedisError:
            return False
        return True


class Redis:
    """A Redis whose configuration is its own: Sentinel has every server rewrite its file after a failover."""

    def __init__(self, directory, stack):
        directory.mkdir()
        self.port = free_port()
        shutil.copy(PROJECT / "config" / "redis" / "broker.conf", directory / "redis.conf")
        command = [find_redis(), str(directory / "redis.conf"), "--port", str(self.port), "--bind", "127.0.0.1"]
        self.process = Process(
            "redis", [*command, "--dir", str(directory)], directory / "redis.log", {}
        ).start()  # fmt: skip
        stack.callback(self.process.stop)
        wait_for(lambda: listens(self.port), "redis")

    def client(self):
        return redis.Redis(port=self.port, socket_timeout=5)


@pytest.fixture(scope="module")
def replicated(tmp_path_factory):
    with ExitStack() as stack:
        yield Replicated(tmp_path_factory.mktemp("sentinel"), stack)


class Api:
    """The portal's API over HTTP, as a portal uses it."""

    def __init__(self, here):
        self._here = here
        self._pem = (here.directory / "signing-key.pem").read_bytes()
        self._client = httpx.Client(base_url=here.portal_url, timeout=30)

    def call(self, method, path, *, cpr=citizens.EXAMPLE.cpr, scope=f"{tokens.SCOPE} ops:read", **more):
        token = tokens.sign(
            self._pem, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(cpr), contact_groups=[12],
            education_order=False, scope=scope, lasts=timedelta(hours=1),
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return self._client.request(method, path, headers=headers, **more)

    def sections(self, register, cpr=citizens.EXAMPLE.cpr):
        """The states of a register's sections on the page."""
        page = self.call("GET", "/v1/overview", cpr=cpr).json()
        return {
            section["state"]
            for overview in page["overviews"]
            for section in overview["sections"]
            if section["register"] == register
        }

    def close(self):
        self._client.close()


@pytest.fixture
def install(tmp_path, empty_redis):
    """Starts an installation whose broker is at `url`, all else being in the test's own Redis servers."""
    with ExitStack() as stack:

        def make(url):
            values = {"BROKER_URL": url, "COORDINATION_URL": empty_redis["broker"].url}
            here = stack.enter_context(installation(tmp_path, values))
            here.use_redis(empty_redis).start_simulators().start_portal().start_workers()
            here.api = Api(here)
            stack.callback(here.api.close)
            wait_for(lambda: here.api.call("GET", "/readyz").status_code == 200, "a worker for every queue")
            return here

        yield make
