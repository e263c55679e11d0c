"""docs/rules.md, whose examples are run, and whose numbers are those that code and documents name."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from workers.domain.periods import BENEFIT_GAP, EMPLOYMENT_GAP, Joins, Period, hull, merge
from workers.domain.su import SuRegistration, count_attempts

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "rules.md").read_text(encoding="utf-8")


def rows(rule: str, *columns: int) -> Iterator[list[str]]:
    """The cells of a rule's examples: the lines of its table that begin with a date."""
    chapter = PAGE.partition(f"## {rule} ")[2].partition("\n## ")[0]
    for line in re.findall(r"^\| (\d{4}-\d\d-\d\d .*) \|$", chapter, re.MULTILINE):
        cells = line.split(" | ")
        yield [cells[column] for column in columns]


@pytest.mark.parametrize(
    ("joins", "last", "first", "shown"),
    [(EMPLOYMENT_GAP, *row) for row in rows("R3", 0, 1, 3)] + [(BENEFIT_GAP, *row) for row in rows("R4", 0, 1, 3)],
)
def test_examples_of_merged_periods(joins: Joins, last: str, first: str, shown: str) -> None:
    earlier = Period(date(2020, 1, 1), date.fromisoformat(last))
    later = Period(date.fromisoformat(first), date(2022, 12, 31))
    merged = merge([earlier, later], joins, hull)
    assert len(merged) == {"one period": 1, "two periods": 2}[shown]


@pytest.mark.parametrize(("born", "begun", "counts"), list(rows("R6", 0, 1, 2)))
def test_examples_of_su_attempts(born: str, begun: str, counts: str) -> None:
    registration = SuRegistration("Stx", youth=True, start=date.fromisoformat(begun), withdrawn=False)
    assert count_attempts(date.fromisoformat(born), [registration]) == {"yes": 1, "no": 0}[counts]


def test_the_page_has_examples() -> None:
    assert [len(list(rows(rule, 0))) for rule in ("R3", "R4", "R6")] == [6, 2, 6]


def test_every_rule_and_section_that_is_named_is_on_the_page() -> None:
    named: dict[str, str] = {}
    for folder in ("bench", "config", "docs", "ops", "portal", "simulators", "tests", "workers"):
        for path in (PROJECT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".html", ".mjs"}:
                for rule in re.findall(r"\bR(?:1[01]|[1-9])\b(?!\.)|§\d\.\d", path.read_text(encoding="utf-8")):
                    named.setdefault(rule, str(path))
    missing = {
        rule: name for rule, name in named.items() if not re.search(rf"(^## |^\| |, ){rule}\b", PAGE, re.MULTILINE)
    }
    assert {"R1", "R11", "§3.5"} <= named.keys()
    assert missing == {}
