"""The registers as one lean server: `python -m bench.upstream PORT`. It knows everybody, and answers as they would.

The simulators check every call and can fail in fifty ways, which costs more than the workers that are measured. This
one has the same bodies ready, puts the citizen's number in, and sends them after a time that is log-normal and the same
for a citizen in every run. How many it answers per second without a wait is in the results, as its ceiling.

    GET /-/calls        how many calls were made, answered or not
    GET /-/held         seconds that each citizen's last call was kept, from its last byte to its answer, as JSON
    GET /-/median/0.2   from now on the median of the waits, in seconds; 0 is none
    GET /-/answer, /-/hang   from now on every call is answered, or none
"""

import asyncio
import json
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from datetime import date
from math import log
from typing import cast

from simulators.dfdg import Su, Ydelse, encoded
from simulators.eindkomst import PATH, TRANSACTION, answer_about
from simulators.register_data import Wages, benefit, education, su
from simulators.ungedata import SUBSCRIPTIONS, Ungedata

MEDIAN_SECONDS = 0.2
P99_BY_MEDIAN = 2.5
"""How long an answer in a hundred takes, beside the median: 0.5 s."""
WAITS = 4099
"""How many different waits there are; a prime number, so that they are dealt to citizens evenly."""
MONTHS_OF_WORK = 24
SOMEBODY = "6101004000"
EINDKOMST = PATH.encode()

_SIGMA = log(P99_BY_MEDIAN) / 2.326
_CITIZEN = re.compile(rb"\r\nx-civilregistrationidentifier: *(\d{10})", re.IGNORECASE)
_CITIZEN_IN_XML = re.compile(rb"PersonCivilRegistrationIdentifier[^>]*>(\d{10})<")
_REQUEST_ID = re.compile(rb"\r\nx-requestid: *([0-9a-z-]+)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _bodies() -> dict[bytes, tuple[bytes, bytes]]:
    """Path → content type, and body about SOMEBODY: what an ordinary young citizen has."""
    educations = [
        event
        for n in range(5)
        for event in education(f"Uddannelse {n}", "AFBRUDT", f"20{15 + n}-08-01", f"20{16 + n}-06-30")
    ]
    begun = [su(f"Uddannelse {n}", f"20{15 + n}-08-01") for n in range(6)]
    benefits = [benefit("DAGPENGE", f"20{15 + n}-01-01", f"20{15 + n}-06-30") for n in range(5)]
    months = [date(2020 + n // 12, 1 + n % 12, 1) for n in range(MONTHS_OF_WORK)]
    wages = [Wages("11111111" if n < 12 else "22222222", day, day.replace(day=28)) for n, day in enumerate(months)]
    hits = [
        {
            "_source": {
                "Vrvirksomhed": {"cvrNummer": n * 11111111, "virksomhedMetadata": {"nyesteNavn": {"navn": "A/S"}}}
            }
        }
        for n in (1, 2)
    ]
    names = {"took": 1, "timed_out": False, "_shards": {"failed": 0}, "hits": {"hits": hits}}
    as_json = b"application/json"
    return {
        SUBSCRIPTIONS.encode(): (as_json, b""),
        Ungedata.path.encode(): (as_json, encoded(Ungedata().body(SOMEBODY, educations))),
        Su.path.encode(): (as_json, encoded(Su().body(SOMEBODY, begun))),
        Ydelse.path.encode(): (as_json, encoded(Ydelse().body(SOMEBODY, benefits))),
        EINDKOMST: (b"text/xml", answer_about(SOMEBODY, tuple(wages))),
        b"/cvr-permanent/virksomhed/_search": (as_json, encoded(names)),
    }


class Registers:
    """What the connections share."""

    def __init__(self) -> None:
        chance = random.Random(1)  # noqa: S311 - chance, and no secret
        self.bodies = _bodies()
        self.waits = [chance.lognormvariate(0, _SIGMA) for _ in range(WAITS)]
        self.median = MEDIAN_SECONDS
        self.hangs = False
        self.calls = 0
        self.held: dict[str, float] = {}

    def wait(self, citizen: bytes) -> float:
        """How long this citizen's answers take, in seconds."""
        return self.median * self.waits[int(citizen) % WAITS]

    def control(self, path: bytes) -> bytes:
        """What the paths under /-/ do, and the answer."""
        match path.split(b"/")[2:]:
            case [b"calls"]:
                return str(self.calls).encode()
            case [b"held"]:
                return json.dumps(self.held).encode()
            case [b"median", seconds]:
                self.median = float(seconds)
            case [b"hang" | b"answer" as what]:
                self.hangs = what == b"hang"
        return b"{}"


class Connection(asyncio.Protocol):
    """One connection, which asks one thing at a time."""

    def __init__(self, registers: Registers, call_later: Callable[..., object]) -> None:
        self._registers = registers
        self._call_later = call_later
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = _LENGTH.search(head)
        if length and len(body) < int(length[1]):
            return
        self._buffer = b""
        self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        registers, began = self._registers, time.perf_counter()
        path = head.split(b" ", 2)[1]
        if path.startswith(b"/-/"):
            self._send(b"application/json", registers.control(path))
            return
        registers.calls += 1
        if registers.hangs:
            return
        kind, answer = registers.bodies[path]
        found = _CITIZEN.search(head) or _CITIZEN_IN_XML.search(body)
        citizen = found[1] if found else SOMEBODY.encode()
        answer = answer.replace(SOMEBODY.encode(), citizen)
        if path == EINDKOMST and (request_id := _REQUEST_ID.search(head)):
            answer = answer.replace(TRANSACTION.encode(), request_id[1])
        wait = registers.wait(citizen)
        if wait:
            self._call_later(wait, self._answer, kind, answer, citizen, began)
        else:
            self._send(kind, answer)

    def _answer(self, kind: bytes, answer: bytes, citizen: bytes, began: float) -> None:
        self._registers.held[citizen.decode()] = time.perf_counter() - began
        self._send(kind, answer)

    def _send(self, kind: bytes, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)
            )


async def serve(port: int) -> None:
    """Serves until it is told to end."""
    loop, registers = asyncio.get_running_loop(), Registers()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(lambda: Connection(registers, loop.call_later), "127.0.0.1", port, backlog=2048)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
