"""From the portal to the register and back: who asked is on record, and what cannot be on record is not asked."""

import json
import os
import pwd
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib import import_module

import pytest

from config.celery import REGISTERS
from config.settings import PREFIX
from demo.installation import DEMO_CREDENTIALS
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import UNAVAILABLE_TEXT
from registerbro import audit_log, refresh
from registerbro.pages.reader import Reader, SectionState
from registerbro.refresh.request import Reason
from registerbro.services import Services
from registerbro.storage.coordination.leases import Purpose
from simulators import Simulation, citizens

CPR = Cpr.parse(citizens.EXAMPLE.cpr)
ME = Citizen(CPR, frozenset({12}), education_order=False)
TODAY = date(2026, 11, 23)
LONG = timedelta(minutes=5)


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
async def bridge(app, make_settings, simulation):
    simulation.control.reset()
    urls = {f"{name.upper()}__BASE_URL": simulation.urls[name] for name in (*REGISTERS, "cvr")}
    services = Services(make_settings(**urls, **DEMO_CREDENTIALS))
    yield services
    await services.close()


async def refreshed(services, register="udb", reason=Reason.CITIZEN, by=""):
    await refresh.request_due(services, ME, [register], reason=reason, today=TODAY, by=by)
    await import_module(f"workers.{register}.tasks").REGISTER.refresh(services, services.citizens.id_of(CPR))


@pytest.fixture
def registerbro(bridge, project):
    def run(*arguments, stdin=f"{CPR.digits}\n", **settings):
        return subprocess.run(
            [sys.executable, "-m", "cli.app", *arguments], input=stdin, capture_output=True, text=True, cwd=project,
            timeout=60, check=False, env={**os.environ, **{PREFIX + name: value for name, value in settings.items()}},
        )  # fmt: skip

    return run


async def test_each_look_up_says_on_whose_behalf_it_was(bridge, simulation, audit_dir):
    me = bridge.citizens.id_of(CPR)
    await refreshed(bridge, "udb")
    await refreshed(bridge, "su", Reason.OPERATOR, by="jane")
    lease = await bridge.leases.take(me, "ydelse", LONG, 10, Purpose.KEEP_PAGE_FRESH)
    await import_module("workers.ydelse.tasks").REGISTER._carry_out(bridge, lease)
    await refreshed(bridge, "eindkomst")
    await bridge.audit_log.close()
    told = [(one.upstream, one.behalf, one.by, one.purpose) for one in audit_log.concerning(audit_dir, {me})]
    assert told == [
        ("udb", "citizen", "", "subscribe"),
        ("udb", "citizen", "", "show_page"),
        ("su", "operator", "jane", "operators_request"),
        ("ydelse", "schedule", "", "keep_page_fresh"),
        ("eindkomst", "citizen", "", "show_page"),
        ("cvr", "citizen", "", "show_page"),
    ]
    assert {one.outcome for one in audit_log.concerning(audit_dir, {me})} == {"answered"}


async def test_a_wish_that_is_swept_is_still_the_same_ones(bridge):
    me = bridge.citizens.id_of(CPR)
    await refresh.request_due(bridge, ME, ["udb"], reason=Reason.OPERATOR, today=TODAY, by="jane")
    first = await bridge.leases.begin_refresh(me, "udb", timedelta(0))
    assert (await bridge.leases.overdue("udb", LONG)).again == (me,)
    assert (await bridge.leases.begin_refresh(me, "udb", LONG)).wish == first.wish
    assert first.wish.by == "jane"


@pytest.mark.parametrize("register", REGISTERS)
async def test_what_cannot_be_put_on_record_is_not_asked_and_the_page_says_try_again(
    bridge, simulation, audit_dir, register
):
    audit_dir.rename(audit_dir.with_name(f"{audit_dir.name}-away"))
    await refreshed(bridge, register)
    received = simulation.control.calls(register)
    assert (received.total, received.writes) == (0, [])
    reader = Reader(bridge.settings)
    shown = (await reader.read_sections(CPR, register)).by_id.values()
    await reader.close()
    assert {(view.state, view.message) for view in shown} == {(SectionState.UNAVAILABLE, UNAVAILABLE_TEXT)}
    entry = (await bridge.entries.read(bridge.citizens.id_of(CPR), [register]))[register]
    assert entry.failure == "not_audited"


async def test_who_asks_who_looked_is_on_record_too(bridge, registerbro, audit_dir):
    await refreshed(bridge)
    await bridge.audit_log.close()
    first = registerbro("audit", "for", "--reason", "the citizen asked")
    second = registerbro("audit", "for", CPR.digits, "--json", stdin="")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "udb        citizen   subscribe  answered" in first.stdout
    assert "udb        citizen   show_page  answered" in first.stdout
    told = json.loads(second.stdout)
    assert [one["kind"] for one in told] == ["look_up", "look_up", "action", "action"]
    assert (told[2]["action"], told[2]["reason"], told[2]["outcome"]) == ("audit_for", "the citizen asked", "done")
    written = "".join(file.read_text() for file in audit_dir.iterdir()) + first.stdout + second.stdout
    assert CPR.digits not in written
    assert f"{CPR.digits[:6]}-{CPR.digits[6:]}" not in written


async def test_verify_ends_with_1_and_names_the_line_when_one_was_changed(bridge, registerbro, audit_dir):
    await refreshed(bridge)
    await bridge.audit_log.close()
    whole = registerbro("audit", "verify")
    assert (whole.returncode, whole.stdout) == (0, "6 records in 1 chains: intact\n")
    (file,) = audit_dir.glob("*.jsonl")
    file.write_text(file.read_text().replace("show_page", "shew_page"))
    found = registerbro("audit", "verify", "--json")
    assert found.returncode == 1
    told = json.loads(found.stdout)
    assert (told["intact"], told["problems"][0]) == (False, {"file": file.name, "line": 4, "what": "it was changed"})
    assert f"{file.name}:4: it was changed" in registerbro("audit", "verify").stdout


@pytest.mark.parametrize(
    "command",
    [
        ("refresh", "--contact-group", "12"), ("page",), ("audit", "for"), ("breaker", "udb", "lift"),
        ("breaker", "quarantine", "release", "udb", "a" * 52, "--reason", "y"),
        ("reports", "show", "x"), ("reports", "replay", "x"), ("reports", "settle", "x"),
        ("reports", "discard", "x", "--reason", "y"),
        ("forget",), ("export",), ("keys", "reseal"), ("keys", "rotate", "pepper"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_an_operators_action_that_cannot_be_put_on_record_is_not_done(registerbro, tmp_path, command):
    missing = registerbro(*command, AUDIT_DIR="")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "registerbro: REGISTERBRO_AUDIT_DIR: is missing: this is put on record, or not done\n"
    gone = registerbro(*command, AUDIT_DIR=str(tmp_path / "gone"))
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "is no folder" in gone.stderr


async def test_an_override_is_on_record(registerbro, audit_dir):
    assert registerbro("breaker", "udb", "force-open", "--reason", "planned work").returncode == 0
    (written,) = [file.read_text() for file in audit_dir.glob("*.jsonl")]
    action = next(json.loads(line) for line in written.splitlines() if '"event":"action"' in line)
    assert (action["action"], action["target"], action["reason"]) == ("breaker", "udb force-open", "planned work")
    who = pwd.getpwuid(os.getuid()).pw_name
    assert (action["by"], action["user"]) == ("tester", f"{who} (uid {os.getuid()})")
    assert datetime.fromisoformat(action["at"]) <= datetime.now(UTC)
