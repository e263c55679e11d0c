"""`make bench`: every row of the table »How fast«, each beside what it is compared with, in one run.

    make bench            at most ten minutes; QUICK=1: at most two, without the outage; ONLY="fetches": that alone

Each measurement is a process of its own with a time limit. What it gave is in bench/results/latest.json as soon as it
ends, and at the end in bench/results/latest.png and, unless it was quick or partial, in the table of README.md. A
measurement that fails or takes too long is named under `failed`. The exit status is 1 when one failed, and 0 when all
were made, whether their targets hold or not.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import report
from bench.harness import contained, stop_descendants
from demo.installation import PROJECT

RESULT = PROJECT / "bench" / "results" / "latest.json"
PICTURE = RESULT.with_suffix(".png")
MEASUREMENTS = {
    # name of the module → seconds that it may take, and when it is to be quick
    "fetches": (330, 90),
    "protection": (45, 25),
    "trigger": (120, 45),
    "overview": (75, 35),
    "hanging": (150, 45),
    "outage": (60, 10),
    "night": (90, 60),
}
CLEAN_UP_SECONDS = 20
PACKAGES = ("celery", "kombu", "redis", "aiohttp", "httpx", "pydantic")

console = Console()


def measure(name: str, *, quick: bool) -> tuple[list[dict[str, Any]], str | None]:
    """The rows of one measurement, and why there are none."""
    within = MEASUREMENTS[name][quick]
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "bench.row", name, str(result), *(["--quick"] if quick else [])]
        process = subprocess.Popen(command, cwd=PROJECT)
        try:
            status = process.wait(within)
        except subprocess.TimeoutExpired:
            return [], f"not within {within} s"
        finally:
            _end(process)
        if status != 0 or not result.exists():
            return [], f"exit status {status}"
        rows: list[dict[str, Any]] = json.loads(result.read_text(encoding="utf-8"))
        return rows, None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks it to end, which ends all that it has started; and ends it."""
    process.terminate()
    try:
        process.wait(CLEAN_UP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    # What it could not end in time has become a child of this process.
    stop_descendants()


def about_the_run(*, quick: bool) -> dict[str, Any]:
    """When, on what, and what else the machine was doing."""
    commit = ""
    if shutil.which("git"):
        asked = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "quick": quick,
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def write(about: dict[str, Any], rows: list[dict[str, Any]], failed: dict[str, str], began: float) -> None:
    """The results so far."""
    told = {**about, "load_now": [round(load, 2) for load in os.getloadavg()],
            "seconds": round(time.monotonic() - began), "failed": failed, "rows": rows}  # fmt: skip
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def draw() -> None:
    """The picture, with the bench environment's matplotlib."""
    python = PROJECT / ".venv-bench" / "bin" / "python"
    subprocess.run([str(python), "-m", "bench.picture", str(RESULT), str(PICTURE)], cwd=PROJECT, check=True)


def show(rows: list[dict[str, Any]], failed: dict[str, str]) -> None:
    """A table on the terminal."""
    table = Table("row", "ours", "theirs", "figure", "target", "holds")
    for cells in report.cells(rows):
        table.add_row(*cells)
    console.print(table)
    for name, why in failed.items():
        console.print(f"[red]{name}: {why}")


def main() -> None:
    """Runs them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=MEASUREMENTS, default=[])
    options = parser.parse_args()
    with contained():
        failed = run(options.only, quick=options.quick)
    sys.exit(1 if failed else 0)


def run(only: Sequence[str], *, quick: bool) -> dict[str, str]:
    """Makes these measurements, or all, and writes and shows what they gave. Returns why any of them failed."""
    began, about = time.monotonic(), about_the_run(quick=quick)
    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for name in only or MEASUREMENTS:
        console.print(f"{time.monotonic() - began:4.0f} s  {name} …")
        found, why = measure(name, quick=quick)
        rows += found
        if why is not None:
            failed[name] = why
        write(about, rows, failed, began)
    draw()
    if not quick and not only:
        report.into_readme(RESULT)
    show(rows, failed)
    return failed


if __name__ == "__main__":
    main()
