"""pytest-celery's nodes as containers of this project's image, on a network of their own."""

import base64
import secrets
import uuid
from contextlib import contextmanager

import docker
from pytest_celery import CeleryTestBackend, CeleryTestBroker, CeleryTestWorker

from cli.secrets import PATHS
from config.celery import WORKERS
from config.settings import PREFIX, UPSTREAMS
from demo.installation import DEMO_CREDENTIALS, DEMO_TIMES, free_port, wait_for

PORTS = {name: port for port, name in enumerate(("control", *UPSTREAMS), 8100)}


INSIDE = "/run/tls"
"""Where certificates are mounted."""


class Container:
    """One of Docker's, with what pytest-celery asks of its own: names, logs as text, and whether it is ready."""

    def __init__(self, container, url="", ready=""):
        self._container = container
        self._ready = ready
        self.celeryconfig = {"url": url, "host_url": url}
        self.wait()

    def __getattr__(self, name):
        return getattr(self._container, name)

    def logs(self):
        return self._container.logs().decode()

    def ready(self):
        return self.status == "running"

    def restart(self, timeout):
        before = self.logs().count(self._ready)
        self._container.restart(timeout=timeout)
        self.wait(before)

    def wait(self, before=0):
        wait_for(lambda: self.logs().count(self._ready) > before, self._container.name)

    def worker_name(self):
        return self._container.name

    def teardown(self):
        """The installation removes what it started."""


class Containers:
    """As demo.installation.Installation, with containers in place of processes."""

    def __init__(self, tls=None):
        self._tls = tls
        self._docker = docker.from_env()
        self._name = f"registerbro-smoke-{uuid.uuid4().hex[:8]}"
        self._started = []
        self._network = self._docker.networks.create(self._name)
        self._ports = {role: free_port() for role in ("broker", "ledger", "cache")}
        self._control = {name: free_port() for name in PORTS}
        self._secrets = {
            "PEPPER": secrets.token_urlsafe(32),
            "SEALING_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        self.redis = {role: Container(self._redis(role), self.url(role), "Ready to accept") for role in self._ports}
        self.upstreams = {name: f"http://127.0.0.1:{port}" for name, port in self._control.items()}
        command = ["python", "-m", "simulators", "--host", "0.0.0.0", "--port", *(f"{n}={p}" for n, p in PORTS.items())]
        published = {f"{PORTS[name]}/tcp": ("127.0.0.1", port) for name, port in self._control.items()}
        Container(self._run("simulators", "registerbro", command, published), ready="}")

    def url(self, role):
        if self._tls:
            return f"rediss://127.0.0.1:{self._ports[role]}/0?ssl_cert_reqs=required&ssl_ca_certs={self._tls}/ca.pem"
        return f"redis://127.0.0.1:{self._ports[role]}/0"

    def _inner_url(self, role):
        if self._tls:
            return f"rediss://{role}:6379/0?ssl_cert_reqs=required&ssl_ca_certs={INSIDE}/ca.pem"
        return f"redis://{role}:6379/0"

    @property
    def environment(self):
        """For this process: the containers as they are reached from outside."""
        return self._environment(self.url, lambda name: self.upstreams[name])

    def start_worker(self, service):
        queues = ",".join(WORKERS[service])
        command = ["celery", "-A", "workers.app", "worker", "-Q", queues]
        return Container(self._service(f"worker-{service}", command), ready="worker_ready")

    def start_beat(self):
        self._service("beat", ["celery", "-A", "workers.app", "beat"])

    def close(self):
        for container in reversed(self._started):
            container.remove(force=True, v=True)
        self._network.remove()
        self._docker.close()

    def _environment(self, redis_url, upstream_url):
        settings = {
            **{f"{role.upper()}_URL": redis_url(role) for role in self._ports},
            **self._secrets,
            **{
                f"{name.upper()}__BASE_URL": f"{upstream_url(name)}{PATHS.get(name, '')}"
                for name in PORTS
                if name != "control"
            },
            **DEMO_CREDENTIALS,
            **DEMO_TIMES,
        }
        return {PREFIX + name: value for name, value in settings.items()}

    def _service(self, name, command):
        inside = self._environment(self._inner_url, lambda upstream: f"http://simulators:{PORTS[upstream]}")
        inside[f"{PREFIX}AUDIT_DIR"] = "/var/lib/registerbro/audit"
        return self._run(name, "registerbro", command, environment=inside)

    def _redis(self, role):
        command = ["redis-server", f"/etc/registerbro/{role}.conf", "--dir", "/data", "--protected-mode", "no"]
        if self._tls:
            files = (("cert", "server.pem"), ("key", "server.key"), ("ca-cert", "ca.pem"))
            command += ["--port", "0", "--tls-port", "6379", "--tls-auth-clients", "no"]
            command += [part for what, file in files for part in (f"--tls-{what}-file", f"{INSIDE}/{file}")]
        return self._run(role, "registerbro-redis", command, {"6379/tcp": ("127.0.0.1", self._ports[role])})

    def _run(self, name, image, command, ports=None, environment=None):
        container = self._docker.containers.create(
            image,
            command,
            name=f"{self._name}-{name}",
            hostname=name,
            ports=ports or {},
            environment=environment or {},
            volumes={str(self._tls): {"bind": INSIDE, "mode": "ro"}} if self._tls else {},
        )
        self._started.append(container)
        self._network.connect(container, aliases=[name])
        container.start()
        return container


@contextmanager
def installation(_, tls=None):
    it = Containers(tls)
    try:
        yield it
    finally:
        it.close()


def broker(here):
    return CeleryTestBroker(here.redis["broker"])


def backends(here):
    return [CeleryTestBackend(here.redis[role]) for role in ("cache", "ledger")]


def worker(here, service, app):
    return CeleryTestWorker(here.start_worker(service), app=app)
