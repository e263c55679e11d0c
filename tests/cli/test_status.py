"""What somebody on call sees and can do: each upstream's state, and a word above the breaker."""

import json
from datetime import timedelta

import pytest

from config.settings import ADMISSIONS
from domain.cpr import Cpr
from registerbro.storage.coordination import partial_answers, unknown_values
from tests.cli.conftest import NUMBER

MINUTE = timedelta(minutes=1)


def test_every_upstream_is_listed_before_anything_was_called(registerbro):
    told = json.loads(registerbro("status", "--json").stdout)
    found = told["upstreams"]
    assert told["dead_letters"] == 0
    assert {name: seen["state"] for name, seen in found.items()} == dict.fromkeys(ADMISSIONS, "closed")


def test_an_override_is_shown_with_who_and_why_until_it_is_lifted(registerbro):
    assert registerbro("breaker", "udb", "force-open", "--reason", "planned work").stdout == "udb: forced_open\n"
    seen = json.loads(registerbro("status", "--json").stdout)["upstreams"]["udb"]
    assert (seen["state"], seen["override"]["reason"]) == ("forced_open", "planned work")
    assert "planned work" in registerbro("status").stdout
    assert registerbro("breaker", "udb", "lift").stdout == "udb: lifted\n"
    assert json.loads(registerbro("status", "--json").stdout)["upstreams"]["udb"]["state"] == "closed"


async def test_a_partial_register_is_shown_with_how_many_items_of_which_kind_and_since_when(registerbro, services):
    await partial_answers.record(services.coordination, "eindkomst", {"period": 3})
    found = json.loads(registerbro("status", "--json").stdout)["upstreams"]
    assert (found["eindkomst"]["partial"]["items"], found["eindkomst"]["partial"]["kinds"]) == (3, {"period": 3})
    assert found["eindkomst"]["partial"]["since"] == found["eindkomst"]["partial"]["last"]
    assert [name for name, seen in found.items() if seen["partial"] is None] == [
        name for name in ADMISSIONS if name != "eindkomst"
    ]
    assert "partial: 3 items (period) since " in registerbro("status").stdout


async def test_unknown_values_are_shown_by_source_with_how_often(registerbro, services):
    assert json.loads(registerbro("status", "--json").stdout)["unknown_values"] == {}
    await unknown_values.record(services.coordination, "portal", {"contact_group 40": 3})
    found = json.loads(registerbro("status", "--json").stdout)["unknown_values"]
    assert (list(found), found["portal"]["values"]) == (["portal"], {"contact_group 40": 3})
    assert "unknown values of portal: contact_group 40 (3 times), since " in registerbro("status").stdout


async def test_subscriptions_are_shown_with_how_many_are_to_be_cancelled_and_since_when(registerbro, services):
    found = json.loads(registerbro("status", "--json").stdout)["upstreams"]
    assert [name for name, seen in found.items() if seen["subscriptions"] is not None] == ["udb"]
    for citizen in ("a" * 52, "b" * 52):
        await services.subscriptions.begin("udb", Cpr.parse(NUMBER), (citizen,), within=MINUTE, keep_for=MINUTE)
    await services.subscriptions.end("udb", ["a" * 52])
    seen = json.loads(registerbro("status", "--json").stdout)["upstreams"]["udb"]["subscriptions"]
    assert (seen["held"], seen["ending"]) == (2, 1)
    assert "subscriptions at udb: 2, of which 1 are to be cancelled, the first for " in registerbro("status").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nemid", "lift"],
            f"no such upstream: nemid (there are {', '.join(ADMISSIONS)})",
        ),
        (["udb", "open"], "no such order: open (there are force-open, disable, metrics-only, lift)"),
        (["udb", "disable"], "an override needs a --reason"),
    ],
)
def test_what_cannot_be_ordered_is_one_line(registerbro, arguments, message):
    ended = registerbro("breaker", *arguments)
    assert (ended.returncode, ended.stderr) == (2, f"registerbro: {message}\n")


def test_without_redis_it_is_one_line(registerbro, empty_redis):
    empty_redis["broker"].process.kill()
    try:
        ended = registerbro("status")
    finally:
        empty_redis["broker"].start()
    assert ended.returncode == 1
    assert ended.stderr.startswith("registerbro: Redis does not answer: ")
    assert ended.stderr.count("\n") == 1
