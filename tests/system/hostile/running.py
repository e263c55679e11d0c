"""The server of hostile answers, and the process that asks it, measured."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Self

from cryptography.hazmat.primitives.serialization import Encoding

from simulators.authority import Authority
from tests.registerbro.upstreams.signing import Signer
from tests.system.hostile import of_http, of_json, of_xml
from tests.system.hostile.cases import (
    MOST_CPU_SECONDS,
    MOST_MIB,
    MOST_STOPPED_MS,
    PLAIN,
    PLAIN_VERIFIED,
    SIGNED_VERIFIED,
    Case,
)

NEARLY = 0.8
AGAIN = 3
QUICK_FORMS = (PLAIN, SIGNED_VERIFIED)
"""The least and the most that is done with an answer."""
ROOT = Path(__file__).resolve().parents[3]


def every_case(signer: Signer, *, quick: bool = False) -> Iterator[tuple[Case, str]]:
    """Each case with each of its forms."""
    for case in chain(of_http.cases(), of_json.cases(), of_xml.cases(signer)):
        if case.quick or not quick:
            for form in case.forms:
                if not quick or form in QUICK_FORMS:
                    yield case, form


@dataclass(frozen=True)
class Told:
    """What came of one answer, and what it cost."""

    case: Case
    form: str
    outcome: str
    detail: str
    cpu_seconds: float
    mib: float
    stopped_ms: float

    def faults(self) -> list[str]:
        """Which promises it broke."""
        return [
            said
            for broken, said in (
                (self.outcome != self.case.expected[self.form], f"not {self.case.expected[self.form]}"),
                (self.cpu_seconds > MOST_CPU_SECONDS, "processor time"),
                (self.mib > MOST_MIB, "memory"),
                (self.stopped_ms > MOST_STOPPED_MS, "the event loop stopped"),
            )
            if broken
        ]

    def takes_too_much(self) -> bool:
        """Whether it took more than it may of something, or nearly."""
        return self.mib > NEARLY * MOST_MIB or self.cpu_seconds > MOST_CPU_SECONDS or self.stopped_ms > MOST_STOPPED_MS

    def at_least(self, again: Self) -> Self:
        """What came of it when it was put through again, with the least of either that it cost."""
        least = {name: min(getattr(self, name), getattr(again, name)) for name in ("cpu_seconds", "mib", "stopped_ms")}
        return replace(again, **least)

    def __str__(self) -> str:
        said = ", ".join(self.faults())
        cost = f"{self.cpu_seconds:7.3f} s {self.mib:6.1f} MiB {self.stopped_ms:6.1f} ms"
        which = f"{self.case.kind}: {self.case.name} [{self.case.target}, {self.form}]"
        return f"{cost}  {which} {self.outcome} ({self.detail})" + (f"  << {said}" if said else "")


class Run:
    """A server in this process and a child that asks it. `signer` is the gateway whose signature is trusted."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hostile-")
        authority = Authority(Path(self._folder.name), "authority")
        self.signer = Signer.load(authority.issue("gateway", with_rsa=True))
        self._told: list[Told] = []

    def __enter__(self) -> Self:
        self._trusted = Path(self._folder.name) / "trusted.pem"
        self._trusted.write_bytes(self.signer.certificate.public_bytes(Encoding.PEM))
        self._server = _Server(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._child = self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    def _begin(self) -> "subprocess.Popen[str]":
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.system.hostile.child", url, str(self._trusted)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        # What the first answer has imported and made for good is none of the others' memory.
        self._ask(child, of_xml.good(self.signer), SIGNED_VERIFIED)
        return child

    def _end(self) -> None:
        self._child.stdin.close()
        self._child.wait(60)
        self._child.stdout.close()

    def put(self, case: Case, form: str) -> Told:
        """Puts one answer through its client. Raises RuntimeError when the child is lost by it.

        What earlier answers left in the allocator, and what other processes took from this one's caches, is none of
        this one's: one that takes too much is put through new processes, and the least that it took of each counts.
        """
        told = self._ask(self._child, case, form)
        for _ in range(AGAIN):
            if not told.takes_too_much():
                break
            self._end()
            self._child = self._begin()
            told = told.at_least(self._ask(self._child, case, form))
        self._told.append(told)
        return told

    def _ask(self, child: "subprocess.Popen[str]", case: Case, form: str) -> Told:
        self._server.pieces = lambda: case.build(form)
        one = {"target": case.target, "verified": form in {PLAIN_VERIFIED, SIGNED_VERIFIED}}
        child.stdin.write(json.dumps(one) + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
        if not line:
            raise RuntimeError(f"the process was lost by {case.kind}: {case.name}")
        return Told(case, form, **json.loads(line))

    def most(self, what: str) -> float:
        """The most that one answer cost."""
        return max((getattr(told, what) for told in self._told), default=0)


class _Server(ThreadingTCPServer):
    """Answers whatever is asked with `pieces`, and hangs up."""

    daemon_threads = True
    allow_reuse_address = True
    pieces: object = tuple


class _Handler(StreamRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            length = 0
            while (line := self.rfile.readline()).strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self.rfile.read(length)
            for piece in self.server.pieces():
                self.wfile.write(piece)
