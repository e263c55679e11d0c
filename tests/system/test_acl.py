"""Least privilege on Redis: everything works with each service as its own user, and none can do more than its row."""

import os
import subprocess
import sys
from contextlib import nullcontext

import httpx
import pytest
import redis
from redis.exceptions import NoPermissionError

from config.celery import WORKERS
from demo import tokens
from demo.installation import find_redis, installation, kind_of, wait_for
from domain.cpr import Cpr
from registerbro.storage import acl
from registerbro.storage.coordination import partial_answers
from registerbro.storage.redis_client import connect
from simulators import citizens
from simulators.control import Control

pytestmark = pytest.mark.xdist_group("processes")


KIND = kind_of(find_redis())
EVERYTHING_ALLOWED = ("--enable-debug-command", "yes") * (KIND.as_redis >= (7, 0))
"""Options with which the server itself refuses no command, so that it is the list of users that does."""
READS_ARE_KNOWN = KIND.as_redis >= acl.READ_ONLY_KEYS_SINCE


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    # Else the worker of reports would not read whose id a citizen has.
    settings = {"BOOKING_VENDOR__SEND_CPR": "true"}
    with installation(tmp_path_factory.mktemp("installation"), settings) as it:
        it.use_users().start_redis(*EVERYTHING_ALLOWED).start_simulators().start_workers().start_flower().start_portal()
        yield it


@pytest.fixture
def headers(here):
    pem = (here.directory / "signing-key.pem").read_bytes()
    token = tokens.sign(
        pem, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(citizens.EXAMPLE.cpr),
        contact_groups=[12], education_order=False, scope=f"{tokens.SCOPE} ops:read ops:write",
    )  # fmt: skip
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def api(here, headers):
    with httpx.Client(base_url=here.portal_url, headers=headers, timeout=60) as it:
        yield it


def as_user(here, server, user):
    return redis.Redis.from_url(here.redis[server].url_for(user))


def test_everything_works_with_each_service_as_itself(here, api):
    wait_for(lambda: api.get("/v1/overview").json()["complete"], "the page")
    states = [one["state"] for overview in api.get("/v1/overview").json()["overviews"] for one in overview["sections"]]
    assert states == ["ready"] * 7
    report = api.post("/v1/fault-reports", json={"text": "Hej."}, headers={"Idempotency-Key": "one"})
    wait_for(lambda: api.get(report.headers["location"]).json()["status"] == "delivered", "the delivery")
    with Control(here.upstreams) as control:
        assert control.calls("booking_vendor").calls[-1].citizen == citizens.EXAMPLE.cpr
    wait_for(lambda: api.get("/readyz").json()["ready"], "signs of life")
    assert api.put("/v1/banner/dismissed").status_code == 204
    assert api.post("/v1/overview/refresh").status_code == 202
    assert api.put("/v1/registers/su/override", json={"override": None}).status_code == 200
    assert api.get("/v1/registers").json()["registers"]["su"]["queues"]["su"]["consumed"] is True
    metrics = httpx.get(f"{here.portal_url}/metrics", timeout=60).text
    assert [line for line in metrics.splitlines() if line.startswith("registerbro_redis_up")] == [
        f'registerbro_redis_up{{server="{server}"}} 1.0' for server in ("coordination", "ledger", "cache", "broker")
    ]
    wait_for(
        lambda: len(httpx.get(f"{here.flower_url}/api/workers").json()) == len(WORKERS), "Flower's list of workers"
    )
    for name, process in here.processes.items():
        assert "audit_not" not in process.log.read_text("utf-8", "replace"), name
        assert "NoPermission" not in process.log.read_text("utf-8", "replace"), name
        assert "no permissions" not in process.log.read_text("utf-8", "replace"), name


CHECKED_BY = {
    "udb": "worker-udb", "su": "worker-su", "eindkomst": "worker-eindkomst", "cvr": "worker-eindkomst",
    "ydelse": "worker-ydelse", "visitering": "worker-visitering", "kontaktforloeb": "worker-kontaktforloeb",
    "jobsearch": "worker-jobsearch", "borgerindsats": "worker-borgerindsats", "booking_vendor": "portal",
}  # fmt: skip
"""Upstream → the service whose rights, certificate and audit log its check needs (docs/cli.md)."""


@pytest.mark.parametrize(("upstream", "service"), CHECKED_BY.items())
def test_an_upstreams_interface_is_checked_with_the_rights_of_its_own_service(here, upstream, service):
    ended = subprocess.run(
        [sys.executable, "-m", "cli.app", "conformance", upstream, "--by", "tester"],
        input=f"{citizens.EXAMPLE.cpr}\n", env=dict(os.environ) | here.environment_of(service),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    # A server that was slow to answer is a warning, and not what is refused here.
    told = [line for line in ended.stderr.splitlines() if '"detail": "TimeoutError"' not in line]
    assert (ended.returncode, told) == (0, [])


DANGEROUS = [
    ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"), ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "REWRITE"),
    ("DEBUG", "SLEEP", "0"), ("SHUTDOWN", "NOSAVE"), ("MONITOR",), ("ACL", "LIST"), ("ACL", "SETUSER", "x", "on"),
    ("SCRIPT", "FLUSH"), ("EVAL", "return 1", "0"), ("RANDOMKEY",), ("DBSIZE",),
    ("REPLICAOF", "NO", "ONE"), ("SAVE",), ("MIGRATE", "127.0.0.1", "1", "k", "0", "1"),
    ("CLIENT", "KILL", "TYPE", "normal"), ("SWAPDB", "0", "1"), ("SLOWLOG", "GET"), ("MODULE", "LIST"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("user", "server"), [(user, server) for user, grants in acl.GRANTS.items() for server in grants]
)
def test_no_user_may_do_what_is_dangerous(here, user, server):
    with as_user(here, server, user) as client:
        client.ping()
        for command in DANGEROUS:
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)


@pytest.mark.parametrize(
    ("user", "server"),
    [(user, server) for user, grants in acl.GRANTS.items() for server in acl.SERVERS if server not in grants],
)
def test_a_service_without_business_on_a_server_cannot_even_sign_in(here, user, server):
    url = f"redis://{user}:x@127.0.0.1:{here.redis[server].port}/0"
    with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


@pytest.mark.parametrize("server", acl.SERVERS)
def test_nobody_may_do_nothing_and_health_may_ping(here, server):
    with redis.Redis(port=here.redis[server].port) as nobody, pytest.raises(redis.AuthenticationError):
        nobody.get("key")
    with redis.Redis(port=here.redis[server].port, username=acl.HEALTH, password="") as health:
        assert health.ping()
        with pytest.raises(NoPermissionError):
            health.get("key")


@pytest.mark.parametrize(
    ("server", "user", "keys"),
    [
        ("ledger", "portal", ("{reports}:one", "{reports}:two")),
        ("broker", "worker-udb", ("lease:{udb}:one", "wanted:{udb}")),
    ],
)
def test_what_a_script_or_a_transaction_wrote_is_there_after_a_restart(here, server, user, keys):
    """Redis replays its file as the user `default`, and leaves out what that one may not do."""
    script = "redis.call('SET', KEYS[1], '1') redis.call('SET', KEYS[2], '1') return 1"
    with as_user(here, server, user) as client:
        client.register_script(script)(keys)
        with client.pipeline(transaction=True) as transaction:
            transaction.incr(keys[0]).incr(keys[1]).execute()
    here.redis[server].stop()
    here.redis[server].start()
    with as_user(here, server, user) as client:
        assert client.mget(keys) == [b"2", b"2"]
        client.delete(*keys)


async def test_what_a_worker_notes_of_a_partial_answer_the_portal_shows(here):
    worker, portal = (connect(here.redis["broker"].url_for(user)) for user in ("worker-udb", "portal"))
    try:
        await partial_answers.record(worker, "udb", {"period": 3})
        assert (await partial_answers.status(portal, ["udb"]))["udb"].items == 3
    finally:
        await worker.delete("partial:udb")
        await worker.aclose()
        await portal.aclose()


FORBIDDEN = [
    ("worker-udb", "cache", ("HGETALL", "entry:{x}:su")),
    ("worker-udb", "cache", ("HSET", "entry:{x}:eindkomst", "data", "x")),
    ("worker-udb", "cache", ("GET", "employer:12345678")),
    ("worker-udb", "broker", ("GET", "lease:{su}:x")),
    ("worker-udb", "broker", ("GET", "redbeat::lock")),
    ("worker-udb", "broker", ("HGETALL", "admission:{su}")),
    ("worker-udb", "ledger", ("HGETALL", "{reports}:report:x")),
    ("worker-udb", "ledger", ("GET", "override:su")),
    ("worker-udb", "ledger", ("DEL", "overrides")),
    ("worker-booking-vendor", "ledger", ("DEL", "override:udb")),
    ("worker-udb", "ledger", ("DEL", "audit:heads:worker-su")),
    ("worker-udb", "ledger", ("HSET", "audit:floors:portal", "x", "y")),
    ("portal", "broker", ("HGETALL", "unacked")),
    ("flower", "broker", ("HDEL", "unacked", "x")),
    ("flower", "broker", ("LPUSH", "udb", "x")),
    ("flower", "broker", ("SREM", "_kombu.binding.registerbro", "x")),
    ("beat", "broker", ("PUBLISH", "/0.celery.pidbox", "{}")),
    ("portal", "broker", ("PUBLISH", "/0.celery.pidbox", "{}")),
    ("worker-udb", "ledger", ("GET", "banner:{x}")),
    ("worker-udb", "ledger", ("HGETALL", "quarantine:su")),
    ("worker-udb", "ledger", ("HDEL", "quarantine:eindkomst", "x")),
    ("worker-booking-vendor", "ledger", ("HGETALL", "quarantine:udb")),
    ("worker-booking-vendor", "broker", ("GET", "lease:{udb}:x")),
    ("beat", "broker", ("HGETALL", "unacked")),
    ("beat", "broker", ("GET", "lease:{udb}:x")),
    ("flower", "broker", ("GET", "redbeat::lock")),
    ("flower", "broker", ("HGETALL", "admission:{udb}")),
    ("portal", "broker", ("GET", "redbeat::lock")),
    ("portal", "cache", ("GET", "anything")),
    ("worker-udb", "broker", ("HGETALL", "partial:su")),
    ("worker-udb", "broker", ("HGETALL", "unknown:su")),
    ("worker-udb", "broker", ("HGETALL", "unknown:portal")),
    ("beat", "broker", ("HGETALL", "partial:su")),
    ("portal", "ledger", ("GET", "anything")),
]


@pytest.mark.parametrize(("user", "server", "command"), FORBIDDEN, ids=str)
def test_a_service_reaches_no_key_of_anothers(here, user, server, command):
    with as_user(here, server, user) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


@pytest.mark.parametrize(
    ("user", "upstream"),
    [("worker-udb", "udb"), ("worker-eindkomst", "eindkomst"), ("worker-eindkomst", "cvr"), ("portal", "udb")],
)
def test_whom_a_register_is_not_asked_about_its_worker_writes_down_and_an_operator_takes_out(here, user, upstream):
    with as_user(here, "ledger", user) as client:
        client.hsetnx(f"quarantine:{upstream}", "a", 1)
        with client.pipeline(transaction=True) as transaction:
            transaction.hsetnx(f"quarantine:{upstream}", "b", 1).hdel(f"quarantine:{upstream}", "a").execute()
        assert client.hgetall(f"quarantine:{upstream}") == {b"b": b"1"}
        assert client.hlen(f"quarantine:{upstream}") == client.hdel(f"quarantine:{upstream}", "b") == 1


READ_ONLY = [
    ("worker-udb", "cache", "citizen:{x}"), ("worker-udb", "cache", "standing:{x}"),
    ("worker-udb", "broker", "timetable:active"),
    ("portal", "ledger", "audit:heads:worker-udb"), ("portal", "broker", "unacked_dead"),
    ("portal", "broker", "alive:udb"), ("portal", "broker", "partial:udb"), ("portal", "broker", "unknown:udb"),
]  # fmt: skip
READ_ONLY_OR_NOT_AT_ALL = [("worker-udb", "ledger", "audit:heads"), ("flower", "broker", "udb")]


@pytest.mark.parametrize(("user", "server", "key"), READ_ONLY)
def test_what_may_only_be_read_cannot_be_changed_where_redis_can_tell(here, user, server, key):
    """A Redis before 7 cannot tell reading a key from changing it, and so lets both be done."""
    with as_user(here, server, user) as client:
        client.exists(key)
        with pytest.raises(NoPermissionError) if READS_ARE_KNOWN else nullcontext():
            client.delete(key)


@pytest.mark.parametrize(("user", "server", "key"), READ_ONLY_OR_NOT_AT_ALL)
def test_what_must_not_be_changed_is_not_even_read_where_redis_cannot_tell(here, user, server, key):
    with as_user(here, server, user) as client:
        with nullcontext() if READS_ARE_KNOWN else pytest.raises(NoPermissionError):
            client.exists(key)
        with pytest.raises(NoPermissionError):
            client.delete(key)
