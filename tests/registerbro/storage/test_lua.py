"""The loader gives scripts their names, their clock and what they share, and refuses a call that is not as declared."""

import asyncio
import re
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

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


ITEMS = "-- KEYS: total\n-- ITEM KEYS: own\n-- ITEM ARGV: text, size:number\n"


async def test_a_script_over_items_has_the_names_of_each(redis, write):
    module = write(f"{ITEMS}redis.call('INCRBY', total, size) return {{own, text, size + 1}}")
    script = Scripts(redis, module).load_batched("script")
    answers = await asyncio.gather(*(script(total="count", own=f"{{k}}{n}", text=f"x{n}", size=n) for n in range(250)))
    assert answers == [[b"{k}%d" % n, b"x%d" % n, n + 1] for n in range(250)]
    assert int(await redis.get("count")) == sum(range(250))
    calls = await redis.info("commandstats")
    assert calls["cmdstat_incrby"]["calls"] == 250


async def test_items_that_share_other_keys_are_of_another_batch(redis, write):
    module = write("-- KEYS: total\n-- ITEM ARGV: by\nreturn {total, redis.call('INCRBY', total, by)}")
    script = Scripts(redis, module).load_batched("script")
    answers = await asyncio.gather(*(script(total=total, by=1) for total in ("key1", "key2", "key1")))
    assert answers == [[b"key1", 1], [b"key2", 1], [b"key1", 2]]


async def test_items_may_have_keys_alone_and_go_by_the_steady_clock(redis, write):
    module = write("-- KEYS: one\n-- ITEM KEYS: own, other\n-- CLOCK: steady\nreturn {one, own, other, now}")
    script = Scripts(redis, module, Steady(redis, lambda: 1000)).load_batched("script")
    answers = await asyncio.gather(*(script(one="{k}", own=f"{{k}}{n}", other="{k}x", clock="{k}c") for n in (1, 2)))
    assert answers == [[b"{k}", b"{k}%d" % n, b"{k}x", 1000] for n in (1, 2)]


async def test_what_a_script_over_items_uses_may_end_an_item_early(redis, write):
    write("-- CONSTANTS: MOST\nif size > MOST then return 'more' end", "piece")
    script = Scripts(redis, write("-- ITEM ARGV: size:number\n-- USES: piece\nreturn size"), MOST=3).load_batched(
        "script"
    )
    assert await asyncio.gather(*(script(size=size) for size in (3, 4, 2))) == [3, b"more", 2]


async def test_an_item_that_returns_nothing_ends_no_other(redis, write):
    module = write(
        "-- ITEM ARGV: size:number\nif size == 1 then return end\nif size == 2 then return nil end\nreturn size > 3"
    )
    script = Scripts(redis, module).load_batched("script")
    assert await asyncio.gather(*(script(size=size) for size in (1, 2, 3, 4))) == [None, None, None, 1]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("redis.call('HSET', 'text', 'a', 1)", "WRONGTYPE|wrong kind"),
        ("error('two\\nlines')", "two lines"),
        ("error({code = 1})", "table"),
        ("return size + nil", "arithmetic"),
        ("redis.call('NO_SUCH_COMMAND')", "nknown"),
        ("return redis.error_reply('MINE own')", "own"),
    ],
)
async def test_what_fails_in_an_item_is_its_own_error(redis, write, wrong, says):
    await redis.set("text", "x")
    script = Scripts(
        redis, write(f"-- ITEM ARGV: size:number\nif size == 1 then {wrong} end return size")
    ).load_batched("script")
    one, failed, other = await asyncio.gather(*(script(size=size) for size in (0, 1, 2)), return_exceptions=True)
    assert (one, other) == (0, 2)
    assert isinstance(failed, ResponseError)
    assert re.search(says, str(failed))
    assert "\n" not in str(failed)


async def test_a_script_over_items_that_redis_has_forgotten_is_sent_again(redis, write):
    script = Scripts(
        redis, write("-- KEYS: total\n-- ITEM ARGV: by\nreturn redis.call('INCRBY', total, by)")
    ).load_batched("script")
    for last in (3, 6):
        await redis.script_flush()
        assert await asyncio.gather(*(script(total="count", by=1) for _ in range(3))) == [last - 2, last - 1, last]


@pytest.mark.parametrize("given", [{}, {"one": 1, "two": 2}, {"two": 2}])
async def test_an_item_that_is_not_as_declared_is_refused(redis, write, given):
    script = Scripts(redis, write("-- ITEM ARGV: one\nreturn 1")).load_batched("script")
    with pytest.raises(TypeError):
        await script(**given)


@pytest.mark.parametrize(
    "head", ["ARGV: one\n-- ITEM ARGV: two", "KEYS: one", "ITEM ARGV: many...", "KEYS: many...\n-- ITEM ARGV: one"]
)
async def test_a_declaration_of_items_that_cannot_be_kept_is_refused(redis, write, head):
    with pytest.raises(ValueError, match=r"script\.lua"):
        Scripts(redis, write(f"-- {head}\nreturn 1")).load_batched("script")


async def test_a_script_over_items_is_not_loaded_as_another(redis, write):
    with pytest.raises(ValueError, match=r"script\.lua"):
        Scripts(redis, write("-- ITEM ARGV: one\nreturn 1")).load("script")


def test_the_libraries_loop_is_the_same(project):
    loops = [project / room / "scripts" / "batch.lua" for room in ("registerbro/storage", "redis_admission")]
    assert loops[0].read_text("utf-8") == loops[1].read_text("utf-8")


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
