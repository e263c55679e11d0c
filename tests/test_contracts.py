"""Import contracts: a violation of each, planted in a copy, has lint-imports fail with the name of that contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_references import CONTRACTS, ROOMS, ROOT

PLANTS = [
    ("Rooms import one way", "domain/cpr.py", "import config.celery"),
    ("Rooms import one way", "registerbro/storage/keys.py", "import workers.udb.wire"),
    ("Inside registerbro", "registerbro/storage/keys.py", "import registerbro.status.fleet"),
    ("Inside registerbro", "registerbro/in_no_layer.py", ""),
    ("Inside workers", "workers/process/current.py", "import workers.udb.tasks"),
    ("Inside workers", "workers/in_no_layer.py", ""),
    ("The transport is a library", "redis_transport/__init__.py", "import structlog"),
    ("The admission is a library", "redis_admission/__init__.py", "import structlog"),
    ("Portal, commands and demo start no worker code; workers know no portal", "portal/shutdown.py",
     "import workers.udb.wire"),
    ("Portal, commands and demo start no worker code; workers know no portal", "cli/conformance.py",
     "import workers.udb.wire"),
    ("What a command may know of workers starts none", "workers/conformance.py", "import workers.udb.tasks"),
    ("Registers are independent", "workers/udb/wire.py", "import workers.su.wire"),
    ("Rules are pure", "domain/cpr.py", "import httpx"),
    ("Nothing that ships imports tools, and nothing imports the simulators", "config/__init__.py", "import tools.sbom"),
    ("Nothing that ships imports tools, and nothing imports the simulators", "portal/shutdown.py",
     "import simulators.faults"),
    ("Four modules know the demo", "cli/status.py", "import demo.tokens"),
    ("HTTP stays behind one client", "portal/shutdown.py", "import httpx"),
    ("Use cases know no Redis client", "portal/shutdown.py", "import redis"),
    ("The reference portal gets everything over HTTP", "demo/reference_portal/dates.py", "import registerbro.services"),
    ("No circles between siblings", "registerbro/telemetry/metrics.py", "import registerbro.services"),
]  # fmt: skip
"""The contract, the file, which may be a new one, and the line that is added to it."""
NAMES = [contract["name"] for contract in CONTRACTS["contracts"]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder):
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program)], cwd=folder, env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_contract_has_a_violation_here():
    assert set(NAMES) - {name for name, _, _ in PLANTS} == set()


@pytest.mark.parametrize(
    ("name", "file", "line"),
    [plant for plant in PLANTS if plant[0] in NAMES],
    ids=lambda value: re.sub(r"\W+", "-", value) or "new",
)
def test_a_violation_is_seen_by_the_contract(copy, name, file, line):
    path = copy / file
    before = path.read_text("utf-8") if path.exists() else None
    assert (before is None) == (not line)
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        ended = lint(copy)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")
    assert ended.returncode == 1
    assert f"{name} BROKEN" in re.sub(r"\s+", " ", ended.stdout)
    (told,) = re.findall(
        rf"^{re.escape(name)}\n-+\n(.*?)(?=^[^\n]+\n---+\n|\Z)", ended.stdout, re.MULTILINE | re.DOTALL
    )
    planted = file.removesuffix(".py").removesuffix("/__init__").split("/")
    assert any(part in told for part in planted[1:] or planted)
