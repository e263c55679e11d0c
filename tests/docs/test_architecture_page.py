"""docs/architecture.md: each `module:name` exists, the tree is the project's, and each path leads to its line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.headings import anchors

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
REFERENCE = re.compile(r"`((?:\w+\.)*\w+:\w+(?:\.\w+)*)`")
MOST_STEPS = 3
HELD_WHOLE = ("registerbro", "workers")
"""Rooms whose second level is on the page without exception; of the other rooms, the folders are."""


def part(name: str) -> str:
    return PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0]


def cells(name: str) -> Iterator[list[str]]:
    """The cells of a table, without its first two lines."""
    for line in part(name).strip().splitlines()[2:]:
        yield [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def file_of(module: str) -> Path | None:
    stem = PROJECT / module.replace(".", "/")
    return next((file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file()), None)


def is_defined(module: str, name: str) -> bool:
    """Whether a module has this function, class, method or constant, of its own or from a module of ours."""
    file = file_of(module)
    return file is not None and _is_defined(ast.parse(file.read_text(encoding="utf-8")).body, name.split("."))


def _is_defined(body: list[ast.stmt], names: list[str]) -> bool:
    first, *rest = names
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name == first:
                return not rest
            case ast.ClassDef(name=name) if name == first:
                return not rest or _is_defined(node.body, rest)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) if name == first:
                return not rest
            case ast.ImportFrom(module=str(module)) if any((one.asname or one.name) == first for one in node.names):
                (origin,) = (one.name for one in node.names if (one.asname or one.name) == first)
                return is_defined(module, ".".join([origin, *rest]))
    return False


def place_of(step: str) -> tuple[str, str]:
    """The document, file or module of a step, and the heading or name in it."""
    place, _, name = step.partition("#" if ".md" in step else ":")
    return place, name


def is_path(place: str) -> bool:
    return place.endswith((".md", ".lua"))


def is_there(step: str) -> bool:
    place, name = place_of(step)
    if place.endswith(".md"):
        return (PROJECT / place).is_file() and (not name or name in anchors(PROJECT / place))
    if is_path(place):
        return (PROJECT / place).is_file() and name in text_of(step)
    return is_defined(place, name)


def text_of(step: str) -> str:
    place, _ = place_of(step)
    file = PROJECT / place if is_path(place) else file_of(place)
    return file.read_text(encoding="utf-8") if file else ""


def is_named(step: str, text: str) -> bool:
    """Whether a text leads on: to a document by its name; to a file by its path; to a module by either form."""
    place, _ = place_of(step)
    if is_path(place):
        return (Path(place).name if place.endswith(".md") else place) in text
    return f"{place.replace('.', '/')}.py" in text or re.search(rf"\b{re.escape(place)}\b", text) is not None


PATHS = [(question, [step for step in steps if step]) for question, *steps in cells("paths")]


@pytest.mark.parametrize("reference", sorted(set(REFERENCE.findall(PAGE))))
def test_what_the_page_names_exists(reference: str) -> None:
    assert is_there(reference)


def test_the_page_names_what_a_refresh_goes_through() -> None:
    assert len(set(REFERENCE.findall(PAGE))) > 40


def test_there_are_ten_questions() -> None:
    assert len({question for question, _ in PATHS}) == 10


@pytest.mark.parametrize(("question", "steps"), PATHS, ids=[question for question, _ in PATHS])
def test_each_path_leads_from_the_readme_to_its_line(question: str, steps: list[str]) -> None:
    assert 0 < len(steps) <= MOST_STEPS
    seen = text_of("README.md")
    for step in steps:
        assert is_there(step), step
        assert is_named(step, seen), f"{step} is named by no step before it"
        seen += text_of(step)


def test_the_tree_names_what_is_there() -> None:
    listed = [path for path, _ in cells("tree")]
    assert [path for path in listed if not ((PROJECT / path).exists() or (PROJECT / f"{path}.py").is_file())] == []


def test_the_tree_leaves_no_room_out() -> None:
    listed = {path.rstrip("/").removesuffix(".py") for path, _ in cells("tree")}
    packages = [folder.parent for folder in PROJECT.glob("*/__init__.py") if folder.parent.name != "tests"]
    inner = [
        path
        for room in packages
        for path in room.iterdir()
        if (path / "__init__.py").is_file() or (path.suffix == ".py" and room.name in HELD_WHOLE)
    ]
    found = {path.relative_to(PROJECT).with_suffix("").as_posix() for path in (*packages, *inner)}
    assert {path for path in found if not path.endswith("__init__")} - listed == set()


@pytest.mark.parametrize(
    "step",
    [
        "docs/none.md",
        "docs/rules.md#r12",
        "redis_admission/scripts/record.lua:nothing",
        "registerbro.services:Nothing",
        "registerbro.nowhere:Services",
        "registerbro.services:Services.nothing",
    ],
)
def test_a_step_that_leads_nowhere_is_seen(step: str) -> None:
    assert not is_there(step)


def test_a_step_that_nothing_names_is_seen() -> None:
    assert not is_named("registerbro.storage.keys:entry_key", "registerbro/storage/ and registerbro.storage.lua")
    assert not is_named("docs/rules.md", "see docs/glossary.md")
