"""An HTTP answer as one file holds it, byte for byte, and the two ways in which it reaches the client.

`Wired` writes the bytes to a socket, so that all of the path is taken. `Direct` puts them in the place of the
connection, which leaves out what reads HTTP/1.1 from a socket, and takes a tenth of the time.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

import httpx
import structlog

from config.settings import UpstreamSettings
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.support import ProcessAdmission

SETTINGS = UpstreamSettings(attempt_timeout=timedelta(seconds=20), total_timeout=timedelta(seconds=60), max_attempts=2)
"""One repeat shows what a repeat does."""
CHUNK = 16 * 1024
"""As large as the pieces in which the client is given a body."""

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?")
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")


@dataclass(frozen=True, slots=True)
class Message:
    """A message taken apart, without judging it: what does not look like HTTP is a status of 200 and a body."""

    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "Message":
        head, found, body = raw.partition(b"\r\n\r\n")
        if not found:
            return cls(200, b"", (), raw)
        first, *lines = head.split(b"\r\n")
        matched = _STATUS.fullmatch(first)
        status, reason = (int(matched[1]), matched[2] or b"") if matched else (200, b"")
        named = (line.split(b":", 1) for line in lines if b":" in line)
        return cls(status, reason, tuple((name.strip(), value.strip()) for name, value in named), body)

    def raw(self) -> bytes:
        head = [b"HTTP/1.1 %d %s" % (self.status, self.reason), *(b"%s: %s" % header for header in self.headers)]
        return b"\r\n".join(head) + b"\r\n\r\n" + self.body


class _Body(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._body), CHUNK):
            yield self._body[at : at + CHUNK]


class Direct(httpx.AsyncBaseTransport):
    """Every request is answered with `message`."""

    def __init__(self) -> None:
        self.message = Message(200, b"", (), b"")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = self.message
        # The client's own connections decide whether the bytes are a head at all.
        headers = [(name, value) for name, value in message.headers if name.isascii()]
        return httpx.Response(message.status, headers=headers, stream=_Body(message.body), request=request)


class Wired:
    """A server on a socket that answers every request with the bytes of `raw`, as they are, and hangs up."""

    def __init__(self) -> None:
        self.raw = b""
        self.url = ""
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that has read enough hangs up first.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            await reader.readexactly(int(length[1]) if length else 0)
            writer.write(self.raw)
            await writer.drain()
        with suppress(ConnectionError):
            writer.close()
            await writer.wait_closed()


async def _no_wait(_: float) -> None:
    await asyncio.sleep(0)


def say_nothing() -> None:
    """No log line from here on, of millions of calls."""

    def drop(*_: object) -> None:
        raise structlog.DropEvent

    logging.disable()
    structlog.configure(processors=[drop])


def upstream_through(http: HttpClient, name: str, settings: UpstreamSettings = SETTINGS) -> Upstream:
    """An upstream as a worker has it, but for the waits, and with a breaker that knows of no call before this."""
    return Upstream(name, settings, http, ProcessAdmission(name), NoTrail(), sleep=_no_wait)


@asynccontextmanager
async def client_of(direct: Direct, settings: UpstreamSettings = SETTINGS) -> AsyncIterator[HttpClient]:
    """The client, with `direct` in the place of its connections."""
    async with HttpClient("http://register.invalid", settings) as http:
        http._connections.transport = direct
        yield http


@asynccontextmanager
async def client_at(wired: Wired) -> AsyncIterator[HttpClient]:
    """The client, as it is, calling `wired`."""
    await wired.start()
    async with HttpClient(wired.url, SETTINGS) as http:
        yield http
    await wired.stop()
