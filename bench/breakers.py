"""Ours and the circuit breakers for Python, driven alike: `python bench/breakers.py [--json]`.

Two runs each, over a Redis of its own: eight processes that call at the moment in which the open time ends, and a
prober that is killed with SIGKILL while it probes. The libraries are those of `requirements/bench.txt`, which
`make bench` installs.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from demo.installation import PROJECT, RedisServer

PEERS = ("pybreaker", "purgatory", "aiobreaker", "cashews")
PEERS_PYTHON = PROJECT / ".venv-bench" / "bin" / "python"
PROCESSES = 8
SERIAL_FROM_SECONDS = 0.8
"""Eight calls of 0.2 s at once take 0.2 s; as long as four of them one after the other says that they are made so."""


@dataclass(frozen=True)
class Result:
    """What one breaker did; `recovered_after_killed_probe_s` is None when it never did within ten seconds."""

    name: str
    half_open_through: int
    recovered_after_killed_probe_s: float | None
    serialises_calls: bool


class Driver:
    """Runs processes of one breaker over an empty Redis."""

    def __init__(self, name: str, python: str, redis: RedisServer) -> None:
        self._name = name
        self._command = [python, str(PROJECT / "bench" / "breaker_peers.py"), name, redis.url]
        self._redis = redis

    def measure(self) -> Result:
        """Both runs, and whether calls are made one after the other."""
        self._empty()
        through = self._burst()
        self._empty()
        recovered = self._killed_prober()
        self._empty()
        return Result(self._name, through, recovered, float(self._run("crowd")) >= SERIAL_FROM_SECONDS)

    def _burst(self) -> int:
        callers = [self._start("burst") for _ in range(PROCESSES)]
        for caller in callers:
            _line(caller)
        self._trip()
        start = time.time() + 1.2
        answers = [caller.communicate()[0].strip() for caller in _all_told(callers, start)]
        return answers.count("through")

    def _killed_prober(self) -> float | None:
        self._trip()
        time.sleep(1.2)
        prober = self._start("hang")
        if _line(prober) == "in":
            prober.kill()
        prober.communicate()
        healed = self._run("heal")
        return None if healed == "never" else round(float(healed), 2)

    def _trip(self) -> None:
        if self._run("trip") != "open":
            raise RuntimeError(f"{self._name} did not open")

    def _empty(self) -> None:
        with self._redis.client() as client:
            client.flushall()

    def _run(self, mode: str) -> str:
        process = self._start(mode)
        return process.communicate()[0].strip().splitlines()[-1]

    def _start(self, mode: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "TZ": "UTC"},
        )  # fmt: skip


def _line(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip() if process.stdout else ""


def _all_told(callers: list[subprocess.Popen[str]], start: float) -> list[subprocess.Popen[str]]:
    for caller in callers:
        if caller.stdin:
            caller.stdin.write(f"{start}\n")
            caller.stdin.flush()
    return callers


def main() -> None:
    """Measures all of them and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    pythons = {"ours": sys.executable, **dict.fromkeys(PEERS, str(PEERS_PYTHON))}
    with tempfile.TemporaryDirectory() as directory:
        redis = RedisServer("broker", Path(directory)).start()
        try:
            results = [Driver(name, python, redis).measure() for name, python in pythons.items()]
        finally:
            redis.stop()
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    table = Table("breaker", "let through of 8", "recovers after a killed probe", "serialises calls")
    for result in results:
        healed = result.recovered_after_killed_probe_s
        table.add_row(
            result.name, str(result.half_open_through), "never" if healed is None else f"{healed:.1f} s",
            "yes" if result.serialises_calls else "no",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
