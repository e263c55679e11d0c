"""Trace context (W3C) through the API, the queue and the call of an upstream, so that log lines can be joined.

It costs a header. With the extra `tracing`, `registerbro/telemetry/otel.py` also records each span; without
it, spans are ids alone. A span has a name and attributes that we choose: none ever holds anything of a citizen.
"""

import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Protocol

import structlog

from domain.cpr import LOOKS_LIKE_CPR
from registerbro.telemetry import random_ids

HEADER = "traceparent"
_FORM = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})")
_SAMPLED = 1


class Kind(Enum):
    """Kind of a span, in OpenTelemetry's terms."""

    SERVER = "SERVER"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"
    CLIENT = "CLIENT"


@dataclass(frozen=True, slots=True)
class Context:
    """Position in a trace."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @property
    def header(self) -> str:
        """The value of the header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"


class Span(Protocol):
    """A span that is open."""

    context: Context

    def set_attributes(self, **attributes: str | float) -> None:
        """Adds attributes, once they are known."""
        ...

    def name(self, name: str) -> None:
        """Names it anew, once that is known."""
        ...

    def fail(self, reason: str) -> None:
        """It went wrong; `reason` is one of our constants, and never an error's own message."""
        ...


@dataclass(slots=True)
class _Unrecorded:
    context: Context

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        """Records nothing."""

    def set_attributes(self, **attributes: str | float) -> None:
        """Records nothing."""

    def name(self, name: str) -> None:
        """Records nothing."""

    def fail(self, reason: str) -> None:
        """Records nothing."""


Recorder = Callable[[str, Kind, Context | None], AbstractContextManager[Span]]
"""Opens a span of a name and kind within a context."""

_current: ContextVar[Context | None] = ContextVar("trace", default=None)


def _unrecorded(_: str, __: Kind, parent: Context | None) -> AbstractContextManager[Span]:
    trace_id, sampled = (parent.trace_id, parent.sampled) if parent else (_new(16), True)
    return _Unrecorded(Context(trace_id, _new(8), sampled))


_recorder: Recorder = _unrecorded


def record_with(recorder: Recorder | None) -> None:
    """Sets the recorder of this process's spans; None records none."""
    global _recorder  # noqa: PLW0603 - a process has one
    _recorder = recorder or _unrecorded


def current() -> Context | None:
    """The current context; None outside any trace."""
    return _current.get()


def parse(header: object) -> Context | None:
    """Parses a `traceparent`; None for any other text, and for one that the standard calls invalid."""
    found = _FORM.fullmatch(header) if isinstance(header, str) else None
    if found is None or not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    return Context(found["trace"], found["span"], bool(int(found["flags"], 16) & _SAMPLED))


class span(AbstractContextManager[Span]):  # noqa: N801 - it is used as a function
    """A span within `parent`, the current context, or else a new trace. Log lines inside show its trace id."""

    __slots__ = ("_bound", "_here", "_step")

    def __init__(self, name: str, kind: Kind = Kind.INTERNAL, parent: Context | None = None) -> None:
        self._step = _recorder(name, kind, parent or current())

    def __enter__(self) -> Span:
        outside = current()
        opened = self._step.__enter__()
        self._here = _current.set(opened.context)
        self._bound: Mapping[str, Token[Any]] = {}
        if outside is None or outside.trace_id != opened.context.trace_id:
            self._bound = structlog.contextvars.bind_contextvars(trace_id=opened.context.trace_id)
        return opened

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        if self._bound:
            structlog.contextvars.reset_contextvars(**self._bound)
        _current.reset(self._here)
        return self._step.__exit__(kind, error, where)


def inject(headers: MutableMapping[str, Any]) -> None:
    """Puts the current context into a message's headers; nothing outside any trace."""
    if (here := current()) is not None:
        headers[HEADER] = here.header


def _new(size: int) -> str:
    """A random id in which nothing looks like a CPR number, so that no redaction of a log hides it."""
    while LOOKS_LIKE_CPR.search(made := random_ids.name(size)):
        pass
    return made
