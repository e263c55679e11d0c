"""docs/rules.md, whose examples are run, and whose numbers are those that code and documents name."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from config.rules_file import parse
from domain.periods import BENEFIT_GAP, EMPLOYMENT_GAP, Joins, Period, hull, merge
from domain.rules import DEFAULT_RULES
from domain.su_attempts import SuRegistration, count_attempts
from domain.target_group import in_target_group

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


def cells(heading: str) -> list[list[str]]:
    """The rows of the table with this heading."""
    table = PAGE.partition(heading)[2].partition("\n\n")[0]
    return [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]


def test_the_target_group_of_the_page_is_the_default_one() -> None:
    (rule,) = DEFAULT_RULES.target_group.rows
    assert rule.first == date(2023, 3, 13)
    names = DEFAULT_RULES.contact_groups
    conditions = {None: "none", 25: "under 25 today **and** has an uddannelsespålæg"}
    assert cells("| contact group | code | condition |") == [
        [getattr(names.at(one.group, date(2023, 3, 13)), "name"), str(one.group), conditions[one.under_age]]  # noqa: B009
        for one in rule.value
    ]


def test_the_labels_that_changed_are_the_default_ones() -> None:
    changed = cells("| default | until | label | from | label |")
    rows = [row for row in DEFAULT_RULES.benefits.rows if row.last is not None]
    assert changed == [
        [
            f"`{row.key}`", str(row.last), row.value, str(row.last + timedelta(days=1)),
            str(DEFAULT_RULES.benefits.at(row.key, row.last + timedelta(days=1))),
        ]
        for row in rows
        if row.last
    ]  # fmt: skip


def test_the_worked_example_of_the_operations_page_is_a_rules_file_that_does_what_it_says() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    rules = parse(page.partition("```toml\n")[2].partition("```")[0].encode())
    evening, morning = date(2026, 12, 31), date(2027, 1, 1)

    def groups_in(day: date) -> list[int]:
        citizen = {"born": date(2006, 7, 1), "education_order": True, "today": day}
        return [
            group for group in (1, 12, 28, 40) if in_target_group(rules.target_group, contact_groups=[group], **citizen)
        ]

    assert [groups_in(day) for day in (evening, morning)] == [[1, 12, 28], [28, 40]]
    assert [rules.benefits.at("KONTANTHJAELP", day) for day in (evening, morning)] == ["Kontanthjælp", "Grundydelse"]
    assert rules.contact_groups.at(40, morning) is not None


def test_the_page_has_examples() -> None:
    assert [len(list(rows(rule, 0))) for rule in ("R3", "R4", "R6")] == [6, 2, 6]


def test_every_rule_and_section_that_is_named_is_on_the_page() -> None:
    named: dict[str, str] = {}
    for folder in (
        "bench",
        "cli",
        "config",
        "demo",
        "docs",
        "domain",
        "portal",
        "registerbro",
        "simulators",
        "tests",
        "workers",
    ):
        for path in (PROJECT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".html", ".mjs"}:
                for rule in re.findall(r"\bR(?:1[01]|[1-9])\b(?!\.)|§\d\.\d", path.read_text(encoding="utf-8")):
                    named.setdefault(rule, str(path))
    missing = {
        rule: name for rule, name in named.items() if not re.search(rf"(^## |^\| |, ){rule}\b", PAGE, re.MULTILINE)
    }
    assert {"R1", "R11", "§3.5"} <= named.keys()
    assert missing == {}
