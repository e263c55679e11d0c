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

A script that many callers ask for at a time is a function over one item, and runs over all that they ask for together:

    -- KEYS: wanted
    -- ITEM KEYS: lease
    -- ITEM ARGV: citizen, length:number

Its KEYS are those that items share; calls with other ones are not of the same batch. `Scripts.load_batched` puts the
loop around it. An item that fails has an error of its own, and the others do not notice.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.typing import EncodableT

from registerbro.storage.batching import Batched
from registerbro.storage.steady_clock import Steady, SteadyScript

CLOCKS = ("", "server", "steady")
_ITEM_KEYS, _ITEM_ARGV = "ITEM KEYS", "ITEM ARGV"
_DECLARATIONS = ("KEYS", "ARGV", _ITEM_KEYS, _ITEM_ARGV, "CLOCK", "CONSTANTS", "USES")
_NUMBER, _LIST = ":number", "..."

Constants = Mapping[str, str | int]


def ms(duration: timedelta) -> int:
    """A duration in whole milliseconds."""
    return round(duration.total_seconds() * 1000)


class _Names:
    """Names that a call gives, in order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._known = frozenset(names)
        # One call for all values: this is paid for at each script.
        self._values: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda named: tuple(named[name] for name in names)
        )

    def values(self, named: Mapping[str, Any]) -> tuple[Any, ...]:
        """Their values. Raises TypeError for a name that is missing or not among them."""
        try:
            values = self._values(named)
        except KeyError as missing:
            raise TypeError(f"the script has no value for {missing}") from None
        if len(named) != len(values):
            raise TypeError(f"the script does not take {', '.join(sorted(named.keys() - self._known))}")
        return values


class Source:
    """Text of a script as Redis gets it, and the names of its keys and arguments, in order.

    `keys` and `args` are as declared; where a name ends with `...`, its value is a list.
    """

    def __init__(self, text: str, keys: Sequence[str], args: Sequence[str], *, is_steady: bool) -> None:
        self.text = text
        self.is_steady = is_steady
        names = (*map(_plain, keys), *(["clock"] if is_steady else []), *map(_plain, args))
        self._names = _Names(names)
        self._split = len(names) - len(args)
        lists = [place for place, name in enumerate((*keys, *([""] if is_steady else []), *args)) if _LIST in name]
        self._lists = lists[::-1]

    def arranged(self, named: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[EncodableT]]:
        """KEYS and ARGV of a call. Raises TypeError for a name that is missing or not the script's."""
        values: Sequence[Any] = self._names.values(named)
        split = self._split
        for place in self._lists:
            many = tuple(values[place])
            values = (*values[:place], *many, *values[place + 1 :])
            if place < self._split:
                split += len(many) - 1
        return values[:split], values[split:]


class BatchSource:
    """Text of a script over many items, and the names of what items share and of what each has, in order."""

    def __init__(
        self, text: str, shared: Sequence[str], keys: Sequence[str], args: Sequence[str], *, is_steady: bool
    ) -> None:
        self.text = text
        self.is_steady = is_steady
        self._names = _Names((*shared, *(["clock"] if is_steady else []), *keys, *map(_plain, args)))
        self._shared = len(shared) + is_steady
        self._split = self._shared + len(keys)

    def arranged(self, named: Mapping[str, Any]) -> tuple[tuple[str, ...], "ScriptItem"]:
        """The keys that the items of a batch share, the clock last, and an item. Raises TypeError as `Source` does."""
        values = self._names.values(named)
        return values[: self._shared], (values[self._shared : self._split], values[self._split :])

    def joined(self, shared: Sequence[str], items: "Sequence[ScriptItem]") -> tuple[list[str], list[EncodableT]]:
        """KEYS and ARGV of a call over these items."""
        own = [key for keys, _ in items for key in keys]
        # A steady clock is the last of a script's keys.
        keys = [*shared[:-1], *own, shared[-1]] if self.is_steady else [*shared, *own]
        return keys, [value for _, args in items for value in args]


ScriptItem: TypeAlias = tuple[Sequence[str], Sequence[EncodableT]]
"""The keys and the arguments that an item has for itself."""


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


class BatchedScript:
    """Script over many items that one client runs: what is asked for at a time is one command, of 100 items at most.

    Calling it raises TypeError for a wrong name, and REDIS_DOWN errors: the item's own, or one that the whole command
    has met. A call that is cancelled takes nothing from the others.
    """

    def __init__(self, source: BatchSource, script: AsyncScript | SteadyScript) -> None:
        self._source = source
        self._script = script
        self._batches: dict[tuple[str, ...], Batched[ScriptItem, Any]] = {}
        """By what items share, which is as much as a register has: there are few."""

    def __call__(self, **named: Any) -> Awaitable[Any]:  # noqa: ANN401 - as scripts do
        """Runs the script over this item, with others. Returns what it returns for the item."""
        shared, item = self._source.arranged(named)
        batch = self._batches.get(shared)
        if batch is None:
            batch = self._batches[shared] = Batched(partial(self._send, shared))
        return batch(item)

    async def _send(self, shared: tuple[str, ...], items: list[ScriptItem]) -> list[Any]:
        keys, args = self._source.joined(shared, items)
        answers: list[Any] = await self._script(keys=keys, args=args)
        return answers


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
        return Script(source, self._registered(name, source))

    def load_batched(self, name: str) -> BatchedScript:
        """The same of a script that is a function over one item."""
        source = _loaded_batch(self._module, name, tuple(self._constants.items()))
        return BatchedScript(source, self._registered(name, source))

    def _registered(self, name: str, source: Source | BatchSource) -> AsyncScript | SteadyScript:
        if not source.is_steady:
            return self._redis.register_script(source.text)
        if self._steady is None:
            raise ValueError(f"{name} goes by a steady clock, and none was given")
        return self._steady.script(source.text)


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
    script = _put_together(module, name, constants)
    if script.declared[_ITEM_KEYS] or script.declared[_ITEM_ARGV]:
        raise ValueError(f"{name}.lua is a function over one item, and is loaded as one")
    keys, args = script.declared["KEYS"], script.declared["ARGV"]
    text = "\n".join([*script.before, *_locals("KEYS", keys), *_locals("ARGV", args), *script.body])
    return Source(text, keys, args, is_steady=script.is_steady)


@cache
def _loaded_batch(module: str, name: str, constants: tuple[tuple[str, str | int], ...]) -> BatchSource:
    script = _put_together(module, name, constants)
    shared, keys, args = (script.declared[kind] for kind in ("KEYS", _ITEM_KEYS, _ITEM_ARGV))
    if script.declared["ARGV"] or not (keys or args) or any(_LIST in one for one in (*shared, *keys, *args)):
        raise ValueError(f"{name}.lua shares keys alone between its items, which have keys or arguments, and no lists")
    items = f"#ARGV / {len(args)}" if args else f"(#KEYS - {len(shared)}) / {len(keys)}"
    values = [
        *(f"KEYS[{len(shared) + place} + i * {len(keys)}]" for place in range(1, len(keys) + 1)),
        *(_converted(f"ARGV[{place} + i * {len(args)}]", declared) for place, declared in enumerate(args, 1)),
    ]
    text = "\n".join(
        [
            *script.before,
            *_locals("KEYS", shared),
            f"local function item({', '.join(map(_plain, (*keys, *args)))})",
            *script.body,
            "end",
            _read(__file__, "batch")[1],
            "local answers = {}",
            f"for i = 0, {items} - 1 do answers[i + 1] = attempt({', '.join(values)}) end",
            "return answers",
        ]
    )
    return BatchSource(text, shared, keys, args, is_steady=script.is_steady)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """What a script's file declares, and the text before the names of its keys and arguments and behind them."""

    declared: Mapping[str, list[str]]
    before: Sequence[str]
    body: Sequence[str]

    @property
    def is_steady(self) -> bool:
        return self.declared["CLOCK"] == ["steady"]


def _put_together(module: str, name: str, constants: tuple[tuple[str, str | int], ...]) -> _Pieces:
    declared, body = _read(module, name)
    pieces = [_read(module, piece) for piece in declared["USES"]]
    known = dict(constants)
    wanted = dict.fromkeys(
        constant for head in (declared, *(head for head, _ in pieces)) for constant in head["CONSTANTS"]
    )
    clock = "".join(declared["CLOCK"])
    if clock not in CLOCKS or wanted.keys() - known.keys():
        raise ValueError(f"{name}.lua asks for a clock or a constant that there is not")
    before = [
        *([_read(__file__, "server_clock")[1]] if clock == "server" else []),
        *(f"local {constant} = {_literal(known[constant])}" for constant in wanted),
    ]
    return _Pieces(declared, before, [*(text for _, text in pieces), body])


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
