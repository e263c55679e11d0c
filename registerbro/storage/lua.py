"""Loader of atomic scripts: `.lua` files with named keys and arguments, and with one of two clocks.

A script is a file in the folder `scripts/` beside the module that uses it. The comment at its head says what it does,
and declares what it takes:

    -- Takes the lease of a refresh, unless it is taken. Returns 1 or 0.
    -- KEYS: wanted, lease
    -- ARGV: citizen, length:number
    -- CLOCK: steady

Each name is a local variable of the script and a keyword argument of the call. `name:number` is converted; `name...`,
at the end, is a list. A script that goes by the steady clock takes the key `clock` too. `CONSTANTS` names values that
the module gives when it loads the script, and `USES` files whose text is put before the script's own.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from registerbro.storage.steady_clock import Steady, SteadyScript

CLOCKS = ("", "server", "steady")
_DECLARATIONS = ("KEYS", "ARGV", "CLOCK", "CONSTANTS", "USES")
_NUMBER, _LIST = ":number", "..."

Constants = Mapping[str, str | int]


def ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return round(duration.total_seconds() * 1000)


class Source:
    """Text of a script as Redis gets it, and the names of its keys and arguments, in order.

    `keys` and `args` are as declared; where a name ends with `...`, its value is a list.
    """

    def __init__(self, text: str, keys: Sequence[str], args: Sequence[str], *, is_steady: bool) -> None:
        self.text = text
        self.is_steady = is_steady
        names = (*map(_plain, keys), *(["clock"] if is_steady else []), *map(_plain, args))
        self._names = frozenset(names)
        self._split = len(names) - len(args)
        # One call for all values: this is paid for at each script.
        self._values: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda named: tuple(named[name] for name in names)
        )
        lists = [place for place, name in enumerate((*keys, *([""] if is_steady else []), *args)) if _LIST in name]
        self._lists = lists[::-1]

    def arranged(self, named: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[EncodableT]]:
        """KEYS and ARGV of a call. Raises TypeError for a name that is missing or not the script's."""
        try:
            values: Sequence[Any] = self._values(named)
        except KeyError as missing:
            raise TypeError(f"the script has no value for {missing}") from None
        if len(named) != len(values):
            raise TypeError(f"the script does not take {', '.join(sorted(named.keys() - self._names))}")
        split = self._split
        for place in self._lists:
            many = tuple(values[place])
            values = (*values[:place], *many, *values[place + 1 :])
            if place < self._split:
                split += len(many) - 1
        return values[:split], values[split:]


@dataclass(frozen=True, slots=True)
class Call:
    """Script with the keys and arguments of one call, for `Ledger.durably`."""

    script: AsyncScript | SteadyScript
    keys: Sequence[str]
    args: Sequence[EncodableT]


class Script:
    """Script that one client runs. Calling it raises TypeError for a wrong name, and REDIS_DOWN errors."""

    def __init__(self, source: Source, script: AsyncScript | SteadyScript) -> None:
        self._source = source
        self._script = script

    def __call__(self, **named: Any) -> Awaitable[Any]:  # noqa: ANN401 - as scripts do
        """Runs the script. Returns what it returns."""
        keys, args = self._source.arranged(named)
        return self._script(keys=keys, args=args)

    def call(self, **named: Any) -> Call:  # noqa: ANN401
        """The call, not made yet."""
        return Call(self._script, *self._source.arranged(named))


class Scripts:
    """Loads the scripts of one module for one client.

    `module` is the module's `__file__`. `steady` is the clock of the scripts that go by a steady one.
    """

    def __init__(self, redis: Redis, module: str, steady: Steady | None = None, **constants: str | int) -> None:
        self._redis = redis
        self._module = module
        self._steady = steady
        self._constants = constants

    def load(self, name: str) -> Script:
        """The script `scripts/<name>.lua`. Raises OSError without the file, ValueError for a wrong declaration."""
        source = load(self._module, name, **self._constants)
        if not source.is_steady:
            return Script(source, self._redis.register_script(source.text))
        if self._steady is None:
            raise ValueError(f"{name} goes by a steady clock, and none was given")
        return Script(source, self._steady.script(source.text))


class BlockingScript:
    """Script that a blocking client runs. Calling it raises as `Script` does."""

    def __init__(self, redis: BlockingRedis, source: Source) -> None:
        self._source = source
        self._script = redis.register_script(source.text)

    def __call__(self, **named: Any) -> Any:  # noqa: ANN401 - as scripts do
        """Runs the script. Returns what it returns."""
        keys, args = self._source.arranged(named)
        return self._script(keys=keys, args=args)


def load(module: str, name: str, **constants: str | int) -> Source:
    """The source of `scripts/<name>.lua` beside `module`, read once per process. Raises as `Scripts.load` does."""
    return _loaded(module, name, tuple(constants.items()))


@cache
def _loaded(module: str, name: str, constants: tuple[tuple[str, str | int], ...]) -> Source:
    declared, body = _read(module, name)
    pieces = [_read(module, piece) for piece in declared["USES"]]
    known = dict(constants)
    wanted = dict.fromkeys(
        constant for head in (declared, *(head for head, _ in pieces)) for constant in head["CONSTANTS"]
    )
    clock = "".join(declared["CLOCK"])
    if clock not in CLOCKS or wanted.keys() - known.keys():
        raise ValueError(f"{name}.lua asks for a clock or a constant that there is not")
    lines = [
        *([_read(__file__, "server_clock")[1]] if clock == "server" else []),
        *(f"local {constant} = {_literal(known[constant])}" for constant in wanted),
        *_locals("KEYS", declared["KEYS"]),
        *_locals("ARGV", declared["ARGV"]),
        *(text for _, text in pieces),
        body,
    ]
    return Source("\n".join(lines), declared["KEYS"], declared["ARGV"], is_steady=clock == "steady")


@cache
def _read(module: str, name: str) -> tuple[dict[str, list[str]], str]:
    """The declarations of a file, each as a list of names, and its text below them."""
    lines = (Path(module).parent / "scripts" / f"{name}.lua").read_text(encoding="utf-8").splitlines()
    head = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    declared: dict[str, list[str]] = {kind: [] for kind in _DECLARATIONS}
    for line in lines[:head]:
        kind, colon, names = line.removeprefix("-- ").partition(": ")
        if colon and kind in declared:
            declared[kind] += names.split(", ")
    return declared, "\n".join(lines[head:])


def _locals(table: str, declared: Sequence[str]) -> Iterator[str]:
    """Lua that gives the items of KEYS or ARGV their names."""
    single = [name for name in declared if not name.endswith(_LIST)]
    if single:
        items = (_converted(f"{table}[{place}]", name) for place, name in enumerate(single, 1))
        yield f"local {', '.join(map(_plain, single))} = {', '.join(items)}"
    if len(single) == len(declared):
        return
    if len(declared) != len(single) + 1 or declared[-1] in single:
        raise ValueError("a list of names ends with one list at the most")
    many = declared[-1]
    name = _plain(many)
    if not single and _NUMBER not in many:
        yield f"local {name} = {table}"
        return
    yield f"local {name} = {{}}"
    yield f"for i = {len(single) + 1}, #{table} do {name}[i - {len(single)}] = {_converted(f'{table}[i]', many)} end"


def _converted(item: str, declared: str) -> str:
    return f"tonumber({item})" if _NUMBER in declared else item


def _plain(declared: str) -> str:
    return declared.removesuffix(_LIST).removesuffix(_NUMBER)


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else f"'{value}'"
