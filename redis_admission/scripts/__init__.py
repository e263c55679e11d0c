"""Lua scripts of admission, and their loader.

Each `.lua` file names its arguments in a line `-- arguments: name name:number name:flag name:json`; the loader declares
them as locals, so that neither side counts positions. Every script runs by the steady clock (`clock.lua`).

A script that many calls run at a time names `-- item: name name:number` in place of that: it is a function over one
item, and runs over all of them (`batch.lua`).
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

KEYS = ("state", "window", "permits", "probes", "waiting", "alive", "budget", "clock")
"""The names by which scripts know their keys, in the order of KEYS."""
_READ = {"": "ARGV[%s]", "number": "tonumber(ARGV[%s])", "flag": "ARGV[%s] == '1'", "json": "cjson.decode(ARGV[%s])"}


@dataclass(frozen=True, slots=True)
class Source:
    """A script as Redis runs it, and the names of its arguments in the order of ARGV."""

    text: str
    arguments: tuple[str, ...]
    item: tuple[str, ...] = ()
    """The names of an item's arguments, which follow the others once for each item."""


@cache
def load(name: str) -> Source:
    """Returns the script of the file `<name>.lua`, with clock and shared functions in front of it.

    Raises FileNotFoundError when there is no such file.
    """
    here = files(__package__)
    clock, common, body, batch = (
        (here / f"{part}.lua").read_text("utf-8") for part in ("clock", "common", name, "batch")
    )
    declared = [one for part in (clock, common, body) for one in _declared("arguments", part)]
    values = ", ".join(_READ[kind] % position for position, (_, kind) in enumerate(declared, start=1))
    arguments = tuple(argument for argument, _ in declared)
    before = f"local {', '.join(KEYS)} = unpack(KEYS)\nlocal {', '.join(arguments)} = {values}\n{clock}\n{common}\n"
    own = _declared("item", body)
    if not own:
        return Source(f"{before}local function answer()\n{body}\nend\nreturn {{now, which, answer()}}\n", arguments)
    item = tuple(argument for argument, _ in own)
    given = ", ".join(_READ[kind] % f"i + {position}" for position, (_, kind) in enumerate(own))
    text = (
        f"{before}local function item({', '.join(item)})\n{body}\nend\n{batch}\nlocal answers = {{}}\n"
        f"for i = {len(declared) + 1}, #ARGV, {len(item)} do answers[#answers + 1] = attempt({given}) end\n"
        "return {now, which, answers}\n"
    )
    return Source(text, arguments, item)


def _declared(kind: str, lua: str) -> list[tuple[str, str]]:
    """The names of a declaration, each with what it is read as."""
    line = re.search(rf"^-- {kind}:(.*)$", lua, re.MULTILINE)
    return [(name, read_as) for name, _, read_as in (one.partition(":") for one in (line[1].split() if line else []))]
