"""The Lua files: all are loaded, each says what it takes, and one of them reads the clock."""

import re
from importlib.resources import files
from pathlib import Path

import pytest
import redis

from redis_transport import scripts
from redis_transport.store import Store

FOLDER = Path(str(files("redis_transport").joinpath("scripts")))
NAMES = sorted(path.stem for path in FOLDER.glob("*.lua"))
SHARED = {"clock", "common"}


def test_the_store_loads_every_script(store: Store) -> None:
    assert set(store._scripts) == set(NAMES) - SHARED


@pytest.mark.parametrize("name", sorted(set(NAMES) - SHARED))
def test_redis_takes_every_script(client: redis.Redis, name: str) -> None:
    assert client.script_load(scripts.source(name))


def test_a_script_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        scripts.source("nothing")


def test_one_place_reads_the_servers_clock() -> None:
    assert [name for name in NAMES if "'TIME'" in (FOLDER / f"{name}.lua").read_text(encoding="utf-8")] == ["clock"]


@pytest.mark.parametrize("name", NAMES)
def test_each_script_names_at_its_top_the_arguments_that_it_uses(name: str) -> None:
    text = (FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    common = (FOLDER / "common.lua").read_text(encoding="utf-8")
    described = set(re.findall(r"^--   (\w+)  ", text + common, re.MULTILINE))
    assert set(re.findall(r"\bargs\.(\w+)", text)) <= described
    assert text.startswith("-- ")
