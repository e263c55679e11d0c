"""How fast a page is read: `GET /v1/overview` beside an empty route of the same server, turn and turn about."""

import argparse
import asyncio
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

from config.settings import settings
from ops.local import PROJECT, free_port, installation, listens, wait_for
from tests.portal.api.conftest import AUDIENCE, ISSUER, Signer
from workers.domain.cpr import Cpr
from workers.domain.overview import REGISTERS, Employment, sections_of
from workers.runtime import Services

CITIZENS = 200
CONNECTIONS = 32
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
JOBS = [
    Employment(employer=f"Arbejdsgiver {n}", start=date(2015 + n, 1, 1), end=date(2015 + n, 9, 30)) for n in range(8)
]

SERVER = """
import sys
import uvicorn
from config import logging
from config.settings import settings
from portal import api, server
logging.configure("WARNING")
app = api.create(settings())
@app.get("/empty")
async def empty() -> dict[str, str]:
    return {}
server.serve(app, "127.0.0.1", int(sys.argv[1]))
"""


class Connection(asyncio.Protocol):
    """One kept-alive connection that asks one thing at a time; a client library would be what is measured."""

    def __init__(self, took: list[float]) -> None:
        self._took = took
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio's."""
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, request: bytes, since: float) -> None:
        """Sends a request and waits for its answer, whose time is counted from `since`."""
        self._answered = asyncio.get_running_loop().create_future()
        cast("asyncio.Transport", self._transport).write(request)
        await self._answered
        self._took.append(time.perf_counter() - since)

    def data_received(self, data: bytes) -> None:
        """Asyncio's."""
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator or len(body) < int(_LENGTH.search(head)[1]):  # type: ignore[index]
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        self._buffer = b""
        cast("asyncio.Future[None]", self._answered).set_result(None)


async def connect(port: int, took: list[float]) -> list[Connection]:
    """As many connections as pages are asked for at once."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(lambda: Connection(took), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]


async def full_load(port: int, requests: Iterator[bytes], seconds: float) -> float:
    """Answers a second, when every connection asks again at once."""
    took: list[float] = []
    connections = await connect(port, took)
    began = time.perf_counter()

    async def ask(connection: Connection) -> None:
        while time.perf_counter() < began + seconds:
            await connection.ask(next(requests), time.perf_counter())

    await asyncio.gather(*map(ask, connections))
    return len(took) / (time.perf_counter() - began)


async def half_load(port: int, requests: Iterator[bytes], rate: float, seconds: float) -> dict[str, float]:
    """How long an answer takes, in ms, when they are asked for at this rate.

    Counted from when it was due: a server that stalls is not spared the requests that it held up.
    """
    took: list[float] = []
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in await connect(port, took):
        free.put_nowait(connection)
    began = time.perf_counter()

    async def ask(connection: Connection, due: float) -> None:
        await connection.ask(next(requests), due)
        free.put_nowait(connection)

    async with asyncio.TaskGroup() as group:
        for n in range(int(rate * seconds)):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(await free.get(), due))
    took.sort()
    return {f"p{share}": round(took[int(len(took) * share / 100)] * 1000, 2) for share in (50, 99)}


def request(path: str, token: str = "") -> bytes:
    """A request as it goes over the wire."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def numbers() -> list[str]:
    """CPR numbers of constructed citizens: their day is 61 or more."""
    return [f"6{n % 9 + 1}01{n % 90 + 10:02}{4000 + n}" for n in range(CITIZENS)]


async def fill() -> None:
    """What workers leave behind: every register of every citizen, fresh."""
    services = Services(settings())
    for digits in numbers():
        citizen_id = services.citizens.id_of(Cpr.parse(digits))
        for register in REGISTERS:
            content = {section.id: JOBS if section.item is Employment else [] for section in sections_of(register)}
            await services.entries.store(
                citizen_id, register, content,
                age=timedelta(0), fresh_for=timedelta(hours=12), usable_for=timedelta(hours=72),
            )  # fmt: skip
    await services.close()


def measure(port: int, tokens: list[str], rounds: int, seconds: float) -> dict[str, Any]:
    """Turn and turn about, so that whatever else the machine does happens to both."""
    empty = itertools.cycle([request("/empty")])
    pages = itertools.cycle([request("/v1/overview", token) for token in tokens])
    asyncio.run(full_load(port, empty, 1))
    asyncio.run(full_load(port, pages, 2))
    rates = [
        (asyncio.run(full_load(port, empty, seconds)), asyncio.run(full_load(port, pages, seconds)))
        for _ in range(rounds)
    ]
    rate = statistics.median(page for _, page in rates)
    return {
        "overview_per_second": round(rate),
        "empty_per_second": round(statistics.median(nothing for nothing, _ in rates)),
        "ratio": round(statistics.median(page / nothing for nothing, page in rates), 3),
        "ratios": [round(page / nothing, 3) for nothing, page in rates],
        "half_load_ms": asyncio.run(half_load(port, pages, rate / 2, seconds * rounds)),
    }


def main() -> None:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        signer = Signer(Path(folder) / "jwks.json")
        own = {"JWKS_FILE": str(signer.path), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "LOG_LEVEL": "WARNING"}
        with installation(Path(folder), own) as here:
            here.start_redis()
            os.environ.update(here.environment)
            asyncio.run(fill())
            port = free_port()
            server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=PROJECT, env=os.environ.copy())
            try:
                wait_for(lambda: listens(port), "the server")
                ends = int(time.time()) + 3600
                tokens = [signer.token(digits, exp=ends) for digits in numbers()]
                print(json.dumps(measure(port, tokens, options.rounds, options.seconds)))
            finally:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
