"""A lean HTTP client that loads a server: a client library would be what is measured."""

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from typing import cast

from bench.harness import CPR_HEADER, Upstream, on_core
from bench.people import numbers

CONNECTIONS = 32
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


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


def request(path: str, **headers: str) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def ceiling(upstream: Upstream, core: int) -> int:
    """Answers per second that the light upstream gives when it waits for nothing; this client runs on that core."""
    questions = itertools.cycle([request("/v1/su-forloeb", **{CPR_HEADER: cpr}) for cpr in numbers(100)])
    upstream.tell("median/0")
    try:
        with on_core(core):
            return round(asyncio.run(full_load(upstream.port, questions, 2)))
    finally:
        upstream.tell("median/0.2")
