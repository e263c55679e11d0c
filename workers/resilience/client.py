"""The one HTTP client: sends a question to an upstream and gives its whole answer, or an error of our own tree.

Everything that is known of httpx and aiohttp is in this file. httpx gives the requests and answers and aiohttp the
connections, since httpcore walks its whole pool on every request; what lies between maps errors coarsely, so we
translate them here. httpx's own client is left out (docs/decisions/0026): nothing that it does is wanted here.
"""

import asyncio
import re
import ssl
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Self, TypeVar, cast

import aiohttp
import httpx
import pydantic_core
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport
from pydantic import BaseModel, ValidationError

from config.settings import UpstreamSettings
from workers.resilience.certificates import Certificates
from workers.resilience.errors import (
    CallFailed,
    ConnectionLost,
    InvalidResponse,
    NotAuthorised,
    TooLong,
    UpstreamTimeout,
    from_status,
    parse_retry_after,
)
from workers.resilience.fields import content_type

GZIP = frozenset({"gzip", "x-gzip"})
"""The names of the one compression that is offered (RFC 9110, 8.4.1.3)."""
MOST_MEMBERS = 1000
"""How many gzip members a body may have (RFC 1952, 2.2): the finest in use, BGZF, has one per 64 KiB."""
MOST_FRAMING = 128 * 1024
"""Bytes of an answer that may be no part of its body, and one more for each FRAMED of the body: head, interim answers
and the framing of chunks. Servers take heads of 8 to 64 KB, and chunks of 512 bytes need a 64th part."""
FRAMED = 64
READ_AT_ONCE = 16 * 1024
"""Bytes that are taken apart before they are counted: some milliseconds, also of the shortest messages."""
MOST_JSON_VALUES = 100_000
"""Fields and items that JSON may hold: more than 2 MiB of any register's answers have that are filled with text. Each
becomes an object, and the parsers keep the interpreter for as long as there are any."""
MOST_JSON_CONTAINERS = 50_000
"""Lists and objects among them: more than 2 MiB of any register's items hold, and more than the hits that CVR is asked
for. So what has more is no long history, and not of the contract."""
KNOWN_URLS = 64
"""How many of an upstream's URLs are remembered, resolved: there are a few."""
IDLE_CONNECTION_SECONDS = 10
"""Below the idle time-outs usual at gateways, so that a connection is rarely closed under a request."""

_CPR_LIKE = re.compile(r"(?<!\d)\d{6}-?\d{4}(?!\d)")
REFUSED_WITHIN_SECONDS = 0.5
"""How long `reach` waits for a refusal: under TLS 1.3 the handshake is over before our certificate is looked at."""

_CLIENT_CERT_REFUSED = re.compile(
    r"ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE|DECRYPT_ERROR)", re.IGNORECASE
)
"""The other side's alerts. HANDSHAKE_FAILURE is what TLS 1.2 has for a certificate that is missing; whatever else it
may stand for, somebody must set right too."""

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request, without what is the same for all calls. What it holds of a citizen is kept out of its repr.

    `path` is below the upstream's base URL, whichever of them has the slash; when empty, the base URL is asked exactly
    as it was set (RFC 9110, 4.2.3 makes a slash of a host alone).
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if _CPR_LIKE.search(self.path):
            raise ValueError("a CPR number must not be in a URL")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: the body is decompressed, and no longer than the upstream's MAX_BODY."""

    status: int
    content_type: str
    charset: str
    body: bytes = field(repr=False)
    retry_after: timedelta | None = None

    def refusal(self) -> CallFailed | None:
        """The error that the status alone means; None for 200."""
        return from_status(self.status, self.retry_after)

    def expect(self, *content_types: str) -> None:
        """Raises InvalidResponse when the body is of none of these types."""
        if self.content_type not in content_types:
            raise InvalidResponse(f"the answer is not {' or '.join(content_types)}")

    def json(self, *also: str) -> object:
        """The body as JSON values, of JSON's own type or one of `also`.

        Raises InvalidResponse for another type, encoding or syntax, and for more than MOST_JSON_CONTAINERS; TooLong for
        more than MOST_JSON_VALUES.
        """
        self.expect("application/json", *also)
        if self.charset.lower() not in {"utf-8", "us-ascii"}:
            raise InvalidResponse("the answer is not UTF-8")
        # Those within texts count too, since to know them apart is to parse.
        containers = self.body.count(b"[") + self.body.count(b"{")
        if containers > MOST_JSON_CONTAINERS:
            raise InvalidResponse(f"the answer holds more than {MOST_JSON_CONTAINERS} lists and objects")
        if containers + self.body.count(b",") + self.body.count(b":") > MOST_JSON_VALUES:
            raise TooLong(f"the answer holds more than {MOST_JSON_VALUES} values")
        try:
            values: object = pydantic_core.from_json(self.body, allow_inf_nan=False)
        except ValueError:
            raise InvalidResponse("the answer is not JSON") from None
        return values

    def model(self, model: type[ModelT]) -> ModelT:
        """The body as `model`. Raises InvalidResponse, naming the fields that are not of the contract."""
        return validated(model, self.json())


def validated(model: type[ModelT], values: object) -> ModelT:
    """`values` as `model`. Raises InvalidResponse, naming the fields at fault and never what they hold.

    Raises TooLong when a list is longer than the contract's longest.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        named = ", ".join(f"{'.'.join(map(str, fault['loc'])) or 'body'} ({fault['type']})" for fault in faults[:3])
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        too_long = any(fault["type"] == "too_long" for fault in faults)
    if too_long:
        raise TooLong(f"a list is too long: {named}{more}")
    raise InvalidResponse(f"not of the contract: {named}{more}")


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
        """The answer to `question`, whatever its status, read to its end within so many seconds.

        Raises UpstreamTimeout, ConnectionLost, NotAuthorised (our certificate was refused), TooLong, or InvalidResponse
        (compressed in a way we did not offer).
        """
        try:
            async with asyncio.timeout(within), self._borrowed() as transport:
                response = await transport.handle_async_request(self._request(question, headers))
                return await _read(response, self._settings.max_body)
        except (TimeoutError, aiohttp.ConnectionTimeoutError):
            raise UpstreamTimeout(f"no answer within {within:.1f} s") from None
        except (httpx.HTTPError, aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None

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
        await self._certificates.look()
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


class _Protocol(ResponseHandler):
    """A connection that ends at an answer with more beside its body than MOST_FRAMING.

    What is no body is without end otherwise: interim answers (RFC 9110, 15.2) and extensions of chunks (RFC 9112,
    7.1.1) count for no limit of aiohttp's, and a chunk may be one byte, which takes as much time as a long one.
    """

    _received = 0
    """Bytes of the answer under way, as they came in."""

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - whatever aiohttp has
        """Called before each answer."""
        self._payload = None
        self._received = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Takes apart what came in; nothing, when what was held back is to be gone on with."""
        for at in range(0, len(data) or 1, READ_AT_ONCE):
            piece = data[at : at + READ_AT_ONCE]
            super().data_received(piece)
            if self.exception() is not None:
                # aiohttp tells who waits for a head, and lets who waits for a body wait for its time to be over.
                if self._payload is not None and not self._payload.is_eof():
                    self._payload.set_exception(aiohttp.ClientPayloadError())
                return
            self._received += len(piece)
            body = self._payload.total_bytes if self._payload else 0
            if self._received - body > MOST_FRAMING + body // FRAMED:
                self._end(_TooMuchFraming())
                return

    def _end(self, error: Exception) -> None:
        """For who waits for the head, or for the body; in this order, since to close forgets both."""
        if self._payload is not None:
            self._payload.set_exception(error)
        self.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


class _TooMuchFraming(aiohttp.ClientPayloadError):
    """An answer has more beside its body than MOST_FRAMING."""


class _Response(aiohttp.ClientResponse):
    """An answer without its reason phrase, which says nothing to us: the transport fails at one that is not UTF-8."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Reads the head."""
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
    """Raises ssl.SSLError when the other side refuses our certificate; who takes it says nothing until it is asked."""
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
            body=await _body(response.headers.get("Content-Encoding", "identity"), stream, max_body),
            retry_after=parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC)),
        )
    finally:
        await stream.aclose()


async def _body(encoding: str, stream: httpx.AsyncByteStream, limit: int) -> bytes:
    """Reads and decompresses, and stops at the first byte too many, so that a small bomb stays small.

    Raises TooLong; InvalidResponse when it is compressed in a way that was not offered, or brokenly.
    """
    encoding = encoding.strip().lower()
    if encoding not in {"identity", *GZIP}:
        raise InvalidResponse("the answer is compressed in a way that was not offered")
    body = bytearray()
    inflate = _Gzip() if encoding in GZIP else None
    # What does not shrink grows a little; what is longer than that may be without end, and still come to nothing. Every
    # byte counts as it comes in and before it is looked at, so that no form of compression has a way around the limit.
    wire = _longest_compressed(limit)
    async for chunk in stream:
        wire -= len(chunk)
        body += inflate.read(chunk, limit + 1 - len(body)) if inflate else chunk
        if len(body) > limit or wire < 0:
            raise TooLong(f"the answer is longer than {limit} bytes")
    if inflate:
        inflate.end()
    return bytes(body)


def _longest_compressed(length: int) -> int:
    """How long gzip can make so many bytes: zlib's own bound, and a kilobyte for names and comments in its header."""
    return length + (length >> 12) + (length >> 14) + 1024


class _Gzip:
    """The members of a gzip file, one after the other with nothing between or behind them (RFC 1952, 2.2).

    Every method raises InvalidResponse when it is none. zlib itself stops at the end of a member and says nothing of
    what follows, so whatever follows begins a member here: it is read as one, or it is refused.
    """

    def __init__(self) -> None:
        self._member: zlib._Decompress | None = None
        self._members = 0

    def read(self, chunk: bytes, at_most: int) -> bytes:
        """What the next part of the file holds, cut off at `at_most` bytes, after which nothing may be read."""
        found = bytearray()
        while chunk and len(found) < at_most:
            if self._member is None:
                self._begin_member()
            found += self._inflated(chunk, at_most - len(found))
            chunk = self._rest()
        return bytes(found)

    def end(self) -> None:
        """The file is over."""
        if self._member is not None:
            raise InvalidResponse("the answer's compression ends too early")

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MOST_MEMBERS:
            raise InvalidResponse("the answer is compressed in too many parts")
        self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def _inflated(self, chunk: bytes, at_most: int) -> bytes:
        try:
            return self._member.decompress(chunk, at_most) if self._member else b""
        except zlib.error:
            raise InvalidResponse("the answer's compression is broken") from None

    def _rest(self) -> bytes:
        """What of the last chunk is behind the member's end; nothing while the member goes on."""
        if self._member is None or not self._member.eof:
            return b""
        rest, self._member = self._member.unused_data, None
        return rest


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
    # There is no public way to have another protocol, nor a limit of aiohttp's for what this one counts.
    of_ours = partial(_Protocol, loop=asyncio.get_running_loop())
    connector._factory = cast("partial[ResponseHandler]", of_ours)  # noqa: SLF001
    session = aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, response_class=_Response
    )
    # aiohttp repeats a GET by itself when a kept connection breaks. There is no public switch for that.
    session._retry_connection = False  # noqa: SLF001
    return session
