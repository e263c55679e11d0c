"""The loader gives scripts their names, their clock and what they share, and refuses a call that is not as declared."""

import re
from pathlib import Path

import pytest

from registerbro.storage.lua import BlockingScript, Scripts, load
from registerbro.storage.redis_client import connect
from registerbro.storage.steady_clock import Steady


@pytest.fixture
async def redis(empty_redis):
    it = connect(empty_redis["cache"].url)
    yield it
    await it.aclose()


@pytest.fixture
def write(tmp_path):
    """Writes a script beside a module, whose path it returns."""
    (tmp_path / "scripts").mkdir()

    def written(text, name="script"):
        (tmp_path / "scripts" / f"{name}.lua").write_text(text, encoding="utf-8")
        return str(tmp_path / "module.py")

    return written


async def test_each_name_is_the_value_that_the_call_gives_it(redis, write):
    module = write("-- KEYS: one, other\n-- ARGV: text, size:number\nreturn {one, other, text, size + 1}")
    script = Scripts(redis, module).load("script")
    assert await script(size=7, text="x", other="{k}2", one="{k}1") == [b"{k}1", b"{k}2", b"x", 8]


@pytest.mark.parametrize(
    ("declared", "given"),
    [
        ("-- KEYS: many...", {"many": ["{k}1", "{k}2"]}),
        ("-- KEYS: one, many...", {"one": "{k}0", "many": ["{k}1", "{k}2"]}),
        ("-- ARGV: many...", {"many": ["{k}1", "{k}2"]}),
        ("-- ARGV: one, many...", {"one": 0, "many": iter(["{k}1", "{k}2"])}),
    ],
)
async def test_the_last_name_may_be_a_list(redis, write, declared, given):
    script = Scripts(redis, write(f"{declared}\nreturn many")).load("script")
    assert await script(**given) == [b"{k}1", b"{k}2"]


async def test_a_list_of_numbers_is_one(redis, write):
    script = Scripts(redis, write("-- ARGV: many:number...\nreturn many[1] < many[2]")).load("script")
    assert await script(many=[9, 10])


async def test_a_script_that_goes_by_a_steady_clock_takes_its_key(redis, write):
    module = write(
        "-- KEYS: many...\n-- ARGV: wait:number\n-- CLOCK: steady\nreturn {now + wait, time, many[2], #many}"
    )
    script = Scripts(redis, module, Steady(redis, lambda: 1000)).load("script")
    assert await script(many=["{k}1", "{k}2"], clock="{k}", wait=5) == [1005, 1000, b"{k}2", 2]
    assert await redis.hget("{k}", "seen") == b"1000"


async def test_a_script_may_go_by_the_servers_clock(redis, write):
    script = Scripts(redis, write("-- CLOCK: server\nreturn now")).load("script")
    seconds, _ = await redis.time()
    assert abs(await script() - seconds * 1000) < 60_000


async def test_what_scripts_share_sees_their_names_and_constants(redis, write):
    write("-- Returns early.\n-- CONSTANTS: MOST, NAME\nif size > MOST then return NAME end", "piece")
    script = Scripts(redis, write("-- ARGV: size:number\n-- USES: piece\nreturn size"), MOST=3, NAME="n").load("script")
    assert [await script(size=3), await script(size=4)] == [3, b"n"]


@pytest.mark.parametrize("given", [{}, {"one": 1, "two": 2}, {"two": 2}])
async def test_a_call_that_is_not_as_declared_is_refused(redis, write, given):
    script = Scripts(redis, write("-- ARGV: one\nreturn 1")).load("script")
    with pytest.raises(TypeError):
        await script(**given)
    with pytest.raises(TypeError):
        script.call(**given)


@pytest.mark.parametrize("head", ["CLOCK: sundial", "CLOCK: steady", "CONSTANTS: MOST", "KEYS: many..., one"])
async def test_a_declaration_that_cannot_be_kept_is_refused(redis, write, head):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        Scripts(redis, write(f"-- {head}\nreturn 1")).load("script")


def test_a_blocking_client_runs_scripts_too(empty_redis, write):
    with empty_redis["cache"].client() as client:
        script = BlockingScript(client, load(write("-- KEYS: k\n-- ARGV: v\nreturn k .. v"), "script"))
        assert script(k="a", v="b") == b"ab"


def test_each_script_of_the_project_says_what_it_does_and_is_loaded_by_a_module_beside_it(project):
    paths = [path for room in ("registerbro", "portal", "workers") for path in (project / room).rglob("*.lua")]
    assert paths
    for path in paths:
        assert path.parent.name == "scripts"
        assert re.match(r"-- [A-Z]", path.read_text(encoding="utf-8"))
        assert _is_named(path), f"nothing loads {path}"


def _is_named(path: Path) -> bool:
    beside = [*path.parent.parent.glob("*.py"), *path.parent.glob("*.lua")]
    named = re.compile(rf'"{path.stem}(\.lua)?"|^-- USES: .*\b{path.stem}\b', re.MULTILINE)
    return any(named.search(other.read_text(encoding="utf-8")) for other in beside)
