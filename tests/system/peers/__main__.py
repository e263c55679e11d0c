"""Runs the released tests of kombu and Celery on our transport: `make peers` (QUICK=1: without what takes minutes).

They are those of the source distributions, by version and hash (`requirements/peers-sources.txt`), in a folder of their
own that is never committed, on a Redis of their own. Each suite is run with kombu's transport too, unless what it does
is known from before (`--stock-known`). A test that passes with kombu's and not with ours fails the run, unless
`inside.txt` names it and says why; so does a name there whose test passes.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import redis

from demo.installation import Process, find_redis, free_port, wait_for

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
BESIDE = Path(os.environ.get("PEERS_HOME", PROJECT / ".venv-peers"))
"""Where the plugins of the suites are, and where their sources are unpacked."""
INSIDE = HERE / "inside.txt"
KNOWN = HERE / "stock.json"
"""What the suites did with kombu's own transport, by suite: how many passed, and what did not."""
SUITES: dict[str, tuple[str, list[str], bool]] = {
    "kombu, unit": ("kombu", ["t/unit/transport/test_redis.py"], True),
    "kombu, Redis": ("kombu", ["t/integration/test_redis.py", "t/integration/test_redis_brpop_qos.py"], True),
    "Celery, worker and inspect": ("celery", ["t/integration/test_worker.py", "t/integration/test_inspect.py"], True),
    "Celery, tasks": ("celery", ["t/integration/test_tasks.py"], False),
    "Celery, canvas": ("celery", ["t/integration/test_canvas.py"], False),
}
"""Name → distribution, files, and whether a quick run has it."""
LIMIT_SECONDS = 1800
EITHER = "? "
"""Before the name of a test that passes or fails by what nobody here decides."""
FEW = 10
"""Failures that may be those of a machine or of an order: more are ours."""


@dataclass
class Outcome:
    """What one suite did; the tests that did not pass by name."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)
    seconds: float = 0

    @property
    def passed(self) -> int:
        return self.counts["passed"]


def fetch_sources() -> dict[str, Path]:
    """The unpacked source distributions, by name; downloaded once, with the index and the settings that pip has."""
    BESIDE.mkdir(exist_ok=True)
    folders = {}
    pinned = (PROJECT / "requirements" / "peers-sources.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^(\w+)==(\S+)", pinned, re.MULTILINE):
        folders[name] = BESIDE / f"{name}-{version}"
    if not all((folder / "t").exists() for folder in folders.values()):
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation",
                 "--no-binary", ":all:", "--require-hashes", "--dest", directory,
                 "-r", str(PROJECT / "requirements" / "peers-sources.txt")],
                check=True, env={**os.environ, "PYTHONPATH": str(BESIDE)},
            )  # fmt: skip
            for archive in Path(directory).glob("*.tar.gz"):
                with tarfile.open(archive) as opened:
                    opened.extractall(BESIDE, filter="data")
    return folders


def run(which: str, folder: Path, files: list[str], port: int, inside: Iterable[str] = ()) -> Outcome:
    """Runs files of a suite with one of the transports; the tests in `inside` by themselves, and once."""
    inside = sorted(name for name in inside if name.split("::")[0] in files)
    outcome = _run(which, folder, port, [*files, *(f"--deselect={name}" for name in inside)])
    if 0 < len(outcome.failed) <= FEW:
        # Once more by themselves: some use numbers of files that a test before them may have left open. Each was tried
        # six times before, so that once is enough.
        again = _run(which, folder, port, ["-p", "no:rerunfailures", *sorted(outcome.failed)])
        counts = outcome.counts + again.counts - Counter(failed=len(outcome.failed))
        outcome = Outcome(counts, again.failed, outcome.seconds + again.seconds)
    if inside:
        # Both suites run again what failed, up to five times, and these are to fail.
        others = _run(which, folder, port, ["-p", "no:rerunfailures", *inside])
        outcome = Outcome(
            outcome.counts + others.counts, outcome.failed | others.failed, outcome.seconds + others.seconds
        )
    return outcome


def _run(which: str, folder: Path, port: int, arguments: list[str]) -> Outcome:
    with redis.Redis(port=port) as client:
        client.flushall()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | {
        "PEERS_TRANSPORT": which,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "REDIS_HOST": "127.0.0.1", "REDIS_6379_TCP": str(port), "REDIS_PORT": str(port),
        "TEST_BROKER": f"redis://127.0.0.1:{port}/0", "TEST_BACKEND": f"redis://127.0.0.1:{port}/1",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE / "site", PROJECT, BESIDE))),
    }  # fmt: skip
    first = next(argument for argument in arguments if argument.startswith("t/"))
    report = BESIDE / f"{which}-{Path(first.partition('::')[0]).stem}{'-inside' if '::' in first else ''}.xml"
    began = time.monotonic()
    # -P: the packages beside the suites are not the ones that are tested.
    subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "--rootdir", ".", "-p", "no:cacheprovider", "-q", "--no-header",
         "--timeout", "120", "--tb", "short", "-o", "junit_family=xunit1", f"--junitxml={report}", *arguments],
        cwd=folder, env=environment, check=False, timeout=LIMIT_SECONDS,
        stdout=report.with_suffix(".txt").open("w", encoding="utf-8"), stderr=subprocess.STDOUT,
    )  # fmt: skip
    return _read(report, time.monotonic() - began)


def _read(report: Path, seconds: float) -> Outcome:
    from xml.etree import ElementTree as ET

    states: dict[str, str] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        file, group = case.get("file", ""), case.get("classname", "").rsplit(".", 1)[-1]
        # A test without a class is told of with its module in the place of one.
        name = "::".join([file, *([group] if group != Path(file).stem else []), case.get("name", "")])
        kinds = {child.tag for child in case}
        state = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        # A test that is run again is told of again, and the last time counts.
        states[name] = state
    return Outcome(
        Counter(states.values()), {name for name, state in states.items() if state == "failed"}, round(seconds, 1)
    )


def inside() -> dict[str, str]:
    """The tests that look inside what we replaced, each with its reason."""
    reasons, reason = {}, ""
    for line in INSIDE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            continue
        if line.startswith(("t/", EITHER)):
            reasons[line.strip()] = reason
        elif line.strip():
            reason = line.strip()
    return reasons


def main() -> int:
    """Prints both transports' counts beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what takes a minute or two")
    parser.add_argument("--stock-known", action="store_true", help="take kombu's own counts from before")
    parser.add_argument("--only", default="", help="suites whose name has this")
    arguments = parser.parse_args()
    sources, excused = fetch_sources(), inside()
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    port, problems = free_port(), 0
    with tempfile.TemporaryDirectory() as directory:
        server = Process(
            "redis", [find_redis(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
            Path(directory) / "redis.log", {},
        ).start()  # fmt: skip
        try:
            wait_for(lambda: server.has_logged("Ready to accept connections"), "redis")
            for suite, (distribution, files, is_quick) in SUITES.items():
                if (arguments.quick and not is_quick) or arguments.only not in suite:
                    continue
                if arguments.stock_known and suite in known:
                    stock = Outcome(Counter(known[suite]["counts"]), set(known[suite]["failed"]))
                else:
                    stock = run("stock", sources[distribution], files, port)
                    known[suite] = {"counts": dict(stock.counts), "failed": sorted(stock.failed)}
                ours = run("ours", sources[distribution], files, port, excused)
                problems += _tell(suite, stock, ours, excused, files)
        finally:
            server.stop()
    if not arguments.stock_known:
        KNOWN.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 1 if problems else 0


def _tell(suite: str, stock: Outcome, ours: Outcome, excused: dict[str, str], files: list[str]) -> int:
    expected = {name for name in excused if name.split("::")[0] in files}
    either = {name.removeprefix(EITHER) for name in excused if name.startswith(EITHER)}
    unexpected = ours.failed - stock.failed - expected - either
    stale = expected - ours.failed
    print(
        f"{suite}: {ours.passed} passed on ours, {stock.passed} on kombu's; {len(ours.failed & expected)} look inside; "
        f"{ours.seconds:.0f} s", flush=True,
    )  # fmt: skip
    for name in sorted(unexpected):
        print(f"  passes on kombu's and not on ours: {name}")
    for name in sorted(stale):
        print(f"  is in {INSIDE.name}, and passes: {name}")
    if not ours.passed:
        print(f"  nothing passed: see {BESIDE}")
    return len(unexpected) + len(stale) + (not ours.passed)


if __name__ == "__main__":
    sys.exit(main())
