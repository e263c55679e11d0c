"""Lua scripts: each names its keys and arguments, and is loaded with the steady clock in front of it."""

from importlib.resources import files

import pytest

from redis_admission.model import Limits, Outcome, Rules
from redis_admission.redis_state import RedisState
from redis_admission.scripts import KEYS, load

FIRST = ("server_time", "known_clock", "at_least", "at_most", "rules")
NAMES = sorted(
    file.name.removesuffix(".lua") for file in files("redis_admission.scripts").iterdir() if file.name.endswith(".lua")
)


def test_every_script_is_installed():
    assert NAMES == ["batch", "clock", "common", "create", "enter", "leave", "record", "set_override", "status"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create", ("override", "by", "at", "reason")),
        ("set_override", ("override", "by", "at", "reason")),
        ("leave", ("permit",)),
        ("status", ()),
    ],
)
def test_a_script_declares_its_arguments_behind_the_clocks_and_the_rules(name, arguments):
    assert (load(name).arguments, load(name).item) == ((*FIRST, *arguments), ())


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("enter", ("permit", "lease", "is_retry", "waiter_ttl")),
        ("record", ("permit", "generation", "entered", "outcome", "reason", "actor")),
    ],
)
def test_a_script_over_items_declares_what_each_has_behind_what_they_share(name, item):
    assert (load(name).arguments, load(name).item) == (FIRST, item)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"batch", "clock", "common"}])
async def test_a_script_sets_no_global_and_reads_no_position(client, name):
    """Redis refuses a script that sets a global; ARGV and KEYS are read in its first lines alone."""
    head, _, body = load(name).text.partition("\n-- Steady clock")
    assert head.count("\n") == 1
    body, _, loop = body.partition("\nlocal answers")
    assert ("ARGV" in loop) == bool(load(name).item)
    assert "ARGV" not in body
    assert "KEYS" not in body
    assert await client.script_load(load(name).text)


def test_a_script_that_does_not_exist_is_an_error():
    with pytest.raises(FileNotFoundError):
        load("no_such_script")


async def test_an_argument_that_is_missing_is_an_error(client):
    with pytest.raises(KeyError, match="permit"):
        await RedisState(client, Rules.of("udb", Limits()))._run("leave")


async def test_all_keys_of_an_upstream_are_on_one_node_of_a_cluster(client):
    state = RedisState(client, Rules.of("udb", Limits(calls_per_second=1, probes=1, consecutive_failures=1)))
    await state.create(None)
    entry = await state.enter("one", 1000, is_retry=False, waiter_ttl=1000)
    await state.enter("waits", 1000, is_retry=False, waiter_ttl=1000)
    await state.record("two", entry.generation, entry.at, Outcome.OK)
    found = sorted(key.decode() for key in await client.keys())
    assert found == ["admission:{udb}", *sorted(f"admission:{{udb}}:{part}" for part in KEYS[1:] if part != "probes")]
