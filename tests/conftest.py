"""What all tests stand on: real Redis servers, and settings as the environment would give them."""

import base64
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import certifi
import hypothesis
import pytest
from celery import Celery
from structlog.testing import capture_logs

from config.settings import PREFIX, Settings, load
from demo.installation import DEMO_TIMES, RedisServer
from registerbro.services import Services
from registerbro.storage.redis_client import Client, connect
from simulators.authority import Authority
from tests.redis_keys import left_behind
from tests.support import app_for_environment, examples

PEPPER = "a pepper for tests alone"
SEALING_KEY = base64.urlsafe_b64encode(b"k" * 32).decode()

# A property is about what holds, not about how fast it is tried on a busy machine.
hypothesis.settings.register_profile("project", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("project")

MakeSettings = Callable[..., Settings]

SYSTEM = {
    "bench/test_harness.py": {"test_whatever_a_measurement_started_ends_with_it"},
    "cli/test_breaker.py": {"test_one_citizen_cuts_a_register_off_once_and_not_for_ever"},
    "cli/test_session.py": set(),
    "registerbro/messaging/test_backlog.py": {"test_beat_itself_sends_nothing_to_a_queue_that_is_long"},
    "registerbro/storage/coordination/test_queue_liveness.py": {
        "test_a_queue_whose_tasks_are_carried_out_is_consumed_also_without_beat",
    },
    "registerbro/telemetry/test_trace.py": {
        "test_the_trace_of_a_request_reaches_the_register_and_each_step_is_recorded_without_a_citizen",
        "test_without_an_endpoint_nothing_is_recorded_and_the_logs_can_be_joined_all_the_same",
    },
    "test_contracts.py": set(),
    "workers/booking_vendor/test_tasks.py": {
        "test_after_seven_days_of_outage_it_is_given_up_listed_and_delivered_by_replay",
    },
    "workers/process/test_beat.py": {
        "test_over_three_days_in_which_summer_time_begins_or_ends_each_minute_has_its_messages",
    },
    "workers/eindkomst/test_oracle.py": {
        "test_the_answers_that_are_drawn_reach_everything_that_they_are_drawn_for",
    },
}
"""Tests beside `system/` that start an installation, or take long: by file; of a file without names, all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what belongs to the system tier, and the properties, which that tier tries with more examples."""
    here = Path(__file__).parent
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        path = item.path.relative_to(here).as_posix()
        listed = SYSTEM.get(path)
        if path.startswith("system/") or (listed is not None and (not listed or item.originalname in listed)):
            item.add_marker("system")
        drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if drawn or path == "portal/api/test_contract.py":
            item.add_marker("property")


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """httpx trusts one authority of this test process: no test asks a public server, and the public authorities take
    15 ms of each client to read.
    """
    file = Authority(tmp_path_factory.mktemp("authorities"), "of this test process").file
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(file))
        yield


@pytest.fixture
def logged():
    """Every event that is logged."""
    with capture_logs() as events:
        yield events


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    """A rules file that changes nothing yet."""
    path = tmp_path / "rules.toml"
    path.write_text("# the default ones\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RedisServer]]:
    """The three servers of an installation, for this test process."""
    directory = tmp_path_factory.mktemp("redis")
    servers = {role: RedisServer(role, directory).start() for role in ("broker", "ledger", "cache")}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def empty_redis(
    redis_servers: dict[str, RedisServer], request: pytest.FixtureRequest
) -> Iterator[dict[str, RedisServer]]:
    """The three servers with nothing in them; at the end, every key there is one that some service may touch."""
    for server in redis_servers.values():
        with server.client() as client:
            client.flushall()
    yield redis_servers
    # The tests of the transport name queues of their own.
    for role, server in redis_servers.items() if "transport" not in str(request.path) else ():
        if found := left_behind(role, server):
            pytest.fail(f"no service may touch these keys on the {role}'s server: {found}")


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
            # The simulators have a citizen's events with the subscription.
            **DEMO_TIMES,
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
async def cache(empty_redis: dict[str, RedisServer]) -> AsyncIterator[Client]:
    """A client of the cache, in the test's own event loop."""
    async with connect(empty_redis["cache"].url) as client:
        yield client


@pytest.fixture
async def coordination(empty_redis: dict[str, RedisServer]) -> AsyncIterator[Client]:
    """A client of the broker's server, on which processes agree with one another."""
    async with connect(empty_redis["broker"].url) as client:
        yield client


@pytest.fixture
async def ledger(empty_redis: dict[str, RedisServer]) -> AsyncIterator[Client]:
    """A client of the ledger, without the promises of `Ledger`."""
    async with connect(empty_redis["ledger"].url) as client:
        yield client


@pytest.fixture
async def services(app: Celery, make_settings: MakeSettings) -> AsyncIterator[Services]:
    """The collaborators of the test's own event loop."""
    it = Services(make_settings())
    yield it
    await it.close()
