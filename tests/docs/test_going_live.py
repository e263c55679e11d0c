"""docs/going-live.md lists every assumption that the code makes, in the code's own words."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = " ".join((ROOT / "docs/going-live.md").read_text().split())


def assumptions(file):
    """What follows `ASSUMED:` up to the end of its sentence, on one line."""
    text = " ".join(re.sub(r"^\s*#", "", line) for line in file.read_text().splitlines())
    return [" ".join(one.split()) for one in re.findall(r"ASSUMED: (.+?)\.(?:\s|\"\"\")", text)]


MARKED = [
    (file.relative_to(ROOT).as_posix(), assumption)
    for room in ("domain", "workers", "registerbro")
    for file in sorted((ROOT / room).rglob("*.py"))
    for assumption in assumptions(file)
]


def test_the_registers_make_assumptions():
    assert {file for file, _ in MARKED} >= {
        "domain/rules.py",
        "workers/eindkomst/wire.py",
        "workers/booking_vendor/wire.py",
    }


@pytest.mark.parametrize(("file", "assumption"), MARKED)
def test_every_assumption_of_the_code_is_on_the_list(file, assumption):
    assert assumption in PAGE


@pytest.mark.parametrize(
    "place", sorted(set(re.findall(r"`((?:workers|config|domain|registerbro)/[\w/]+\.py)`", PAGE)))
)
def test_every_place_that_the_list_names_is_there(place):
    assert (ROOT / place).is_file()


def test_every_name_that_the_list_gives_is_in_the_code():
    for name, place in re.findall(r"`(\w+)` in `([\w/]+\.py)`", PAGE):
        assert name in (ROOT / place).read_text()
