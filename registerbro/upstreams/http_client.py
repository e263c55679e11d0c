"""HTTP client: sends a question to an upstream and returns its whole answer, or raises an error of our own tree.

httpx makes requests and answers, and `http_transport.py` carries them. httpx's own client is left out
(docs/decisions/0026): none of its features is wanted.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Self, cast

import httpx

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
from registerbro.upstreams.http_transport import ON_SEND, SENT, HttpTransport
from registerbro.upstreams.messages import Answer, Question

OF_ALL = {"User-Agent": "registerbro", "Accept": "*/*", "Accept-Encoding": "gzip"}
"""Headers of every request, unless its question says otherwise."""
EXPECT_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose requests say that they have no body (RFC 9110, 8.6)."""
KNOWN_URLS = 64
"""How many of an upstream's URLs are remembered, resolved: there are a few."""
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
        request = self._request(question, headers)
        seen = observation.begin(request.url, question)
        if seen:
            request.extensions[ON_SEND] = seen.note_tls
        response: httpx.Response | None = None
        try:
            async with asyncio.timeout(within), self._borrowed() as transport:
                response = await transport.handle_async_request(request)
                if seen:
                    seen.receive_head(response.status_code, response.headers.multi_items())
                answer = await _read(response, self._settings.max_body)
                if seen:
                    seen.receive(answer)
                return answer
        except CallFailed as error:
            raise _noted(error, request, response) from None
        except TimeoutError:
            raise _noted(UpstreamTimeout(f"no answer within {within:.1f} s"), request, response) from None
        except (httpx.TransportError, OSError) as error:
            raise _noted(_translated(error), request, response) from None

    def _request(self, question: Question, headers: Mapping[str, str]) -> httpx.Request:
        """The request, with all of its headers: httpx goes over them three times when it adds two of its own."""
        url, body = self._url(question.path), question.body or b""
        of_all = {"Host": url.netloc.decode("ascii"), **OF_ALL, **question.headers, **headers}
        if body or question.method in EXPECT_BODY:
            of_all["Content-Length"] = str(len(body))
        return httpx.Request(question.method, url, headers=of_all, stream=httpx.ByteStream(body))

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
        return _Connections(HttpTransport(context, self._settings.max_connections), context)


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


def _noted(error: CallFailed, request: httpx.Request, response: httpx.Response | None) -> CallFailed:
    """The error, which says how far the call came. A refused certificate means that no request was read."""
    error.sent = SENT in request.extensions and not isinstance(error, NotAuthorised)
    error.status = None if response is None else response.status_code
    return error


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
