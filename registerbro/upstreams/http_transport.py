"""HTTP transport: httpx's interface over aiohttp's connections, without the session between them.

It sends each request at most once, over a connection on which nothing else is under way, and gives back to the pool
only what was read to its end. aiohttp's session is left out, since nothing of it is wanted: redirects, cookies,
proxies, authentication and repeats (docs/decisions/0052). The caller sets the time limit.

This is the only module that knows aiohttp's client.
"""

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Self, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, StreamWriter
from aiohttp.streams import StreamReader
from yarl import URL

if TYPE_CHECKING:
    from multidict import CIMultiDict

MOST_FRAMING = 128 * 1024
"""Bytes of an answer that may be no part of its body, and one more for each FRAMED of the body: head, interim answers
and the framing of chunks. Servers take heads of 8 to 64 KB, and chunks of 512 bytes need a 64th part."""
FRAMED = 64
READ_AT_ONCE = 16 * 1024
"""Bytes that are taken apart before they are counted, and that a reader of a body is given at once: some milliseconds,
also of the shortest messages."""
IDLE_CONNECTION_SECONDS = 10
"""Below the idle time-outs usual at gateways, so that a connection is rarely closed under a request."""

SENT = "sent"
"""The extension of a request that is true from before its first byte on. A request without it was not sent."""
ON_SEND = "on_send"
"""The extension of a request that is called before its first byte, with the ssl.SSLObject of the connection or None."""
SWITCHES_PROTOCOL = 101
INTERIM = frozenset(range(100, 200)) - {SWITCHES_PROTOCOL}
"""Statuses that another head follows (RFC 9110, 15.2)."""

_NO_TIME_LIMITS = aiohttp.ClientTimeout()


class HttpTransport(httpx.AsyncBaseTransport):
    """The connections made with one TLS context, so many at most. Make it within the event loop that uses it.

    Raises httpx.ConnectError when there is no connection, RemoteProtocolError when the other side breaks HTTP or ends
    an answer too early, ReadError and WriteError when the connection breaks.
    """

    def __init__(self, context: ssl.SSLContext, most_connections: int) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._destinations: dict[tuple[bytes, bytes], aiohttp.ClientRequest] = {}
        self.connector = aiohttp.TCPConnector(
            ssl=context, limit=most_connections, keepalive_timeout=IDLE_CONNECTION_SECONDS
        )
        # aiohttp has no public way to set another protocol, and no limit of its own for framing.
        of_ours = partial(_Protocol, loop=self._loop)
        self.connector._factory = cast("partial[ResponseHandler]", of_ours)  # noqa: SLF001

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request and reads the head of its answer; `aclose` of the answer's stream must follow.

        Of the request's extensions it sets SENT and calls ON_SEND.
        """
        fields, body = await _framed(request)
        try:
            connection = await self.connector.connect(
                self._destination(request.url), traces=[], timeout=_NO_TIME_LIMITS
            )
        except (aiohttp.ClientError, OSError) as error:
            raise httpx.ConnectError(type(error).__name__) from error
        protocol = cast("_Protocol", connection.protocol)
        try:
            protocol.await_answer(without_body=request.method == "HEAD")
            request.extensions[SENT] = True
            if on_send := request.extensions.get(ON_SEND):
                on_send(protocol.secured)
            writer = StreamWriter(protocol, self._loop)
            await _write(writer, f"{request.method} {request.url.raw_path.decode('ascii')} HTTP/1.1", fields, body)
            status, headers, payload = await _read_head(protocol)
        except BaseException:
            protocol.rest()
            connection.close()
            raise
        return httpx.Response(status, headers=headers, stream=_Body(connection, payload), request=request)

    async def aclose(self) -> None:
        """Closes every connection."""
        await self.connector.close()

    def _destination(self, url: httpx.URL) -> aiohttp.ClientRequest:
        """What the connector is told of where a connection goes."""
        key = url.raw_scheme, url.netloc
        if key not in self._destinations:
            address = URL(f"{url.scheme}://{url.netloc.decode('ascii')}")
            self._destinations[key] = aiohttp.ClientRequest("GET", address, loop=self._loop, ssl=self._context)
        return self._destinations[key]


async def _framed(request: httpx.Request) -> tuple[Mapping[str, str], bytes]:
    """Headers and body of the request. Raises httpx.LocalProtocolError when the headers tell of another length."""
    body, fields = await request.aread(), dict(request.headers.items())
    # The other side would take the rest for the next request, or wait for it.
    if fields.get("content-length", "0") != str(len(body)) or "transfer-encoding" in fields:
        raise httpx.LocalProtocolError("the body is of another length than its headers say")
    return fields, body


async def _write(writer: StreamWriter, line: str, fields: Mapping[str, str], body: bytes) -> None:
    """Writes all of it at once, without waiting for the other side, which may answer before it has read it."""
    try:
        # The writer asks for no more than `items`.
        await writer.write_headers(line, cast("CIMultiDict[str]", fields))
        if body:
            await writer.write(body, drain=False)
        writer.set_eof()
    except aiohttp.ClientError as error:
        raise httpx.WriteError(type(error).__name__) from error


async def _read_head(protocol: "_Protocol") -> tuple[int, tuple[tuple[bytes, bytes], ...], StreamReader]:
    """Reads the head of the answer, past interim ones."""
    try:
        while True:
            message, payload = await protocol.read()
            if message.code == SWITCHES_PROTOCOL:
                protocol.force_close()
            if message.code not in INTERIM:
                return message.code, message.raw_headers, payload
    except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
        raise _told(error) from error


def _told(error: Exception) -> httpx.TransportError:
    """Httpx's error for what became of an answer. Its message names the kind, since aiohttp's quotes the answer."""
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ServerDisconnectedError):
        return httpx.ReadError(type(error).__name__)
    return httpx.RemoteProtocolError(type(error).__name__)


class _Body(httpx.AsyncByteStream):
    """The body of an answer as it comes in, framing taken away; its end gives the connection back."""

    def __init__(self, connection: Connection, payload: StreamReader) -> None:
        self._connection = connection
        self._payload = payload

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._payload.read(READ_AT_ONCE)
        except (aiohttp.ClientError, OSError) as error:
            raise _told(error) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Gives the connection back to the pool, or closes it when request or answer did not come to its end."""
        protocol = cast("_Protocol | None", self._connection.protocol)
        if protocol is not None:
            protocol.rest()
            self._connection.release()


class _Protocol(ResponseHandler):
    """Connection that aborts an answer with more framing beside its body than MOST_FRAMING, and one that is unasked.

    No limit of aiohttp's counts interim answers (RFC 9110, 15.2) or extensions of chunks (RFC 9112, 7.1.1), and a chunk
    may be one byte, which takes as much time as a long one. An answer that comes while nothing was asked would be
    taken for the next call's.
    """

    _received = 0
    """Bytes of the answer under way, as they came in."""
    _rests = False
    """Whether nothing is asked."""

    @property
    def secured(self) -> ssl.SSLObject | None:
        """Its TLS connection; None without TLS."""
        return self.transport.get_extra_info("ssl_object") if self.transport is not None else None

    def await_answer(self, *, without_body: bool) -> None:
        """Called before each request."""
        self._payload = None
        self._received = 0
        self._rests = False
        self.set_response_params(skip_payload=without_body, read_until_eof=True, auto_decompress=False)

    def rest(self) -> None:
        """Called after each answer, read to its end or not; what is not sent by then is never sent."""
        self._rests = True
        if self.transport is not None and self.transport.get_write_buffer_size():
            self._abort()

    def _abort(self) -> None:
        self.force_close()
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Parses received data; called with no data, goes on with what was held back."""
        if self._rests:
            self._abort()
            return
        for at in range(0, len(data) or 1, READ_AT_ONCE):
            piece = data[at : at + READ_AT_ONCE]
            super().data_received(piece)
            if self.exception() is not None:
                # aiohttp fails a reader of the head alone; a reader of the body would wait for its time-out.
                payload = self._payload
                if payload is not None and not payload.is_eof() and payload.exception() is None:
                    payload.set_exception(aiohttp.ClientPayloadError())
                return
            self._received += len(piece)
            body = self._payload.total_bytes if self._payload else 0
            if self._received - body > MOST_FRAMING + body // FRAMED:
                self._end(TooMuchFraming())
                return

    def _end(self, error: Exception) -> None:
        """Fails the reader of the head and of the body, and closes; in this order, since closing forgets both."""
        if self._payload is not None:
            self._payload.set_exception(error)
        self.set_exception(error)
        self._abort()


class TooMuchFraming(aiohttp.ClientPayloadError):
    """An answer has more beside its body than MOST_FRAMING."""
