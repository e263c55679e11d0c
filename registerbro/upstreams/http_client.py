"""HTTP client: sends a question to an upstream and returns its whole answer, or raises an error of our own tree.

This is the only file that knows httpx and aiohttp. httpx makes requests and answers, and aiohttp connections, since
httpcore walks its whole pool on every request. The adapter between them maps errors coarsely, so they are translated
here. httpx's own client is left out (docs/decisions/0026): none of its features is wanted.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, Self, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport

from config.settings import UpstreamSettings
from registerbro.upstreams import observation
from registerbro.upstreams.body_reading import read_body
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import (
    CallFailed,
    ConnectionLost,
    NotAuthorised,
    UpstreamTimeout,
    parse_retry_after,
)
from registerbro.upstreams.header_fields import content_type
from registerbro.upstreams.messages import Answer, Question

MOST_FRAMING = 128 * 1024
"""Bytes of an answer that may be no part of its body, and one more for each FRAMED of the body: head, interim answers
and the framing of chunks. Servers take heads of 8 to 64 KB, and chunks of 512 bytes need a 64th part."""
FRAMED = 64
READ_AT_ONCE = 16 * 1024
"""Bytes that are taken apart before they are counted: some milliseconds, also of the shortest messages."""

KNOWN_URLS = 64
"""How many of an upstream's URLs are remembered, resolved: there are a few."""
IDLE_CONNECTION_SECONDS = 10
"""Below the idle time-outs usual at gateways, so that a connection is rarely closed under a request."""

REFUSED_WITHIN_SECONDS = 0.5
"""How long `reach` waits for a refusal: under TLS 1.3 the handshake is over before our certificate is looked at."""

_CLIENT_CERT_REFUSED = re.compile(
    r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE|DECRYPT_ERROR)", re.IGNORECASE
)
"""The other side's alerts. HANDSHAKE_FAILURE is TLS 1.2's alert for a missing certificate; its other causes need
an operator too."""


class HttpClient:
    """Calls one upstream. Open it within the event loop that uses it, and close it there.

    It keeps no cookies (they would join one citizen's call to another's), follows no redirect, reads no proxy from the
    environment and never calls again by itself, so that each call is one that was decided on. When a certificate has
    changed, new calls are made over new connections, and the old ones are closed after the last call on them.
    """

    def __init__(self, base_url: str, settings: UpstreamSettings, certificates: Certificates | None = None) -> None:
        self._url = lru_cache(KNOWN_URLS)(partial(_below, base_url))
        self._settings = settings
        self._certificates = certificates or Certificates(settings)
        self._connections = self._connect()
        self._retired: set[_Connections] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection."""
        for connections in (self._connections, *self._retired):
            await connections.transport.aclose()

    async def send(self, question: Question, headers: Mapping[str, str], within: float) -> Answer:
        """Sends `question` and reads the answer to its end, whatever its status, within so many seconds.

        Raises UpstreamTimeout, ConnectionLost, NotAuthorised (our certificate was refused), TooLong, or InvalidResponse
        (compressed in a way we did not offer). The error says whether the request was sent, and with which status an
        answer began.
        """
        progress = _Progress()
        outer = _progress.set(progress)
        try:
            async with asyncio.timeout(within), self._borrowed() as transport:
                request = self._request(question, headers)
                seen = observation.begin(str(request.url), question)
                response = await transport.handle_async_request(request)
                progress.status = response.status_code
                if seen:
                    seen.receive_head(response.status_code, response.headers.multi_items())
                answer = await _read(response, self._settings.max_body)
                if seen:
                    seen.receive(answer)
                return answer
        except CallFailed as error:
            raise progress.noted_in(error) from None
        except (TimeoutError, aiohttp.ConnectionTimeoutError):
            raise progress.noted_in(UpstreamTimeout(f"no answer within {within:.1f} s")) from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise progress.noted_in(_translated(error)) from None
        finally:
            _progress.reset(outer)

    def _request(self, question: Question, headers: Mapping[str, str]) -> httpx.Request:
        of_all = {"User-Agent": "registerbro", "Accept": "*/*", "Accept-Encoding": "gzip"}
        return httpx.Request(
            question.method,
            self._url(question.path),
            headers={**of_all, **question.headers, **headers},
            content=question.body,
        )

    @asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[httpx.AsyncBaseTransport]:
        """The connections for one call, made with the certificates as they are now."""
        await self._certificates.reload_changed()
        connections = await self._current()
        connections.calls += 1
        try:
            yield connections.transport
        finally:
            connections.calls -= 1
            if not connections.calls and connections in self._retired:
                self._retired.remove(connections)
                await connections.transport.aclose()

    async def _current(self) -> "_Connections":
        if self._certificates.context() is not self._connections.context:
            old, self._connections = self._connections, self._connect()
            if old.calls:
                self._retired.add(old)
            else:
                await old.transport.aclose()
        return self._connections

    def _connect(self) -> "_Connections":
        context = self._certificates.context()
        session = partial(_session, context, self._settings.max_connections)
        return _Connections(AiohttpTransport(verify=context, client=session), context)


@dataclass(slots=True)
class _Progress:
    """How far a call came: whether its request was sent, and the status of its answer."""

    sent: bool = False
    status: int | None = None

    def noted_in(self, error: CallFailed) -> CallFailed:
        """The error, which says how far the call came. A refused certificate means that no request was read."""
        error.sent = self.sent and not isinstance(error, NotAuthorised)
        error.status = self.status
        return error


_progress: ContextVar[_Progress] = ContextVar("progress")


class _Request(aiohttp.ClientRequest):
    """Request that notes when it is sent: there is a connection then, and nothing of it was written yet."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Writes the request."""
        _progress.get().sent = True
        return await super().send(conn)


class _Protocol(ResponseHandler):
    """Connection that aborts an answer with more framing beside its body than MOST_FRAMING.

    No limit of aiohttp's counts interim answers (RFC 9110, 15.2) or extensions of chunks (RFC 9112, 7.1.1), and a chunk
    may be one byte, which takes as much time as a long one.
    """

    _received = 0
    """Bytes of the answer under way, as they came in."""

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - whatever aiohttp has
        """Called before each answer."""
        self._payload = None
        self._received = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Parses received data; called with no data, goes on with what was held back."""
        for at in range(0, len(data) or 1, READ_AT_ONCE):
            piece = data[at : at + READ_AT_ONCE]
            super().data_received(piece)
            if self.exception() is not None:
                # aiohttp fails a reader of the head alone; a reader of the body would wait for its time-out.
                if self._payload is not None and not self._payload.is_eof():
                    self._payload.set_exception(aiohttp.ClientPayloadError())
                return
            self._received += len(piece)
            body = self._payload.total_bytes if self._payload else 0
            if self._received - body > MOST_FRAMING + body // FRAMED:
                self._end(_TooMuchFraming())
                return

    def _end(self, error: Exception) -> None:
        """Fails the reader of the head and of the body, and closes; in this order, since closing forgets both."""
        if self._payload is not None:
            self._payload.set_exception(error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


class _TooMuchFraming(aiohttp.ClientPayloadError):
    """An answer has more beside its body than MOST_FRAMING."""


class _Response(aiohttp.ClientResponse):
    """Answer without its reason phrase, which is not used: the transport fails at a phrase that is not UTF-8."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Reads the head."""
        # Before it: a short answer's connection is given back while its head is read.
        observation.note_connection(connection.transport)
        await super().start(connection)
        self.reason = ""
        return self


@dataclass(eq=False, slots=True)
class _Connections:
    """The connections that were made with one TLS context, and how many calls are under way on them."""

    transport: httpx.AsyncBaseTransport
    context: ssl.SSLContext
    calls: int = 0


async def reach(base_url: str, certificates: Certificates, within: float) -> None:
    """Connects as a call would, with our certificate and their authorities, and sends nothing.

    Raises UpstreamTimeout, ConnectionLost, and NotAuthorised when our certificate is refused.
    """
    url = httpx.URL(base_url)
    secure = url.scheme == "https"
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(
                url.host, url.port or (443 if secure else 80), ssl=certificates.context() if secure else None
            )
            try:
                if secure:
                    await _hear_refusal(reader)
            finally:
                writer.close()
    except TimeoutError:
        raise UpstreamTimeout(f"no connection within {within:.1f} s") from None
    except OSError as error:
        raise _translated(error) from None


async def _hear_refusal(reader: asyncio.StreamReader) -> None:
    """Raises ssl.SSLError when the other side refuses our certificate; a side that accepts it sends nothing yet."""
    with suppress(TimeoutError):
        async with asyncio.timeout(REFUSED_WITHIN_SECONDS):
            await reader.read(1)


async def _read(response: httpx.Response, max_body: int) -> Answer:
    """Reads it to its end, and gives its connection back however that goes."""
    stream = cast("httpx.AsyncByteStream", response.stream)
    try:
        media_type, charset = content_type(response.headers.get("Content-Type", ""))
        return Answer(
            status=response.status_code,
            content_type=media_type,
            charset=charset,
            body=await read_body(response.headers.get("Content-Encoding", "identity"), stream, max_body),
            retry_after=parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
        )
    finally:
        await stream.aclose()


def _below(base_url: str, path: str) -> httpx.URL:
    """The URL of a path; without one, the base URL as it is, with no slash added."""
    return httpx.URL(f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url)


def _translated(error: BaseException) -> CallFailed:
    """Our error for one of httpx's, aiohttp's or the socket's; the message names the kind and nothing of the call."""
    for cause in _causes(error):
        # aiohttp's own subclass of SSLError is made without the attributes that the base class has.
        reason = getattr(cause, "reason", None) if isinstance(cause, ssl.SSLError) else None
        if reason and _CLIENT_CERT_REFUSED.search(reason):
            return NotAuthorised(f"the client certificate was refused: {reason}")
    root = list(_causes(error))[-1]
    # OpenSSL's own words, as `certificate revoked`.
    why = f": {root.verify_message}" if isinstance(root, ssl.SSLCertVerificationError) else ""
    return ConnectionLost(f"no connection: {type(root).__name__}{why}")


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _session(context: ssl.SSLContext, connections: int) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(ssl=context, limit=connections, keepalive_timeout=IDLE_CONNECTION_SECONDS)
    # aiohttp has no public way to set another protocol, and no limit of its own for framing.
    of_ours = partial(_Protocol, loop=asyncio.get_running_loop())
    connector._factory = cast("partial[ResponseHandler]", of_ours)  # noqa: SLF001
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        request_class=_Request,
        response_class=_Response,
    )
    # aiohttp repeats a GET by itself when a kept connection breaks. There is no public switch for that.
    session._retry_connection = False  # noqa: SLF001
    return session
