"""Who an operator was: the system's own word for it, beside the name that was given, on every record."""

import json

import pytest
import typer

from cli import session
from config.settings import PREFIX
from tests.cli.conftest import NUMBER

JANE = {"by": "jane", "user": "registerbro (uid 10001)"}


def test_a_person_s_user_is_who_it_is_whatever_the_environment_says(system_user, monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    system_user(1234, "jane")
    assert session.operator() == session.Operator("jane", "jane (uid 1234)")
    assert session.operator("the night shift") == session.Operator("the night shift", "jane (uid 1234)")


@pytest.mark.parametrize(
    ("number", "name", "shell"),
    [
        (0, "root", "/bin/bash"),
        (10001, "registerbro", "/bin/sh"),
        (10001, "jane", "/bin/bash"),
        (1500, "registerbro", "/bin/bash"),
        (33, "www-data", "/usr/sbin/nologin"),
        (1700, "deploy", "/usr/sbin/nologin"),
        (65534, "nobody", "/bin/sh"),
        (4711, None, ""),
    ],
)
def test_as_a_service_s_user_a_name_has_to_be_given_and_both_are_known(system_user, capsys, number, name, shell):
    system_user(number, name, shell)
    user = f"{name} (uid {number})" if name else f"uid {number}"
    with pytest.raises(typer.Exit) as ended:
        session.operator()
    assert ended.value.exit_code == 2
    told = f"registerbro: {user} is a service's user: say who you are, with --by NAME or REGISTERBRO_OPERATOR\n"
    assert capsys.readouterr().err == told
    assert session.operator("jane") == session.Operator("jane", user)


@pytest.mark.parametrize("name", ["registerbro", "root"])
def test_nobody_goes_by_a_service_s_name(system_user, name):
    system_user(1234, "jane")
    with pytest.raises(typer.Exit):
        session.operator(name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["refresh"], ["page"], ["export"], ["forget"], ["audit", "for"], ["breaker", "udb", "lift"],
        ["breaker", "quarantine", "release", "su", "x", "--reason", "x"], ["reports", "show", "x"],
        ["reports", "replay", "x"], ["reports", "settle", "x"],
        ["reports", "discard", "x", "--reason", "x"], ["reports", "recover", "x"],
        ["keys", "rotate", "sealing"], ["keys", "reseal"], ["queue", "dead", "replay", "x"],
        ["queue", "dead", "discard", "x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_whatever_changes_something_or_shows_a_citizen_asks_who_it_is(run, system_user, monkeypatch, arguments):
    monkeypatch.delenv(f"{PREFIX}OPERATOR")
    system_user(10001, "registerbro")
    status, out, err = run(arguments)
    assert (status, out) == (2, "")
    assert "say who you are, with --by NAME or REGISTERBRO_OPERATOR" in err
    assert "say who you are" not in run([*arguments, "--by", "jane"])[2]


def recorded(audit_dir):
    """The actions on record, by name: who took them."""
    lines = [json.loads(line) for file in audit_dir.glob("*.jsonl") for line in file.read_text().splitlines()]
    return {one["action"]: {name: one[name] for name in JANE} for one in lines if one["event"] == "action"}


def test_both_names_are_on_record_on_the_override_and_where_they_are_looked_up(
    run, system_user, monkeypatch, audit_dir
):
    monkeypatch.setenv(f"{PREFIX}OPERATOR", "jane")
    system_user(10001, "registerbro")
    assert run(["breaker", "udb", "force-open", "--reason", "planned work"])[0] == 0
    override = json.loads(run(["status", "--json"])[1])["upstreams"]["udb"]["override"]
    assert {name: override[name] for name in JANE} == JANE
    assert "jane, as registerbro (uid 10001): planned work" in run(["status"])[1]
    run(["page", "--reason", "they called"])
    (shown, asked) = json.loads(run(["audit", "for", "--json"])[1])
    assert {name: shown[name] for name in JANE} == JANE
    assert "operator (jane, as registerbro (uid 10001))  show_page  done  they called" in run(["audit", "for"])[1]
    assert recorded(audit_dir) == dict.fromkeys(("breaker", "show_page", "audit_for"), JANE)
    assert NUMBER not in asked["by"]


def test_a_name_on_the_command_line_goes_before_the_environment_s(run, system_user, audit_dir):
    system_user(1234, "john")
    run(["refresh", "--contact-group", "12", "--by", "jane"])
    assert recorded(audit_dir) == {"refresh": {"by": "jane", "user": "john (uid 1234)"}}
