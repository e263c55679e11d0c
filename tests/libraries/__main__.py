"""Tests each library of this project alone: `make test-libraries` (ONLY=redis_transport ARGS="-k store").

A library is a folder with a pyproject.toml of its own. Its wheel is built and installed into an empty environment,
with what it stands on from `requirements/libraries.txt`; its tests are copied to a folder without the project, and run
there. So a library that needs anything of the project, or whose wheel lacks a file, fails.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

PROJECT = Path(__file__).resolve().parents[2]
LOCK = PROJECT / "requirements" / "libraries.txt"
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
CLEARED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
"""Variables that would lead back to this project, or to the test run that this one is part of."""


def libraries() -> list[str]:
    """The folders that have a pyproject.toml of their own."""
    return sorted(path.parent.name for path in PROJECT.glob("*/pyproject.toml"))


def check(name: str, directory: Path, arguments: list[str]) -> int:
    """Builds, installs and tests a library.

    Args:
        name: the library's folder.
        directory: an empty folder for all that is made.
        arguments: pytest's.

    Returns:
        pytest's exit status.

    Raises:
        subprocess.CalledProcessError: it cannot be built or installed.
        AssertionError: the wheel, or what is imported, is not the library alone.
    """
    environment = {key: value for key, value in os.environ.items() if key not in CLEARED}
    python = directory / "venv" / "bin" / "python"
    alone = directory / "alone"

    def run(*command: str | Path) -> None:
        subprocess.run(command, cwd=directory, env=environment, check=True)

    run(sys.executable, "-m", "venv", directory / "venv")
    run(python, *PIP, "install", "--quiet", "--require-hashes", "-r", LOCK)
    # A copy, so that nothing is written into the project.
    shutil.copytree(PROJECT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    run(python, *PIP, "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", "wheels", f"./{name}")
    (wheel,) = (directory / "wheels").glob("*.whl")
    tops = {path.partition("/")[0] for path in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {name}, f"{wheel.name} installs {tops}"
    run(python, *PIP, "install", "--quiet", "--no-index", "--no-deps", wheel)
    run(python, *PIP, "check")
    shutil.rmtree(directory / name)
    shutil.copytree(
        PROJECT / "tests" / name, alone / "tests" / name, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis")
    )
    shutil.copyfile(PROJECT / name / "pyproject.toml", alone / "pyproject.toml")
    found = subprocess.run(
        [python, "-c", f"import {name}; print({name}.__file__)"], cwd=alone, env=environment, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert Path(found.strip()).is_relative_to(directory / "venv"), f"{name} is imported from {found}"
    # PATH, so that a test finds the environment's own programs.
    path = os.pathsep.join([str(python.parent), environment.get("PATH", "")])
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"tests/{name}", *arguments]
    return subprocess.run(command, cwd=alone, env=environment | {"PATH": path}, check=False).returncode


def main() -> int:
    """Runs the command line, and returns its exit status: 1 when any library fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", choices=["", *libraries()], help="one library")
    known, arguments = parser.parse_known_args()
    failed = []
    for name in [known.only] if known.only else libraries():
        version = tomllib.loads((PROJECT / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        print(f"{name} {version}", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}-") as directory:
            if check(name, Path(directory).resolve(), arguments):
                failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all libraries stand alone")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
