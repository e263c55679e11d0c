"""Loader of the Lua scripts in `scripts/`.

Each script is sent whole: `clock.lua`, the one place that reads the server's clock; `common.lua`, what all scripts
share; and its own file, which says at its top what arguments it takes and what it returns.
"""

from functools import cache
from importlib.resources import files


@cache
def _read(name: str) -> str:
    return files("redis_transport").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


CLOCK = _read("clock")
"""Lua source of `now()`, the server's time in seconds. Tests put a clock in its place that they can set."""


def source(name: str) -> str:
    """Reads a script.

    Args:
        name: the file's name in `scripts/`, without `.lua`.

    Returns:
        The whole Lua source to send to Redis.

    Raises:
        FileNotFoundError: there is no such script.
    """
    return CLOCK + _read("common") + _read(name)
