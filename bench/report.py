"""The results as tables: for the terminal, and in README.md between two marks."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from demo.installation import PROJECT

BEGIN, END = "<!-- results of make bench -->", "<!-- end of results -->"
README = PROJECT / "README.md"


def cells(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Name, ours, theirs, figure, target, and whether it holds, of each row."""
    for row in rows:
        ours, theirs = (_number(row[side], row["unit"]) for side in ("ours", "theirs"))
        ratio = row["ratio"]
        figure = _number(row["figure"], row["target"].split(" ", 2)[2])
        if ratio:
            figure += f" ({ratio['min']:.2f} to {ratio['max']:.2f} ×)"
        yield row["name"], ours, theirs, figure, row["target"], "yes" if row["holds"] else "no"


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def into_readme(result: Path) -> None:
    """Puts the table of these results between the marks. Raises ValueError when README.md has none."""
    told = json.loads(result.read_text(encoding="utf-8"))
    load = f"{told['load_at_start'][0]} at the start"
    lines = [
        BEGIN,
        "| | ours | beside it | median (range) | target | holds |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in cells(told["rows"])),
        "",
        f"({told['at'][:10]}, {told['cores']} cores, load {load}, Python {told['python']}.)",
    ]
    before, mark, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError("README.md has no place for the results")
    README.write_text(before + "\n".join(lines) + "\n" + END + after, encoding="utf-8")
