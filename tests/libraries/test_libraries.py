"""The wheels: each library's own and the project's hold every file of the library."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.libraries.__main__ import PIP, PROJECT, libraries


def files_of(name: str) -> set[str]:
    """The code and the scripts of a library."""
    paths = (PROJECT / name).rglob("*")
    return {str(path.relative_to(PROJECT)) for path in paths if path.suffix in {".py", ".lua", ".typed"}}


def test_each_folder_with_a_pyproject_of_its_own_is_a_library() -> None:
    assert "redis_transport" in libraries()


@pytest.mark.parametrize("folder", [*libraries(), "."])
def test_the_wheel_holds_every_file(folder: str, tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, *PIP, "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir",
         str(tmp_path), str(PROJECT / folder)], check=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    held = set(ZipFile(wheel).namelist())
    expected = set().union(*map(files_of, libraries())) if folder == "." else files_of(folder)
    assert expected <= held
    assert not any(name.endswith("pyproject.toml") for name in held)
