"""docs/security.md: each threat names a test that is there, or says that there is none."""

import ast
import re

import pytest

NONE = "none"


def rows(project):
    page = (project / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.partition("<!-- threats -->")[2].partition("<!-- end of threats -->")[0].strip().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def functions_of(path):
    """The names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing(project, held_by):
    """Of the tests that a row names, those that are not there; a row that names none, and does not say so, itself."""
    if held_by == NONE:
        return []
    named = re.findall(r"(tests/\S+\.py)::(test_\w+)", held_by)
    gone = [
        f"{file}::{name}"
        for file, name in named
        if not (project / file).is_file() or name not in functions_of(project / file)
    ]
    return gone or ([] if named else [held_by])


def test_every_threat_names_a_test_that_is_there_or_says_that_it_has_none(project):
    listed = rows(project)
    assert len(listed) > 20
    assert all(len(row) == 5 and row[0] and row[1] and row[2] and row[4] for row in listed)
    assert [gone for row in listed for gone in missing(project, row[4])] == []


@pytest.mark.parametrize(
    "held_by",
    [
        "",
        "a test",
        "tests/docs/test_security_page.py",
        "tests/no.py::test_x",
        "tests/docs/test_security_page.py::test_not_there",
    ],
)
def test_a_test_that_is_not_there_is_seen(project, held_by):
    assert missing(project, held_by)


@pytest.mark.parametrize(
    "who",
    ["another citizen", "operator", "stolen tokens", "internal network", "worker", "Redis", "upstream", "vendor",
     "supply-chain", "backup thief"],
)  # fmt: skip
def test_nobody_who_could_want_something_is_left_out(project, who):
    assert [row for row in rows(project) if who in row[0]]
