"""The documents: every link leads somewhere, the index of decisions names each, the changelog what is there."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.headings import anchors

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [one for one in targets if "://" not in one and not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_to_a_heading_find_it(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    linked = [(page.parent / target if target else page, anchor) for target, anchor in targets]
    assert [anchor for document, anchor in linked if document.suffix == ".md" and anchor not in anchors(document)] == []


CODE = re.compile(r"`([^`\n]+)`")
ROOMS = ("cli", "config", "demo", "domain", "portal", "redis_admission", "redis_transport", "registerbro", "workers")
FOLDERS = (*ROOMS, "simulators", "tools", "tests", "bench", "monitoring", "docs", "requirements")
HISTORY = {"CHANGELOG.md"}
NO_MODULES = {"portal.env"}


def named_paths(text: str) -> list[str]:
    """Paths and modules of ours that a text names as code: `registerbro/services.py`, `registerbro.services`."""
    words = [word for code in CODE.findall(text) for word in code.split()]
    paths = [word for word in words if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*\w/?", word)]
    modules = [
        word for word in words if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})(?:\.\w+)+", word) and word not in NO_MODULES
    ]
    return paths + [module.replace(".", "/") for module in modules]


def is_there(path: str) -> bool:
    """Whether a file or folder is there, or a module that has become a package, or a name in a module."""
    place = PROJECT / path.rstrip("/").removesuffix(".py")
    return any(one.exists() for one in (PROJECT / path, place, place.with_suffix(".py"))) or (
        (module := place.parent.with_suffix(".py")).is_file()
        and re.search(rf"\b{place.name}\b", module.read_text(encoding="utf-8")) is not None
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in HISTORY], ids=lambda page: page.name)
def test_paths_and_modules_that_documents_name_are_there(page: Path) -> None:
    assert [one for one in named_paths(page.read_text(encoding="utf-8")) if not is_there(one)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_targets_of_make_that_documents_name_are_there(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"(?:`|^    )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert [one for one in named if one not in targets] == []


def test_a_path_that_leads_nowhere_is_seen() -> None:
    found = named_paths("`registerbro/none.py`, `python -m registerbro.nowhere`, `registerbro.services.Services`")
    assert [is_there(one) for one in found] == [False, False, True]


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


CHANGELOG = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


def rows(section: str) -> list[tuple[str, str]]:
    """The two columns of a table of the changelog."""
    table = CHANGELOG.partition(f"### {section}\n")[2].partition("\n### ")[0]
    return re.findall(r"^\| (`.+?) \| (`.+?) \|$", table, re.MULTILINE)


def test_the_newest_release_is_the_packages_and_dated() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(r"^## (?!Unreleased)(.+)$", CHANGELOG, re.MULTILINE)[1].startswith(f"{version} – 20")


def test_modules_that_the_changelog_leads_to_are_there() -> None:
    named = [name for _, new in rows("Modules moved") for name in re.findall(r"`([a-z_]+/[\w/]*)`", new)]
    assert len(named) > 40
    assert [
        name for name in named if not any((PROJECT / f"{name.rstrip('/')}{end}").exists() for end in ("", ".py"))
    ] == []


def test_log_events_that_were_renamed_have_their_new_names() -> None:
    events = {
        event
        for room in ROOMS
        for file in (PROJECT / room).rglob("*.py")
        for event in re.findall(r"\"([a-z]+(?:_[a-z]+)+)\"", file.read_text(encoding="utf-8"))
    }
    renamed = [(old.strip("`"), new.strip("`")) for old, new in rows("Log events renamed")]
    told = "".join(page.read_text(encoding="utf-8") for page in PAGES if page.name not in HISTORY)
    assert renamed
    assert [old for old, _ in renamed if old in events or old in told] == []
    assert [new for _, new in renamed if new not in events] == []
