"""Subscriptions that are to be cancelled, as an operator sees them, and drops one that the register will not cancel."""

import json
from datetime import UTC, datetime

import pytest

ME, OTHER = "a" * 52, "b" * 52
AT = 1_700_000_000_000


@pytest.fixture
def ledger(empty_redis):
    with empty_redis["ledger"].client() as client:
        yield client


def subscribe(ledger, citizen, *, ends=True, **fields):
    ledger.hset(f"subscription:{{udb}}:{citizen}", mapping={"state": "ending", "number": "sealed", "at": AT, **fields})
    ledger.zadd("subscriptions:due:{udb}", {citizen: AT})
    if ends:
        ledger.zadd("subscriptions:ending:{udb}", {citizen: AT})


def left(ledger):
    return {
        (key.decode(), *(one.decode() for one in (ledger.zrange(key, 0, -1) if b"subscriptions:" in key else ())))
        for key in ledger.keys("subscription*")
        if b"clock" not in key
    }


def test_those_that_are_to_be_cancelled_are_listed_and_no_others(registerbro, ledger):
    assert registerbro("subscriptions", "list").stdout == ""
    assert json.loads(registerbro("subscriptions", "list", "--json").stdout) == []
    subscribe(ledger, ME)
    subscribe(ledger, OTHER, ends=False)
    listed = registerbro("subscriptions", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout.split() == ["udb", ME, "2023-11-14", "23:13:20"]
    (told,) = json.loads(registerbro("subscriptions", "list", "--json").stdout)
    assert (told["register"], told["citizen"]) == ("udb", ME)
    assert datetime.fromisoformat(told["since"]) == datetime.fromtimestamp(AT / 1000, UTC)


def test_a_drop_is_of_that_subscription_alone_and_is_on_record(registerbro, ledger, audit_dir):
    subscribe(ledger, ME)
    subscribe(ledger, OTHER)
    ended = registerbro("subscriptions", "drop", "udb", ME, "--reason", "STAR has ended it")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"udb: the subscription of {ME} is dropped\n", "")
    assert left(ledger) == {
        (f"subscription:{{udb}}:{OTHER}",), ("subscriptions:due:{udb}", OTHER), ("subscriptions:ending:{udb}", OTHER),
    }  # fmt: skip
    lines = [json.loads(line) for file in audit_dir.glob("*.jsonl") for line in file.read_text().splitlines()]
    (action,) = [line for line in lines if line["event"] == "action"]
    assert {name: action[name] for name in ("action", "target", "citizen", "reason")} == {
        "action": "drop_subscription", "target": "udb", "citizen": ME, "reason": "STAR has ended it",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "arguments", "message"),
    [
        ({}, ["su", ME, "--reason", "x"], "no such register: su (there are udb)"),
        ({}, ["udb", ME], "dropping a subscription needs a --reason"),
        ({"ends": False}, ["udb", ME, "--reason", "x"], f"udb: no subscription of {ME} is to be cancelled"),
        ({"busy": 10**14}, ["udb", ME, "--reason", "x"], f"udb: no subscription of {ME} is to be cancelled"),
        ({}, ["udb", OTHER, "--reason", "x"], f"udb: no subscription of {OTHER} is to be cancelled"),
    ],
)
def test_what_cannot_be_dropped_is_told_in_one_line_and_stays(registerbro, ledger, more, arguments, message):
    subscribe(ledger, ME, **more)
    before = left(ledger)
    ended = registerbro("subscriptions", "drop", *arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert left(ledger) == before
