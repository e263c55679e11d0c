"""Lua scripts of admission, and their loader.

Each `.lua` file names its arguments in a line `-- arguments: name name:number name:flag name:json`; the loader declares
them as locals, so that neither side counts positions. Every script runs by the steady clock (`clock.lua`).
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

KEYS = ("state", "window", "permits", "probes", "waiting", "alive", "budget", "clock")
"""The names by which scripts know their keys, in the order of KEYS."""
_READ = {"": "ARGV[%d]", "number": "tonumber(ARGV[%d])", "flag": "ARGV[%d] == '1'", "json": "cjson.decode(ARGV[%d])"}


@dataclass(frozen=True, slots=True)
class Source:
    """A script as Redis runs it, and the names of its arguments in the order of ARGV."""

    text: str
    arguments: tuple[str, ...]


@cache
def load(name: str) -> Source:
    """Returns the script of the file `<name>.lua`, with clock and shared functions in front of it.

    Raises FileNotFoundError when there is no such file.
    """
    here = files(__package__)
    clock, common, body = ((here / f"{part}.lua").read_text("utf-8") for part in ("clock", "common", name))
    declared = [one.partition(":") for part in (clock, common, body) for one in _declared(part)]
    values = ", ".join(_READ[kind] % position for position, (_, _, kind) in enumerate(declared, start=1))
    arguments = tuple(argument for argument, _, _ in declared)
    text = (
        f"local {', '.join(KEYS)} = unpack(KEYS)\nlocal {', '.join(arguments)} = {values}\n"
        f"{clock}\n{common}\nlocal function answer()\n{body}\nend\nreturn {{now, which, answer()}}\n"
    )
    return Source(text, arguments)


def _declared(lua: str) -> list[str]:
    line = re.search(r"^-- arguments:(.*)$", lua, re.MULTILINE)
    return line[1].split() if line else []
