"""`python -m tests.system.mutation.report`: what became of the mutants, module by module, as a table in Markdown.

The exit status is 1 when fewer are killed, of those that were tried, than is wanted. A mutant that runs for far too
long counts as killed; one that no test reaches, as one that survived.
"""

import json
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WANTED = 0.9
PACKAGES = ("domain", "redis_admission", "registerbro/upstreams")

_KILLED = {1, 3, 24, 36, 152, 255, -24}
"""mutmut's exit codes: a test failed, or the mutant took too long."""


def outcomes(meta: Path) -> dict[str, str]:
    """Mutant → what became of it, of one module."""
    codes = json.loads(meta.read_text())["exit_code_by_key"]
    return {
        name: "untried" if code is None else "killed" if code in _KILLED else "survived" for name, code in codes.items()
    }


def main() -> int:
    failed = False
    survivors: list[str] = []
    print("| module | mutants | tried | killed | survived | killed of those tried |\n|---|---|---|---|---|---|")
    for package in PACKAGES:
        total: Counter[str] = Counter()
        for meta in sorted((ROOT / "mutants" / package).rglob("*.py.meta")):
            found = outcomes(meta)
            if found:
                module = meta.relative_to(ROOT / "mutants").as_posix().removesuffix(".meta")
                print(_row(f"`{module}`", Counter(found.values())))
                total.update(found.values())
                survivors += sorted(name for name, outcome in found.items() if outcome == "survived")
        print(_row(f"**{package}**", total))
        tried = total["killed"] + total["survived"]
        failed |= bool(tried) and total["killed"] < WANTED * tried
    print("\nsurvivors:", *survivors, sep="\n  ")
    return 1 if failed else 0


def _row(name: str, counted: Counter[str]) -> str:
    tried = counted["killed"] + counted["survived"]
    share = f"{counted['killed'] / tried:.1%}" if tried else "–"
    return f"| {name} | {counted.total()} | {tried} | {counted['killed']} | {counted['survived']} | {share} |"


if __name__ == "__main__":
    sys.exit(main())
