"""The documents: every link leads somewhere, and the index of decisions names each of them."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [one for one in targets if "://" not in one and not (page.parent / one).exists()] == []


def test_the_index_names_every_decision_by_its_title() -> None:
    folder = PROJECT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = []
    for path in sorted(folder.glob("0*.md")):
        number, title = re.match(r"# (\d+)\. (.+)", path.read_text(encoding="utf-8")).groups()
        assert int(path.name[:4]) == int(number)
        rows.append(f"| [{number}]({path.name}) | {title} | ")
    assert [row for row in rows if row not in index] == []
    assert len(re.findall(r"^\| \[\d", index, re.MULTILINE)) == len(rows)
