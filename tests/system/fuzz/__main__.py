"""`python -m tests.system.fuzz --seconds N --seed S`: looks for an answer that breaks a promise, target by target, in
turns.

Each turn is a process of its own, which may be killed for its memory or its time. The last line is one JSON object; the
exit status is 1 when anything was found. What was found is a new file of the corpus, to be mended and kept.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.system.fuzz.paths import CORPUS, FAULT_REPORT, PATHS

ROOT = Path(__file__).resolve().parents[3]
TARGETS = (*PATHS, FAULT_REPORT)
LONGEST_TURN_SECONDS = 150
SHORTEST_TURN_SECONDS = 5
MEMORY_MB = 512
"""A worker's, as in docker-compose.yml."""
SLOWEST_SECONDS = 30
"""When libFuzzer gives an input up; `child` counts processor time, and is stricter."""

_RUNS = re.compile(rb"^(?:Done (\d+) runs|#(\d+)\s)", re.MULTILINE)
_COVERED = re.compile(rb"cov: (\d+) ft: (\d+) corp: (\d+)")
_LEFT_BEHIND = ("crash", "timeout", "oom", "leak", "slow-unit")


@dataclass
class Tally:
    """What became of one target so far; `corpus` counts the inputs that each reach something new."""

    inputs: int = 0
    corpus: int = 0
    coverage: int = 0
    findings: int = 0


class Run:
    """All turns of one call of this program."""

    def __init__(self, seconds: float, seed: int, targets: list[str], work: Path, python_path: str) -> None:
        self._ends = time.monotonic() + seconds
        self._turn = max(SHORTEST_TURN_SECONDS, min(LONGEST_TURN_SECONDS, int(seconds / len(targets))))
        self._seed = seed
        self._work = work
        self._environment = os.environ | {"PYTHONPATH": python_path}
        self.tallies = {target: Tally() for target in targets}
        self.findings: dict[str, dict[str, str]] = {}

    def go(self) -> None:
        turn = 0
        while (left := self._ends - time.monotonic()) >= 1:
            target = list(self.tallies)[turn % len(self.tallies)]
            self._take(target, int(min(self._turn, left)), self._seed + turn)
            turn += 1

    def _take(self, target: str, seconds: int, seed: int) -> None:
        grown, left_behind = self._work / target, self._work / "left-behind"
        for folder in (grown, left_behind):
            folder.mkdir(parents=True, exist_ok=True)
        arguments = [
            f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={SLOWEST_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
            "-max_len=65536", "-len_control=0", "-report_slow_units=30", "-print_final_stats=0",
            f"-artifact_prefix={left_behind}/", str(grown), str(CORPUS / target),
        ]  # fmt: skip
        ended = subprocess.run(
            [sys.executable, "-m", "tests.system.fuzz.child", target, str(CORPUS / target), *arguments],
            cwd=ROOT, env=self._environment, capture_output=True, check=False,
        )  # fmt: skip
        for line in ended.stdout.splitlines():
            if line.startswith(b"{"):
                self._note(json.loads(line))
        self._keep_what_was_left_behind(target, left_behind)
        runs, covered = _RUNS.findall(ended.stderr), _COVERED.findall(ended.stderr)
        tally = self.tallies[target]
        tally.inputs += max((int(done or at) for done, at in runs), default=0)
        tally.corpus, tally.coverage = (int(covered[-1][2]), int(covered[-1][0])) if covered else (0, 0)
        tally.findings = sum(found["target"] == target for found in self.findings.values())
        print(f"{time.strftime('%H:%M:%S')} {target}: {asdict(tally)}", flush=True)
        if not runs:
            print(ended.stderr[-3000:].decode(errors="replace"), file=sys.stderr)
            raise SystemExit(f"{target} was not fuzzed: exit status {ended.returncode}")

    def _keep_what_was_left_behind(self, target: str, folder: Path) -> None:
        """What ended a turn's process becomes a file of the corpus."""
        for file in sorted(folder.iterdir()):
            kind = file.name.partition("-")[0]
            if file.name.startswith(_LEFT_BEHIND):
                raw = file.read_bytes()
                kept = CORPUS / target / f"found-{hashlib.sha256(raw).hexdigest()[:10]}.http"
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(raw)
                self._note({"target": target, "kind": kind, "file": str(kept)})
            file.unlink()

    def _note(self, found: dict[str, str]) -> None:
        key = f"{found['target']} {found['kind']} {'' if ' at ' in found['kind'] else found['file']}"
        if key not in self.findings:
            self.findings[key] = found
            print(f"found: {json.dumps(found)}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.system.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="decides what is tried; drawn, and printed, without one")
    parser.add_argument(
        "--target", action="append", choices=TARGETS, help="may be given several times; all without one"
    )
    parser.add_argument("--work", type=Path, help="a folder for what is found to reach something new, to go on from")
    arguments = parser.parse_args()
    if find_spec("atheris") is None:
        print("atheris is not there: `make fuzz` installs it, on Linux with an x86-64 processor", file=sys.stderr)
        return 2
    seed = int.from_bytes(os.urandom(3), "big") if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        run = Run(
            arguments.seconds, seed, arguments.target or list(TARGETS), arguments.work or Path(temporary),
            os.environ.get("PYTHONPATH", ""),
        )  # fmt: skip
        run.go()
    result = {
        "seconds": round(time.monotonic() - began),
        "seed": seed,
        "inputs": sum(tally.inputs for tally in run.tallies.values()),
        "findings": list(run.findings.values()),
        "targets": {target: asdict(tally) for target, tally in run.tallies.items()},
    }
    print(json.dumps(result))
    return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
