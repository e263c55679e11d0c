"""Who is in quarantine, as an operator sees them and lets them go; and the whole of it, with all that runs."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from config.settings import ADMISSIONS
from demo import tokens
from demo.installation import installation, wait_for
from domain.cpr import Cpr
from simulators import citizens
from simulators.control import Control

ME, OTHER = "a" * 52, "b" * 52
AT = 1_700_000_000_000


@pytest.fixture
def ledger(empty_redis):
    with empty_redis["ledger"].client() as client:
        yield client


def test_who_is_in_quarantine_is_listed_by_register_id_and_time(registerbro, ledger):
    assert registerbro("breaker", "quarantine", "list").stdout == ""
    assert json.loads(registerbro("breaker", "quarantine", "list", "--json").stdout) == []
    ledger.hset("quarantine:su", ME, AT)
    ledger.hset("quarantine:udb", OTHER, AT + 1000)
    listed = registerbro("breaker", "quarantine", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [["udb", OTHER], ["su", ME]]
    assert "2023-11-14 23:13:20" in listed.stdout
    told = json.loads(registerbro("breaker", "quarantine", "list", "--json").stdout)
    assert [(one["register"], one["citizen"]) for one in told] == [("udb", OTHER), ("su", ME)]
    assert datetime.fromisoformat(told[1]["since"]) == datetime.fromtimestamp(AT / 1000, UTC)


def test_a_release_is_of_that_citizen_at_that_register_and_is_on_record(registerbro, ledger, audit_dir):
    ledger.hset("quarantine:udb", mapping={ME: AT, OTHER: AT})
    ledger.hset("quarantine:su", ME, AT)
    ended = registerbro("breaker", "quarantine", "release", "udb", ME, "--reason", "the register has mended it")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"udb: {ME} is asked about again\n", "")
    assert (ledger.hkeys("quarantine:udb"), ledger.hkeys("quarantine:su")) == ([OTHER.encode()], [ME.encode()])
    lines = [json.loads(line) for file in audit_dir.glob("*.jsonl") for line in file.read_text().splitlines()]
    (action,) = [line for line in lines if line["event"] == "action"]
    assert {name: action[name] for name in ("action", "target", "citizen", "reason")} == {
        "action": "release_citizen", "target": "udb", "citizen": ME, "reason": "the register has mended it",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nemid", ME, "--reason", "x"], f"no such register: nemid (there are {', '.join(ADMISSIONS)})"),
        (["udb", ME], "a release needs a --reason"),
        (["udb", ME, "--reason", "  "], "a release needs a --reason"),
        (["udb", OTHER, "--reason", "x"], "no such citizen is in quarantine at udb"),
        (["su", ME, "--reason", "x"], "no such citizen is in quarantine at su"),
        (["udb", citizens.EXAMPLE.cpr, "--reason", "x"], "no such citizen is in quarantine at udb"),
    ],
)
def test_who_cannot_be_released_is_told_in_one_line_and_nothing_is_on_record(
    registerbro, ledger, audit_dir, arguments, message
):
    ledger.hset("quarantine:udb", ME, AT)
    ended = registerbro("breaker", "quarantine", "release", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"registerbro: {message}\n")
    assert ledger.hkeys("quarantine:udb") == [ME.encode()]
    assert '"event":"action"' not in "".join(file.read_text() for file in audit_dir.glob("*.jsonl"))


def test_who_is_in_quarantine_at_bookings_alone_is_listed_and_let_go(registerbro, ledger):
    ledger.hset("quarantine:booking", ME, AT)
    assert "booking" in registerbro("breaker", "quarantine", "list").stdout
    assert registerbro("breaker", "quarantine", "release", "booking", ME, "--reason", "x").returncode == 0
    assert ledger.hkeys("quarantine:booking") == []


@pytest.mark.parametrize("command", [["list"], ["release", "udb", ME, "--reason", "x"]])
def test_without_the_ledger_it_is_one_line(registerbro, empty_redis, command):
    empty_redis["ledger"].process.kill()
    try:
        ended = registerbro("breaker", "quarantine", *command)
    finally:
        empty_redis["ledger"].start()
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1)
    assert ended.stderr.startswith("registerbro: Redis does not answer: ")


def test_status_says_how_many_are_in_quarantine_when_any_is(registerbro, ledger):
    assert "quarantine" not in registerbro("status").stdout
    ledger.hset("quarantine:udb", mapping={ME: AT, OTHER: AT})
    ledger.hset("quarantine:su", ME, AT)
    shown = registerbro("status").stdout.splitlines()
    assert "in quarantine: udb 2, su 1 (see registerbro breaker quarantine list)" in shown
    told = json.loads(registerbro("status", "--json").stdout)["upstreams"]
    assert {name: told[name]["quarantined"] for name in ("udb", "su", "ydelse")} == {"udb": 2, "su": 1, "ydelse": 0}


@pytest.mark.parametrize(
    ("arguments", "status", "stdout", "stderr"),
    [
        (["udb", "disable", "--reason", "x"], 0, "udb: disabled\n", ""),
        (["--reason", "x", "udb", "disable"], 0, "udb: disabled\n", ""),
        (["udb", "--reason", "x", "disable"], 0, "udb: disabled\n", ""),
        (["--", "udb", "lift"], 0, "udb: lifted\n", ""),
        (["udb", "disable"], 2, "", "registerbro: an override needs a --reason\n"),
    ],
    ids=str,
)
def test_an_order_may_be_written_in_every_way_that_it_ever_could(registerbro, arguments, status, stdout, stderr):
    ended = registerbro("breaker", *arguments)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, stdout, stderr)


@pytest.mark.parametrize(
    "arguments", [[], ["udb"], ["udb", "lift", "more"], ["--nonsense"], ["quarantine", "nonsense"]]
)
def test_a_mistyped_one_is_told_as_such(registerbro, arguments):
    ended = registerbro("breaker", *arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert " --help)" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "breaker order" not in ended.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["udb", "--help"], ["quarantine", "--help"]])
def test_its_help_names_what_there_is(registerbro, arguments):
    ended = registerbro("breaker", *arguments)
    assert ended.returncode == 0
    expected = {
        "--help": ("UPSTREAM ORDER", "quarantine", "metrics-only", "--reason"),
        "udb": ("force-open", "--reason"),
    }
    assert all(word in ended.stdout for word in expected.get(arguments[0], ("list", "release")))
    assert "breaker order" not in ended.stdout


@pytest.mark.xdist_group("processes")
def test_one_citizen_cuts_a_register_off_once_and_not_for_ever(tmp_path, project):
    with installation(tmp_path) as here:
        here.use_users().start_redis().start_simulators()
        worker = here.start_worker("udb")
        here.start_portal()
        wait_for(lambda: worker.has_logged("worker_ready"), worker.name)
        _from_cut_to_release(here, worker, project)


def _from_cut_to_release(here, worker, project):
    def registerbro(*arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTERBRO_")}
        ended = subprocess.run(
            [sys.executable, "-m", "cli.app", "breaker", *arguments], capture_output=True, text=True, cwd=project,
            timeout=120, check=True,
            env=environment | here.environment_of("portal") | {"REGISTERBRO_OPERATOR": "tester"},
        )  # fmt: skip
        return ended.stdout

    def state(cpr):
        """What the page shows of the register once it has been asked for anew."""
        token = tokens.sign(
            (here.directory / "signing-key.pem").read_bytes(), issuer="registerbro-demo", audience="registerbro",
            cpr=Cpr.parse(cpr), contact_groups=[12], education_order=False,
        )  # fmt: skip

        def now():
            page = httpx.get(
                f"{here.portal_url}/v1/overview", headers={"Authorization": f"Bearer {token}"}, timeout=60
            ).json()
            sections = [one for overview in page["overviews"] for one in overview["sections"]]
            return next(one["state"] for one in sections if one["register"] == "udb")

        with here.redis["cache"].client() as cache:
            for key in cache.scan_iter("entry:*"):
                cache.delete(key)
        wait_for(lambda: now() != "pending", "the page")
        return now()

    def calls():
        with Control(here.upstreams) as control:
            return control.calls("udb").total

    with Control(here.upstreams) as control:
        control.fault("udb", {"kind": "wrong_person"})
    assert (state(citizens.EXAMPLE.cpr), calls()) == ("unavailable", 1)
    with Control(here.upstreams) as control:
        control.mend("udb")
    assert (state(citizens.FOUR_JOBS.cpr), calls()) == ("unavailable", 1)
    (held,) = json.loads(registerbro("quarantine", "list", "--json"))
    assert held["register"] == "udb"
    assert registerbro("udb", "lift") == "udb: lifted\n"
    assert (state(citizens.EXAMPLE.cpr), calls()) == ("unavailable", 1)
    assert '"reason": "quarantined"' in worker.log.read_text("utf-8")
    assert (state(citizens.FOUR_JOBS.cpr) in {"ready", "empty"}, calls()) == (True, 2)
    registerbro("quarantine", "release", "udb", held["citizen"], "--reason", "the register has mended it")
    assert (state(citizens.EXAMPLE.cpr), calls()) == ("ready", 3)
    assert "NoPermission" not in worker.log.read_text("utf-8", "replace")
