"""Keys that change, and citizens who are forgotten, while everything runs; each service signs in as itself."""

import base64
import json
import os
import subprocess
import sys

import httpx
import pytest

from config.celery import QUEUES
from demo import tokens
from demo.installation import installation, wait_for
from domain.cpr import Cpr
from registerbro.storage.sealing.sealer import Sealer
from simulators import citizens
from simulators.control import Control

pytestmark = pytest.mark.xdist_group("processes")

REPORT = {"text": "Zebrafinken sang."}


@pytest.fixture
def here(tmp_path):
    with installation(tmp_path) as it:
        it.use_users().start_redis().start_simulators()
        workers = [it.start_worker(service) for service in ("udb", "booking_vendor")]
        it.start_portal()
        for worker in workers:
            wait_for(lambda worker=worker: worker.has_logged("worker_ready"), worker.name)
        yield it


@pytest.fixture
def visit(here):
    """The API as a portal calls it for a citizen."""
    clients = []

    def begin(cpr=citizens.EXAMPLE.cpr):
        token = tokens.sign(
            (here.directory / "signing-key.pem").read_bytes(), issuer="registerbro-demo", audience="registerbro",
            cpr=Cpr.parse(cpr), contact_groups=[12], education_order=False,
        )  # fmt: skip
        headers = {"Authorization": f"Bearer {token}"}
        clients.append(httpx.Client(base_url=here.portal_url, headers=headers, timeout=60))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


@pytest.fixture
def registerbro(here, project):
    """Runs the command as `docker compose exec portal registerbro …` does: with what the portal may do."""

    def run(*arguments, stdin=""):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTERBRO_")}
        return subprocess.run(
            [sys.executable, "-m", "cli.app", *arguments], input=stdin, capture_output=True, text=True, cwd=project,
            timeout=120, check=False,
            env=environment | here.environment_of("portal") | {"REGISTERBRO_OPERATOR": "tester"},
        )  # fmt: skip

    return run


def education(client):
    sections = [one for overview in client.get("/v1/overview").json()["overviews"] for one in overview["sections"]]
    return next(one for one in sections if one["register"] == "udb")


def fetched(client):
    """When udb's data were fetched, once they are there."""
    wait_for(lambda: education(client)["state"] in {"ready", "empty"}, "the page")
    return education(client)["fetched_at"]


def counts(registerbro):
    ended = registerbro("keys", "status", "--json")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def calls(here):
    with Control(here.upstreams) as control:
        return control.calls("udb").total


def test_a_new_key_seals_while_everything_runs_and_the_old_one_can_go(here, visit, registerbro):
    me = visit()
    before = fetched(me)
    rotated = registerbro("keys", "rotate", "sealing", "--wait", "2", "--later")
    assert rotated.returncode == 0, rotated.stderr
    assert fetched(me) == before
    fetched(visit(citizens.FOUR_JOBS.cpr))
    new, old = counts(registerbro)["sealing_keys"]
    assert new["id"] in rotated.stdout
    assert (new["newest"], new["entry"], old["entry"] > 0) == (True, 1, True)
    ended = registerbro("keys", "reseal", "--reason", "a laptop was lost")
    assert ended.returncode == 0, ended.stderr
    new, old = counts(registerbro)["sealing_keys"]
    assert (new["entry"], old["citizen"], old["entry"], old["report"]) == (2, 0, 0, 0)
    keys = here.directory / "sealing_keys"
    keys.write_text(keys.read_text().partition(",")[0])
    assert fetched(me) == before
    assert calls(here) == 2
    assert '"action":"reseal"' in "".join(file.read_text() for file in here.audit_directory.rglob("*.jsonl"))


def test_where_it_can_a_rotation_seals_anew_by_itself(here, visit, registerbro):
    fetched(visit())
    key, place = base64.urlsafe_b64decode((here.directory / "sealing_keys").read_text()), "employer:12345678"
    with here.redis["cache"].client() as cache:
        cache.mset({place: Sealer([key]).seal(b"Zebra Finke", place), "employer:22222222": b"Bageren ApS"})
    assert [one["employer"] for one in counts(registerbro)["sealing_keys"]] == [1]
    rotated = registerbro("keys", "rotate", "sealing", "--wait", "2")
    assert rotated.returncode == 0, rotated.stderr
    assert "sealed anew: " in rotated.stdout
    new, old = counts(registerbro)["sealing_keys"]
    assert (new["entry"], old["citizen"], old["entry"]) == (1, 0, 0)
    assert (new["employer"], old["employer"]) == (1, 0)
    assert "1 employers" in registerbro("keys", "status").stdout


def test_a_key_that_is_lost_is_named_and_its_citizens_are_fetched_anew(here, visit, registerbro):
    me = visit()
    before = fetched(me)
    (here.directory / "sealing_keys").write_text("A" * 43 + "=")
    wait_for(lambda: registerbro("keys", "status").returncode == 1, "the missing key")
    assert "MISSING" in registerbro("keys", "status").stdout
    wait_for(lambda: education(me)["state"] == "ready", "the page")
    assert education(me)["fetched_at"] > before


def test_after_another_pepper_citizens_find_all_that_is_theirs(here, visit, registerbro):
    me = visit()
    before = fetched(me)
    report = me.post("/v1/fault-reports", json=REPORT, headers={"Idempotency-Key": "one"}).json()["id"]
    assert me.put("/v1/banner/dismissed").status_code == 204
    rotated = registerbro("keys", "rotate", "pepper", "--wait", "2")
    assert rotated.returncode == 0, rotated.stderr
    assert fetched(me) == before
    assert calls(here) == 1
    assert me.get("/v1/banner").json()["visible"] is False
    assert me.get(f"/v1/fault-reports/{report}").status_code == 200
    again = me.post("/v1/fault-reports", json=REPORT, headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == report
    stranger = visit(citizens.FOUR_JOBS.cpr)
    assert stranger.get(f"/v1/fault-reports/{report}").status_code == 404
    fetched(stranger)
    assert [pepper["citizens"] > 0 for pepper in counts(registerbro)["peppers"]] == [True, True]


def everything_in(server):
    """The keys and values of a Redis, as one text of bytes."""
    found = []
    with server.client() as client:
        for key in client.scan_iter():
            # Of these docs/security.md says that they are left: a message waits for a worker that is not here.
            if not key.startswith((b"limits", b"{reports}:rate:")) and key.decode() not in QUEUES:
                read = CONTENT[client.type(key)]
                found += [key, repr(client.execute_command(read[0], key, *read[1:])).encode()]
    return b"\n".join(found)


CONTENT = {
    b"string": ("GET",), b"hash": ("HGETALL",), b"set": ("SMEMBERS",), b"list": ("LRANGE", 0, -1),
    b"zset": ("ZRANGE", 0, -1), b"none": ("EXISTS",),
}  # fmt: skip
"""How all that a key holds is read, by its type; it may have ended in between."""


def test_of_a_citizen_who_is_forgotten_nothing_is_left(here, visit, registerbro):
    me = visit()
    fetched(me)
    location = me.post("/v1/fault-reports", json=REPORT, headers={"Idempotency-Key": "one"}).headers["location"]
    wait_for(lambda: me.get(location).json()["status"] == "delivered", "the delivery")
    assert me.put("/v1/banner/dismissed").status_code == 204
    assert registerbro("keys", "rotate", "pepper", "--wait", "2").returncode == 0
    visit(citizens.FOUR_JOBS.cpr).get("/v1/overview")
    with here.redis["cache"].client() as cache:
        ids = {key.partition(b"{")[2].rstrip(b"}") for key in cache.scan_iter("citizen:*")}
    assert any(who in everything_in(here.redis["ledger"]) for who in ids)
    with here.redis["ledger"].client() as ledger:
        ledger.hset("quarantine:udb", mapping=dict.fromkeys(ids, 1_700_000_000_000))
    ended = registerbro("forget", "--json", "--reason", "asked for", stdin=f"{citizens.EXAMPLE.cpr}\n")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["known"], told["reports"], told["banner"], told["reports_left"]) == (True, 1, True, [])
    assert told["entries"] >= 1
    assert told["quarantines"] == 1
    with here.redis["cache"].client() as cache:
        left = {key.partition(b"{")[2].rstrip(b"}") for key in cache.scan_iter("citizen:*")}
    assert len(left) == 1
    assert told["subscriptions"] == 1
    # The worker cancels it at the register, for which the ledger keeps its number until then.
    here.start_beat()
    wait_for(
        lambda: not any(who in everything_in(here.redis["ledger"]) for who in ids - left), "the subscription's end"
    )
    with Control(here.upstreams) as control:
        assert citizens.EXAMPLE.cpr not in control.subscriptions()
    for server in here.redis.values():
        assert not any(who in everything_in(server) for who in ids - left), server.role
    assert me.get(location).status_code == 404
    assert '"action":"forget"' in "".join(file.read_text() for file in here.audit_directory.rglob("*.jsonl"))


def test_a_report_that_the_vendor_has_not_got_stays_unless_it_is_said_otherwise(here, visit, registerbro):
    with Control(here.upstreams) as control:
        control.fault("booking_vendor", {"kind": "status", "status": 503})
    me = visit()
    location = me.post("/v1/fault-reports", json=REPORT, headers={"Idempotency-Key": "one"}).headers["location"]
    wait_for(lambda: here.processes["worker-booking_vendor"].has_logged("report_sent"), "the refusal")
    left = registerbro("forget", "--json", stdin=f"{citizens.EXAMPLE.cpr}\n")
    assert left.returncode == 1
    assert json.loads(left.stdout)["reports_left"] == [location.rpartition("/")[2]]
    wait_for(
        lambda: registerbro("forget", "--undelivered", stdin=f"{citizens.EXAMPLE.cpr}\n").returncode == 0, "the erasure"
    )
    assert me.get(location).status_code == 404


@pytest.mark.parametrize(("what", "setting"), [("sealing", "SEALING_KEYS"), ("pepper", "PEPPER")])
def test_what_is_not_a_file_is_not_rotated(make_settings, project, what, setting):
    """Given directly it is as it is while a process runs, and the command could not change it either."""
    make_settings()
    ended = subprocess.run(
        [sys.executable, "-m", "cli.app", "keys", "rotate", what], capture_output=True, text=True, cwd=project,
        timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"REGISTERBRO_{setting}_FILE: is missing" in ended.stderr
