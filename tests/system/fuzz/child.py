"""`python -m tests.system.fuzz.child TARGET FOUND [libFuzzer's arguments]`: fuzzes one target, in a process that may be
lost.

Each finding is one JSON object on stdout. What was an input is written to the folder FOUND, and fuzzing goes on.
"""

import asyncio
import hashlib
import json
import random
import sys
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["workers", "httpx", "signxml", "email"]):
    from tests.system.fuzz import paths
    from tests.system.fuzz.messages import Direct, Message, Wired, client_at, client_of, say_nothing, upstream_through
    from tests.system.fuzz.mutate import mutated

LONGEST_SECONDS = 5.0
"""Processor time that no answer of this size takes, also on a busy machine."""


class Findings:
    """Tells each kind of finding once."""

    def __init__(self, target: str, folder: Path) -> None:
        self._target = target
        self._folder = folder
        self._known: set[str] = set()

    def add(self, error: BaseException, raw: bytes) -> None:
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "/tests/system/fuzz/" not in frame.filename
        ]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        kind = f"{type(error).__name__} at {where}"
        if kind in self._known:
            return
        self._known.add(kind)
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"found-{hashlib.sha256(kind.encode()).hexdigest()[:10]}.http"
        file.write_bytes(raw)
        told = {"target": self._target, "kind": kind, "detail": str(error)[:200], "file": str(file)}
        print(json.dumps(told), flush=True)


class Fuzzer:
    """What one input is put through."""

    def __init__(self, target: str, findings: Findings) -> None:
        self._target = target
        self._findings = findings
        self._loop = asyncio.new_event_loop()
        self._carrier = Wired() if target == "http" else Direct()
        if target != paths.FAULT_REPORT:
            client = client_at(self._carrier) if isinstance(self._carrier, Wired) else client_of(self._carrier)
            self._client = client
            self._http = self._loop.run_until_complete(client.__aenter__())

    def one(self, raw: bytes) -> None:
        began = time.process_time()
        try:
            self._put_through(raw)
            if (took := time.process_time() - began) > LONGEST_SECONDS:
                raise paths.BrokenPromise(f"{took:.1f} s of processor time")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self._findings.add(error, raw)

    def _put_through(self, raw: bytes) -> None:
        if self._target == paths.FAULT_REPORT:
            paths.validated_text(raw)
            return
        if isinstance(self._carrier, Wired):
            self._carrier.raw = raw
            body = raw
        else:
            self._carrier.message = Message.parse(raw)
            body = self._carrier.message.body
        upstream = upstream_through(self._http, self._target)
        self._loop.run_until_complete(paths.outcome(self._target, upstream, body))

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        def by_bytes(some: bytes) -> bytes:
            return atheris.Mutate(some, max(len(some), max_size)) if some else b"{}"

        return mutated(data, random.Random(seed), by_bytes)[:max_size]


def main(target: str, folder: Path, arguments: list[str]) -> None:
    say_nothing()
    fuzzer = Fuzzer(target, Findings(target, folder))
    mutator = {} if target == paths.FAULT_REPORT else {"custom_mutator": fuzzer.mutate}
    atheris.Setup([sys.argv[0], *arguments], fuzzer.one, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
