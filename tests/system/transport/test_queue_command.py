"""`registerbro queue dead`: what operations see and do."""

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from cli.dead_letters import queue
from config import settings as module
from redis_transport.store import Store
from tests.conftest import MakeSettings
from tests.redis_transport.conftest import MakeStore

Publish = Callable[..., str]


@pytest.fixture
def dead(make_settings: MakeSettings, make_store: MakeStore, publish: Publish) -> list[str]:
    """Three dead letters."""
    make_settings()
    module.settings.cache_clear()
    tags = [publish("udb") for _ in range(3)]
    store = make_store(max_deliveries=1)
    store.fetch("a", ["udb"], 3)
    store.restore(-1)
    return tags


def run(*arguments: str) -> Result:
    return CliRunner().invoke(queue, ["dead", *arguments])


def test_dead_letters_are_listed_without_their_arguments(dead: list[str]) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    for tag in dead:
        assert any(f"udb  workers.do  id-{tag}  1 deliveries since" in line for line in lines)
    assert "secret" not in result.stdout


def test_they_are_listed_as_json_too(dead: list[str]) -> None:
    letters = json.loads(run("list", "--json").stdout)
    assert {letter["tag"] for letter in letters} == set(dead)
    assert {letter["reason"] for letter in letters} == {"worker lost"}


def test_one_is_replayed_by_the_id_of_its_task(dead: list[str], store: Store) -> None:
    assert run("replay", f"id-{dead[0]}").exit_code == 0
    assert [message.tag for message in store.fetch("a", ["udb"], 9).messages] == [dead[0]]
    assert len(store.dead_letters()) == 2


def test_all_are_discarded(dead: list[str], store: Store) -> None:
    result = run("discard", "--all")
    assert result.stdout.count("discarded: workers.do") == 3
    assert len(store.dead_letters()) == 0
    assert store.fetch("a", ["udb"], 9).messages == []
    assert run("list").stdout == "no dead letters\n"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["replay"], "name the dead letters, or say --all"),
        (["discard", "x", "--all"], "name the dead letters, or say --all"),
        (["replay", "nothing"], "nothing: no dead letters begin like that"),
        (["discard", "id-"], "id-: 3 dead letters begin like that"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    dead: list[str], store: Store, arguments: list[str], problem: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(store.dead_letters()) == 3


def test_a_broker_that_does_not_answer_is_told_in_one_line(make_settings: MakeSettings) -> None:
    make_settings(BROKER_URL="redis://127.0.0.1:1/0")
    module.settings.cache_clear()
    result = run("list")
    assert result.exit_code == 1
    assert result.stderr.startswith("registerbro: the broker cannot be asked")
    assert result.stderr.count("\n") == 1


def test_a_broker_that_is_no_redis_has_no_dead_letters(make_settings: MakeSettings) -> None:
    make_settings(BROKER_URL="amqp://h", COORDINATION_URL="redis://h")
    module.settings.cache_clear()
    result = run("list")
    assert result.exit_code == 2
    assert "this broker is another" in result.stderr
