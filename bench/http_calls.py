"""What an HTTP call costs beside aiohttp alone: `python -m bench.http_calls [--beside TREE] [--json]`.

Processor time of one call, in milliseconds of the calling process, over TLS and without, with a body of 2 KB that is
compressed and not. Each client is a process of its own, and so is the server; they take turns, and the figures are
medians: of the times, and of the differences and ratios within a turn. `--beside` names another working tree, as of a
commit before a change, whose client takes its turn too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.harness import contained
from demo.installation import PROJECT, Process, free_port, listens, wait_for
from simulators.authority import Authority

ROUNDS, CALLS = 21, 1500
BOUND_MS = 0.05
"""What the product's client may take beyond aiohttp alone."""


class Caller:
    """bench/http_caller.py as a process, which imports the product from `tree`."""

    def __init__(self, client: str, tree: Path, url: str, authority: str) -> None:
        command = [sys.executable, "-P", str(PROJECT / "bench" / "http_caller.py"), client, url, authority]
        self._process = subprocess.Popen(
            command, cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def measure(self) -> float:
        """Milliseconds of a call. Raises ValueError when the process has ended."""
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError
        self._process.stdin.write(f"{CALLS}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Ends it."""
        self._process.communicate(timeout=60)


def compare(trees: dict[str, Path], folder: Path, *, secure: bool, encoding: str) -> dict[str, list[float]]:
    """Client → milliseconds per call, of each turn."""
    port, authority = free_port(), Authority(folder, "authority")
    certificate, bundle = (str(authority.issue("register")), str(authority.file)) if secure else ("", "")
    command = [sys.executable, "-m", "bench.http_answers", str(port), certificate, encoding]
    server = Process("server", command, folder / "server.log", {}).start()
    callers: dict[str, Caller] = {}
    try:
        wait_for(lambda: listens(port), "server")
        url = f"{'https' if secure else 'http'}://127.0.0.1:{port}"
        for name, tree in trees.items():
            callers[name] = Caller("aiohttp" if name == "aiohttp" else "product", tree, url, bundle)
            callers[name].measure()
        turns = [{name: caller.measure() for name, caller in callers.items()} for _ in range(ROUNDS)]
    finally:
        for caller in callers.values():
            caller.end()
        server.stop()
    return {name: [turn[name] for turn in turns] for name in callers}


def shown(found: dict[str, dict[str, list[float]]]) -> Table:
    """The medians as a table."""
    clients = list(next(iter(found.values())))
    table = Table("", *clients, *(f"{client} beyond aiohttp" for client in clients[1:]), "holds")
    for kind, times in found.items():
        pairs = {client: list(zip(times[client], times["aiohttp"], strict=True)) for client in clients[1:]}
        beyond = {client: median(one - alone for one, alone in of) for client, of in pairs.items()}
        ratio = {client: median(one / alone for one, alone in of) for client, of in pairs.items()}
        table.add_row(
            kind,
            *(f"{median(of):.3f}" for of in times.values()),
            *(f"{beyond[client]:+.3f} ({ratio[client]:.2f} ×)" for client in clients[1:]),
            "yes" if beyond["product"] <= BOUND_MS else "no",
        )
    return table


def main() -> None:
    """Measures all four and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    trees = {"aiohttp": PROJECT, "product": PROJECT}
    if options.beside:
        trees["beside"] = options.beside.resolve()
    with contained(), tempfile.TemporaryDirectory() as folder:
        found = {
            f"{'TLS' if secure else 'no TLS'}, {encoding or 'plain'}": compare(
                trees, Path(folder), secure=secure, encoding=encoding
            )
            for secure, encoding in product((False, True), ("", "gzip"))
        }
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        Console(width=120).print(shown(found))


if __name__ == "__main__":
    main()
