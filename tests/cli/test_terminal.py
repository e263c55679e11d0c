"""What others wrote is text on an operator's terminal: it neither colours, moves the cursor, nor begins a line."""

import ast
import asyncio
import json
import sys
import unicodedata
from datetime import date, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import app
from config import settings as settings_module
from config.settings import PREFIX
from domain.cpr import Cpr
from domain.hidden_characters import HiddenCharacter, require_visible, to_json, visible, visible_json
from domain.overview import Employment
from redis_admission import Override, OverrideOrder
from registerbro import audit_log, terminal
from registerbro.audit_log.record import Position
from registerbro.fault_reports.model import Content
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, unknown_values
from registerbro.storage.coordination.leases import Behalf, Purpose, Wish
from tests.cli.conftest import NUMBER

HIDDEN = "\x1b]0;x\x07\x1b[2J\x9b31m\x7f\x85\r\n\t\u00ad\u200b\u202e\u2066\u2028\u2029\ufeff\ufe0f\U000e0041"
HOSTILE = f"[/x][bold red]:boom:{HIDDEN}forged: a line"
TOLD = visible(HOSTILE)
CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def hidden_in(text):
    return {character for character in text if visible(character) != character}


def test_every_character_of_the_hidden_categories_has_an_escape():
    characters = map(chr, range(sys.maxunicode + 1))
    shown = [one for one in characters if unicodedata.category(one) in CATEGORIES and visible(one) == one]
    assert shown == []


@pytest.mark.parametrize("text", ["æøåÆØÅ é", "[/x] \\n 😀", "日本語 – »x«", "\u00a0"])
def test_what_is_seen_stays_as_it_is(text):
    assert visible(text) == text
    assert require_visible(text) == text


@given(st.text(st.characters(), max_size=40))
def test_what_is_visible_is_one_line_and_json_keeps_its_value(text):
    assert hidden_in(visible(text)) == set()
    written = to_json({"a": [text]}, indent=2)
    assert hidden_in(written) <= {"\n"}
    assert json.loads(written) == {"a": [text]}


@pytest.mark.parametrize("text", ["\ud83d", "a\udc80", "\ud83d\ude00x"])
def test_half_a_surrogate_pair_can_be_written_out(text):
    assert visible(text).isascii()
    assert to_json([text]).encode()


def test_white_space_between_the_tokens_of_a_document_is_not_escaped():
    assert json.loads(visible_json('{\r\n\t"a":\r"\u202e"}')) == {"a": "\u202e"}


@pytest.mark.parametrize("character", sorted(hidden_in(HIDDEN)), ids=ascii)
def test_a_text_for_others_is_refused_with_where_and_without_itself(character):
    with pytest.raises(HiddenCharacter, match=f"U\\+{ord(character):04X} at position 6$") as refused:
        require_visible(f"secret{character}")
    assert "secret" not in str(refused.value)


def printing(path):
    """The places of a module that print by other means than registerbro/terminal.py."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield node.lineno
            case ast.Attribute(attr="echo" | "secho" | "style" | "progressbar", value=ast.Name(id="typer")):
                yield node.lineno
            case ast.Attribute(attr="write" | "writelines" | "buffer", value=ast.Attribute(attr="stdout" | "stderr")):
                yield node.lineno
            case ast.Import(names=names) if any(one.name.split(".")[0] in {"rich", "click"} for one in names):
                yield node.lineno
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in {"rich", "click"}:
                yield node.lineno


def test_no_command_prints_by_other_means(project):
    modules = sorted(path for room in ("cli", "demo", "tools") for path in project.glob(f"{room}/**/*.py"))
    # It writes a file, on standard output.
    modules.remove(project / "tools" / "env_example.py")
    assert {f"{path.name}:{line}" for path in modules for line in printing(path)} == set()
    assert list(printing(project / "registerbro" / "terminal.py"))


def test_a_table_holds_markup_as_text(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    cell = terminal.Cell(("[red]one[/red]", HOSTILE), "bold")
    terminal.show(terminal.table(["[b]"], [[cell], [HOSTILE]], title="[i]"))
    written = capsys.readouterr().out
    assert written.count(TOLD) == 2
    assert "[red]one[/red]" in written
    assert hidden_in(written) == {"\n"}


# What follows runs every command over an installation in which all that others can write is hostile.


async def _fill(services):
    me = services.citizens.id_of(Cpr.parse(NUMBER))
    box = services.outbox
    report = await box.accept((me,), Content(HOSTILE, HOSTILE, HOSTILE), "k")
    sending = await box.begin_delivery(report.id, timedelta(seconds=10))
    await box.reject(sending, HOSTILE, HOSTILE.encode())
    other = await box.accept((me,), Content("x"), "l")
    await box.reject(await box.begin_delivery(other.id, timedelta(seconds=10)), "bad_request", b"")
    await box.discard(other.id, HOSTILE, HOSTILE)
    ordered = OverrideOrder(Override.FORCED_OPEN, HOSTILE, 1_700_000_000_000, HOSTILE, HOSTILE)
    await services.admission("udb").set_override(ordered)
    await services.coordination.hset("admission:{su}", mapping={"failure": HOSTILE, "failed_at": 1_700_000_000_000})
    await partial_answers.record(services.coordination, "eindkomst", {HOSTILE: 3})
    await unknown_values.record(services.coordination, "su", {f"type {HOSTILE}": 1})
    await services.ledger.redis.hset("quarantine:su", HOSTILE, 1_700_000_000_000)
    letter = {"tag": HOSTILE, "queue": HOSTILE, "task": HOSTILE, "id": HOSTILE, "deliveries": 3, "reason": HOSTILE}
    letter |= {"since": 1_700_000_000, "died": 1_700_000_000, "raw": "{}"}
    await services.coordination.hset("dead_letters", HOSTILE, json.dumps(letter))
    jobs = {"employments": [Employment(employer=HOSTILE, start=date(2019, 1, 1), end=date(2020, 5, 31))]}
    day = timedelta(days=1)
    await services.entries.store(me, "eindkomst", jobs, age=timedelta(0), fresh_for=day, usable_for=day)
    await services.audit_log.write({
        "event": "call", "id": "a", "citizen": me, "upstream": HOSTILE, "behalf": HOSTILE, "by": HOSTILE,
        "purpose": HOSTILE, "request": HOSTILE, "trace": HOSTILE,
    })  # fmt: skip
    services.audit_log.write_later({"event": "outcome", "id": "a", "outcome": HOSTILE})
    with audit_log.about(me, Wish(Behalf.OPERATOR, Purpose.SHOW_PAGE, HOSTILE)):
        await services.audit_log.look_up("udb").call(HOSTILE, HOSTILE)
    async with services.audit_log.action(
        audit_log.Action.SHOW_PAGE, HOSTILE, user=HOSTILE, target=HOSTILE, citizen_id=me, reason=HOSTILE
    ):
        pass
    await services.audit_anchors.put(HOSTILE, Position(3, "0" * 64), closed=True)
    return report.id


@pytest.fixture
def hostile(run, tmp_path, monkeypatch):
    """An installation in which everything that others can write is hostile; what stands for what in COMMANDS."""
    monkeypatch.setenv(f"{PREFIX}NONSENSE{HIDDEN}", "1")

    async def fill():
        services = Services(settings_module.load())
        try:
            return await _fill(services)
        finally:
            await services.close()

    return {"REPORT": asyncio.run(fill()), "FOLDER": str(tmp_path / HOSTILE)}


COMMANDS = {
    "status": [["status"], ["status", "--json"]],
    "doctor": [["doctor"], ["doctor", "--json"]],
    "conformance": [
        ["conformance", HOSTILE], ["conformance", "udb"], ["conformance", "all", "--json"],
        ["conformance", "udb", "--record", f"/nonsense/{HOSTILE}"], ["conformance", "cvr", "--company", HOSTILE],
    ],
    "page": [["page", "--reason", "x"]],
    "alive": [["alive", HOSTILE], ["alive", "udb"]],
    "refresh": [["refresh", "--register", HOSTILE], ["refresh", "--contact-group", HOSTILE]],
    "secrets": [["secrets", "FOLDER"]],
    "audit verify": [["audit", "verify"], ["audit", "verify", "--json"]],
    "audit for": [["audit", "for"], ["audit", "for", "--json"], ["audit", "for", HOSTILE]],
    "breaker order": [["breaker", HOSTILE, "lift"], ["breaker", "udb", HOSTILE], ["breaker", "udb", "lift"]],
    "breaker quarantine list": [["breaker", "quarantine", "list"], ["breaker", "quarantine", "list", "--json"]],
    "breaker quarantine release": [
        ["breaker", "quarantine", "release", HOSTILE, "x", "--reason", "x"],
        ["breaker", "quarantine", "release", "su", HOSTILE, "--reason", "x"],
    ],
    "subscriptions list": [["subscriptions", "list"], ["subscriptions", "list", "--json"]],
    "subscriptions drop": [
        ["subscriptions", "drop", HOSTILE, "x", "--reason", "x"],
        ["subscriptions", "drop", "udb", HOSTILE, "--reason", "x"],
    ],
    "reports list": [["reports", "list"], ["reports", "list", "--json"], ["reports", "list", "--state", HOSTILE]],
    "reports show": [
        ["reports", "show", "REPORT"], ["reports", "show", "REPORT", "--text"],
        ["reports", "show", "REPORT", "--text", "--json"], ["reports", "show", HOSTILE],
    ],
    "reports replay": [["reports", "replay", "REPORT"], ["reports", "replay", HOSTILE, "--json"]],
    "reports settle": [["reports", "settle", "REPORT", "--case", HOSTILE], ["reports", "settle", HOSTILE, "--json"]],
    "reports sent-again": [["reports", "sent-again"], ["reports", "sent-again", "--json"]],
    "reports discard": [["reports", "discard", HOSTILE, "--reason", "x"]],
    "reports discards": [["reports", "discards"], ["reports", "discards", "--json"]],
    "reports recovery-key": [["reports", "recovery-key", f"/nonsense/{HOSTILE}"]],
    "reports recover": [["reports", "recover", f"/nonsense/{HOSTILE}"]],
    "keys status": [["keys", "status"], ["keys", "status", "--json"]],
    "keys rotate": [["keys", "rotate", HOSTILE], ["keys", "rotate", "sealing", "--secrets", f"/nonsense/{HOSTILE}"]],
    "keys reseal": [["keys", "reseal"]],
    "queue dead list": [["queue", "dead", "list"], ["queue", "dead", "list", "--json"]],
    "queue dead replay": [["queue", "dead", "replay", HOSTILE], ["queue", "dead", "replay", f"x{HOSTILE}"]],
    "queue dead discard": [["queue", "dead", "discard", HOSTILE, "--json"], ["queue", "dead", "discard", "x"]],
    "export": [["export"], ["export", "--output", f"/nonsense/{HOSTILE}"]],
    "forget": [["forget"], ["forget", "--json"]],
    "rules check": [["rules", "check", f"/nonsense/{HOSTILE}"], ["rules", "check", "FOLDER", "--day", HOSTILE]],
    "rules template": [["rules", "template"], ["rules"], ["rules", "--json"]],
    "nonsense": [[HOSTILE], [f"--{HOSTILE}"]],
}  # fmt: skip
"""Every command and how it is run, those that change what others show behind them."""
ELSEWHERE = {"demo", "serve", "simulate"}
"""Commands that show nothing of what others wrote: they start processes, whose log lines are JSON."""
SHOWN = (
    *(["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"], ["page", "--reason", "x"]),
    *(["audit", "verify"], ["audit", "for"], ["audit", "for", "--json"], ["breaker", "quarantine", "list"]),
    *(["reports", "list"], ["reports", "show", "REPORT", "--text"], ["reports", "show", "REPORT", "--text", "--json"]),
    *(["reports", "discards"], ["queue", "dead", "list"], ["queue", "dead", "discard", HOSTILE, "--json"]),
)
"""Those of them that do show it, whole or a part."""


def names(command, prefix=()):
    """The names of all commands of a group, each with those of the groups that it is in."""
    for name, one in getattr(command, "commands", {}).items():
        yield from names(one, (*prefix, name)) if hasattr(one, "commands") else [" ".join((*prefix, name))]


def test_every_command_is_tried():
    found = {known for name in app.COMMANDS for known in names(SimpleNamespace(commands={name: app.load(name)}))}
    assert found == (set(COMMANDS) - {"nonsense"}) | ELSEWHERE


def test_nothing_that_others_wrote_is_obeyed_by_the_terminal(run, hostile):
    for arguments in (arguments for several in COMMANDS.values() for arguments in several):
        status, out, err = run([hostile.get(one, one) for one in arguments])
        assert hidden_in(out + err) <= {"\n"}, arguments
        assert not any(line.startswith("forged") for line in (out + err).split("\n")), arguments
        assert status in {0, 1, 2}, arguments
        assert "defect" not in err, err
        if "--json" in arguments and out:
            json.loads(out)
        if arguments in SHOWN:
            assert "[/x][bold red]:boom:" in out or "NONSENSE\\u001b" in out, arguments


def test_json_has_what_was_written_whole(run, hostile):
    _, out, _ = run(["status", "--json"])
    override = json.loads(out)["upstreams"]["udb"]["override"]
    assert (override["by"], override["user"], override["reason"]) == (HOSTILE, HOSTILE, HOSTILE)
    _, out, _ = run(["reports", "show", hostile["REPORT"], "--text", "--json"])
    assert (json.loads(out)["text"], json.loads(out)["reason"]) == (HOSTILE, HOSTILE)


@pytest.mark.parametrize("option", ["--reason", "--by"])
@pytest.mark.parametrize("character", ["\x1b", "\n", "\x9b", "\u202e", "\u200b", "\u2028"], ids=ascii)
def test_a_reason_with_a_hidden_character_is_refused_in_one_line(run, option, character):
    status, out, err = run(["breaker", "udb", "force-open", option, f"planned{character}work"])
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"Invalid value for '{option}'" in err
    assert f": has the control or invisible character U+{ord(character):04X} at position 7 " in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["refresh"], ["page"], ["conformance", "udb"], ["export"],
        ["forget"], ["audit", "for"], ["breaker", "udb", "lift"],
        ["breaker", "quarantine", "release", "su", "x"], ["reports", "show", "x"], ["reports", "replay", "x"],
        ["reports", "settle", "x"], ["reports", "discard", "x"], ["reports", "recover", "x"],
        ["keys", "rotate", "sealing"], ["keys", "reseal"],
        ["queue", "dead", "replay", "x"], ["queue", "dead", "discard", "x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_takes_such_a_reason_or_one_that_is_too_long_to_keep(run, arguments):
    for reason, why in (("a\x1b[31m", "U+001B at position 1"), ("a" * 501, "has 501 characters, and at most 500")):
        status, out, err = run([*arguments, "--reason", reason])
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert why in err


async def test_the_audit_log_s_files_have_nothing_that_a_terminal_obeys(services, audit_dir):
    async with services.audit_log.action(audit_log.Action.REFRESH, HOSTILE, reason=f"{HOSTILE}\ud83d"):
        pass
    await services.audit_log.close()
    (file,) = audit_dir.glob("*.jsonl")
    text = file.read_text(encoding="utf-8")
    assert hidden_in(text) == {"\n"}
    written = [json.loads(line) for line in text.splitlines()]
    assert [one["by"] for one in written if one["event"] == "action"] == [HOSTILE]
    assert audit_log.verify(audit_dir, await services.audit_anchors.read()).intact
