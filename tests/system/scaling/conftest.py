"""A broker that outgrows one machine, as processes: a Redis with a replica and three Sentinels."""

import shutil
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest
import redis

from demo import tokens
from demo.installation import PROJECT, Process, find_redis, free_port, installation, listens, wait_for
from domain.cpr import Cpr
from simulators import citizens


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
