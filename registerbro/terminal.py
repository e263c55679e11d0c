"""Terminal output of commands: lines, tables and JSON documents, with every text from outside made harmless.

Every command prints through this module alone (tests/cli/test_terminal.py holds that), so that an operator's reason, a
register's error or a citizen's report is never markup, moves no cursor and begins no line.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from domain.hidden_characters import to_json, visible, visible_json

__all__ = ["Cell", "Screen", "Table", "remark", "say", "say_json", "say_json_text", "show", "table"]


@dataclass(frozen=True, slots=True)
class Cell:
    """Table cell of several lines or with a style, which is rich's."""

    lines: Sequence["str | Cell"]
    style: str = ""


class Updated(Protocol):
    """Something on the screen that changes in its place."""

    def update(self, renderable: Table, /) -> None:
        """Shows this table instead."""


class Screen:
    """Standard output for a display that changes in place."""

    def __init__(self) -> None:
        self._console = Console(markup=False, emoji=False, highlight=False)

    def say(self, line: str = "", style: str = "") -> None:
        """One paragraph, wrapped where the terminal ends."""
        self._console.print(Text(visible(line), style))

    @contextmanager
    def working(self, line: str) -> Iterator[None]:
        """Shows a line for as long as the work in the block lasts."""
        with self._console.status(Text(visible(line))):
            yield

    @contextmanager
    def changing(self) -> Iterator[Updated]:
        """A table that can be replaced in its place; the last one stays."""
        with Live(console=self._console, refresh_per_second=10, transient=False) as live:
            yield live


def say(line: str = "") -> None:
    """Prints one line on standard output, at once."""
    _line(line, sys.stdout)


def remark(line: str) -> None:
    """Prints one line on standard error, at once. Raises OSError."""
    _line(line, sys.stderr)


def say_json(document: Any, *, indent: int | None = 2) -> None:  # noqa: ANN401 - whatever JSON has
    """Prints one JSON document."""
    print(to_json(document, indent=indent), flush=True)


def say_json_text(text: str) -> None:
    """Prints a text that is a JSON document already."""
    print(visible_json(text), flush=True)


def show(*tables: Table) -> None:
    """Prints tables as wide as the terminal."""
    Console(markup=False, emoji=False, highlight=False).print(*tables)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, title: str = "", steady: bool = False
) -> Table:
    """A table. Where it is `steady`, all columns but the first are equally wide, and there are lines between rows."""
    made = Table(title=Text(title, "table.title") if title else None, show_lines=steady)
    for number, column in enumerate(columns):
        made.add_column(Text(visible(column)), overflow="fold", ratio=1 if steady and number else None)
    for row in rows:
        made.add_row(*map(_text, row))
    return made


def _text(cell: str | Cell, style: str = "") -> Text:
    if isinstance(cell, str):
        return Text(visible(cell), style)
    return Text("\n").join(_text(line, cell.style) for line in cell.lines)


def _line(line: str, stream: TextIO) -> None:
    print(visible(line), file=stream, flush=True)
