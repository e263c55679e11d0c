"""What all tests stand on: real Redis servers, and settings as the environment would give them."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from celery import Celery
from structlog.testing import capture_logs

from config.settings import PREFIX, Settings, load
from ops.local import RedisServer
from tests.support import app_for_environment
from workers.runtime import Services

PEPPER = "a pepper for tests alone"
SEALING_KEY = base64.urlsafe_b64encode(b"k" * 32).decode()

# A property is about what holds, not about how fast it is tried on a busy machine.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")

MakeSettings = Callable[..., Settings]

WHOLE = (
    "audit/test_whole.py", "browser", "chaos/test_refusals.py", "chaos/test_reports.py", "fuzz/test_bombs.py",
    "hostile", "leak/test_check.py", "ops/test_breaker.py", "ops/test_cli.py", "ops/test_console.py",
    "ops/test_demo.py", "ops/test_doctor.py", "ops/test_keys.py", "ops/test_reports.py", "ops/test_status.py",
    "portal/test_server.py", "scaling", "smoke", "test_flower.py", "test_worker.py", "transport/test_workers.py",
)  # fmt: skip
"""Where the tests are that start many processes: two thirds of the time, and one in twenty of the tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks those as `whole`, so that a run may go without them."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.path.relative_to(here).as_posix().startswith(WHOLE):
            item.add_marker("whole")


@pytest.fixture
def logged():
    """Every event that is logged."""
    with capture_logs() as events:
        yield events


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """The three servers of an installation, for this test process."""
    directory = tmp_path_factory.mktemp("redis")
    servers = {role: RedisServer(role, directory).start() for role in ("broker", "ledger", "cache")}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def empty_redis(redis_servers: dict[str, RedisServer]) -> dict[str, RedisServer]:
    """The three servers with nothing in them."""
    for server in redis_servers.values():
        with server.client() as client:
            client.flushall()
    return redis_servers


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of ours."""
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def audit_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the test's audit log."""
    return tmp_path_factory.mktemp("audit")


@pytest.fixture
def make_settings(
    clean_environment: pytest.MonkeyPatch, empty_redis: dict[str, RedisServer], audit_dir: Path
) -> MakeSettings:
    """Makes settings for the test's Redis servers; names are given without the prefix, and go before the defaults."""

    def make(**own: str) -> Settings:
        values = {
            "BROKER_URL": empty_redis["broker"].url,
            "LEDGER_URL": empty_redis["ledger"].url,
            "CACHE_URL": empty_redis["cache"].url,
            "PEPPER": PEPPER,
            "SEALING_KEYS": SEALING_KEY,
            "AUDIT_DIR": str(audit_dir),
            # Tests run as whoever they run as, in a container as its root.
            "OPERATOR": "tester",
        } | own
        for name in [name for name in values if f"{name}_FILE" in own]:
            del values[name]
            clean_environment.delenv(PREFIX + name, raising=False)
        for name, value in values.items():
            clean_environment.setenv(PREFIX + name, value)
        return load()

    return make


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def app(make_settings: MakeSettings) -> Celery:
    """The Celery app, whose broker is the test's own: its tasks are published there, and stay until somebody looks."""
    make_settings()
    return app_for_environment()


@pytest.fixture
async def services(app: Celery, make_settings: MakeSettings) -> AsyncIterator[Services]:
    """The collaborators of the test's own event loop."""
    it = Services(make_settings())
    yield it
    await it.close()
