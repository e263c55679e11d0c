"""The transport over real sockets: what goes over the wire, what comes of it, and which connections are used again."""

import asyncio
import socket
import ssl
import struct
from contextlib import asynccontextmanager, suppress

import aiohttp
import httpx
import pytest

from registerbro.upstreams.http_transport import SENT, HttpTransport, TooMuchFraming

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANSWER = HEAD + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class Wire:
    """A server that gives each connection to `answer`; knows how many there were, and each request's bytes."""

    def __init__(self):
        self.connections = 0
        self.requests = []
        self.closed = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        self.url = ""

    async def answer(self, reader, writer):
        while True:
            await self.read(reader)
            writer.write(ANSWER)

    async def read(self, reader):
        """One request of at most a body of two bytes, `{}`."""
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(2) if b"content-length: 2" in head else b""
        self.requests.append(head + body)

    async def serve(self, reader, writer):
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.answer(reader, writer)
        writer.close()
        self.closed.release()


@pytest.fixture
async def wire():
    it = Wire()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield it
    it.go_on.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def transport(wire):
    it = HttpTransport(ssl.create_default_context(), 2)
    yield it
    wire.go_on.set()
    await it.aclose()


def saying(*parts):
    """Reads a request, writes the parts, and hangs up."""

    async def answer(wire, reader, writer):
        await wire.read(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


async def reset(wire, reader, writer):
    await wire.read(reader)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def begun(transport, request):
    """An answer of which the head was read."""
    response = await transport.handle_async_request(request)
    try:
        yield response
    finally:
        await response.stream.aclose()


async def ask(transport, wire, method="GET", content=None, path="/v1/x"):
    """The status and the body."""
    request = httpx.Request(method, wire.url + path, content=content)
    async with asyncio.timeout(60), begun(transport, request) as response:
        return response.status_code, b"".join([piece async for piece in response.stream])


async def test_a_request_is_on_the_wire_as_it_was_made(wire, transport):
    request = httpx.Request("POST", wire.url + "/a//b%7E?c=d%20e", headers={"X-Name": "X"}, content=b"{}")
    async with begun(transport, request):
        pass
    netloc = wire.url.removeprefix("http://").encode()
    said = b"POST /a//b%7E?c=d%20e HTTP/1.1\r\nhost: " + netloc + b"\r\nx-name: X\r\ncontent-length: 2\r\n\r\n{}"
    assert wire.requests == [said]


async def test_a_connection_is_used_for_the_next_request_after_an_answer_was_read(wire, transport):
    assert [await ask(transport, wire, "POST", b"{}") for _ in range(3)] == [(200, b"{}")] * 3
    assert wire.connections == 1


@pytest.mark.parametrize(
    ("method", "answer", "came"),
    [
        ("HEAD", HEAD + b"Content-Length: 10\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", (304, b"")),
        ("GET", HEAD + b"Content-Length: 0\r\n\r\n", (200, b"")),
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ANSWER, (200, b"{}")),
        ("GET", CHUNKED + b"1\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: x\r\n\r\n", (200, b"{}")),
    ],
    ids=["HEAD", "204", "304", "nothing", "interim answers", "chunks"],
)
async def test_an_answer_ends_where_http_says_and_its_connection_is_used_again(wire, transport, method, answer, came):
    async def twice(reader, writer):
        for _ in range(2):
            await wire.read(reader)
            writer.write(answer)

    wire.answer = twice
    assert [await ask(transport, wire, method) for _ in range(2)] == [came] * 2
    assert wire.connections == 1


@pytest.mark.parametrize("answer", [HEAD + b"\r\n{}", HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"])
async def test_a_connection_that_the_other_side_ends_is_not_used_again(wire, transport, answer):
    wire.answer = lambda reader, writer: saying(answer)(wire, reader, writer)
    assert [await ask(transport, wire) for _ in range(2)] == [(200, b"{}")] * 2
    assert wire.connections == 2


async def test_a_change_of_protocol_is_an_answer_and_the_end_of_its_connection(wire, transport):
    wire.answer = lambda reader, writer: saying(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nabc")(
        wire, reader, writer
    )
    async with begun(transport, httpx.Request("GET", wire.url)) as response:
        assert response.status_code == 101
    assert pooled(transport) == (0, 0)


FAULTS = {
    "hangs up": (saying(), httpx.RemoteProtocolError, aiohttp.ServerDisconnectedError),
    "half a head": (saying(b"HTTP/1.1 200 OK\r\nConte"), httpx.RemoteProtocolError, aiohttp.ServerDisconnectedError),
    "no HTTP": (saying(b"SSH-2.0-x\r\n"), httpx.RemoteProtocolError, None),
    "a long field": (saying(HEAD + b"X: " + b"x" * 9000 + b"\r\n\r\n"), httpx.RemoteProtocolError, None),
    "two lengths": (saying(HEAD + b"Content-Length: 1\r\n" * 2 + b"\r\n{"), httpx.RemoteProtocolError, None),
    "half a body": (
        saying(HEAD + b"Content-Length: 9\r\n\r\n{"), httpx.RemoteProtocolError, aiohttp.ClientPayloadError,
    ),
    "half a chunk": (saying(CHUNKED + b"9\r\n{"), httpx.RemoteProtocolError, aiohttp.ClientPayloadError),
    "framing": (saying(CHUNKED + b"1\r\n \r\n" * 60_000), httpx.RemoteProtocolError, TooMuchFraming),
    "reset": (reset, httpx.ReadError, aiohttp.ClientOSError),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_becomes_of_an_answer_is_told_as_what_it_is_and_its_connection_closed(wire, transport, fault):
    answer, error, cause = FAULTS[fault]
    wire.answer = lambda reader, writer: answer(wire, reader, writer)
    with pytest.raises(httpx.TransportError) as caught:
        await ask(transport, wire)
    assert type(caught.value) is error
    assert isinstance(caught.value.__cause__, cause or Exception)
    assert pooled(transport) == (0, 0)
    assert len(wire.requests) == 1


async def test_nothing_of_an_answer_is_in_the_message_of_its_error(wire, transport):
    wire.answer = lambda reader, writer: saying(b"HTTP/1.1 200 OK\r\n610299 1234: x\r\n\r\n")(wire, reader, writer)
    with pytest.raises(httpx.RemoteProtocolError, match=r"^\w+$") as caught:
        await ask(transport, wire)
    assert "1234" in str(caught.value.__cause__)


@pytest.mark.parametrize("url", ["http://register.invalid", "http://127.0.0.1:{port}", "https://127.0.0.1:{port}"])
async def test_without_a_connection_nothing_was_sent(transport, url):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        request = httpx.Request("GET", url.format(port=taken.getsockname()[1]))
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(request)
    assert SENT not in request.extensions
    assert pooled(transport) == (0, 0)


def pooled(transport):
    """How many connections are kept, and how many are in use."""
    return sum(map(len, transport.connector._conns.values())), len(transport.connector._acquired)


async def test_a_request_that_is_waiting_for_a_connection_is_not_sent(wire, transport):
    async with begun(transport, httpx.Request("GET", wire.url)), begun(transport, httpx.Request("GET", wire.url)):
        third = httpx.Request("GET", wire.url)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await transport.handle_async_request(third)
        assert SENT not in third.extensions
    assert await ask(transport, wire) == (200, b"{}")
    assert (wire.connections, len(wire.requests)) == (2, 3)


@pytest.mark.parametrize("part", [b"HTTP/1.1 20", HEAD + b"Content-Length: 9\r\n\r\n{"], ids=["head", "body"])
async def test_a_call_that_is_cancelled_leaves_no_connection_half_read(wire, transport, part):
    written = asyncio.Event()

    async def half(reader, writer):
        await wire.read(reader)
        if wire.connections > 1:
            writer.write(ANSWER)
            return
        writer.write(part)
        written.set()
        await reader.read()

    wire.answer = half
    call = asyncio.create_task(ask(transport, wire))
    await written.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await wire.closed.acquire()
    assert pooled(transport) == (0, 0)
    assert await ask(transport, wire) == (200, b"{}")


async def test_an_answer_that_is_not_read_to_its_end_takes_its_connection_with_it(wire, transport):
    async def half(reader, writer):
        await wire.read(reader)
        writer.write(HEAD + b"Content-Length: 9\r\n\r\n{")
        await reader.read()

    wire.answer = half
    async with begun(transport, httpx.Request("GET", wire.url)) as response:
        assert await anext(response.stream) == b"{"
    await wire.closed.acquire()
    assert pooled(transport) == (0, 0)


@pytest.mark.parametrize("unasked", [ANSWER.replace(b"{}", b"no"), b"HTTP/1.1 2"], ids=["whole", "begun"])
async def test_an_answer_that_comes_unasked_is_not_the_next_requests(wire, transport, unasked, monkeypatch):
    received = asyncio.Event()
    receive = transport.connector._factory.func.data_received

    def noted(protocol, data):
        receive(protocol, data)
        if data == unasked:
            received.set()

    async def one_too_many(reader, writer):
        await wire.read(reader)
        writer.write(ANSWER)
        await wire.go_on.wait()
        writer.write(unasked)
        await wire.read(reader)
        writer.write(ANSWER)

    monkeypatch.setattr(transport.connector._factory.func, "data_received", noted)
    wire.answer = one_too_many
    assert await ask(transport, wire) == (200, b"{}")
    wire.go_on.set()
    await received.wait()
    assert await ask(transport, wire) == (200, b"{}")
    assert wire.connections == 2


async def test_an_answer_behind_the_one_that_was_asked_for_takes_the_connection_with_it(wire, transport):
    async def two_at_once(reader, writer):
        await wire.read(reader)
        writer.write(ANSWER + ANSWER.replace(b"{}", b"no"))
        await reader.read()

    wire.answer = two_at_once
    assert [await ask(transport, wire) for _ in range(2)] == [(200, b"{}")] * 2
    assert wire.connections == 2


async def test_a_request_that_is_answered_before_all_of_it_was_sent_takes_the_connection_with_it(wire, transport):
    async def early(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await wire.go_on.wait()

    wire.answer = early
    # More than the sockets between us hold.
    assert await ask(transport, wire, "POST", b"x" * 2**25) == (200, b"{}")
    assert pooled(transport) == (0, 0)


async def test_what_was_not_sent_when_its_call_was_cancelled_is_never_sent(wire, transport):
    begun_to_read, sent = asyncio.Event(), 0

    async def slow(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        begun_to_read.set()
        await wire.go_on.wait()
        while piece := await reader.read(2**20):
            sent += len(piece)

    wire.answer = slow
    call = asyncio.create_task(ask(transport, wire, "POST", b"x" * 2**25))
    await begun_to_read.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    wire.go_on.set()
    await wire.closed.acquire()
    assert sent < 2**25


async def test_a_request_is_sent_once_over_a_connection_that_the_other_side_has_just_closed(wire, transport):
    async def answer_once(reader, writer):
        await wire.read(reader)
        writer.write(ANSWER)
        await wire.read(reader)

    wire.answer = answer_once
    assert await ask(transport, wire, "POST", b"{}") == (200, b"{}")
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(transport, wire, "POST", b"{}")
    assert (wire.connections, len(wire.requests)) == (1, 2)


async def chunks():
    yield b"{}"


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Length": "1"}, b"{}"),
        ({"Content-Length": "3"}, b"{}"),
        ({"Content-Length": "2"}, None),
        ({"Transfer-Encoding": "chunked"}, b"{}"),
        ({"Content-Length": "2", "Transfer-Encoding": "chunked"}, b"{}"),
        ({}, chunks()),
    ],
)
async def test_a_body_of_another_length_than_its_headers_say_is_not_sent(wire, transport, headers, content):
    request = httpx.Request("POST", wire.url, headers=headers, content=content)
    with pytest.raises(httpx.LocalProtocolError):
        await transport.handle_async_request(request)
    assert wire.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\nb", "a\0b"])
async def test_a_header_that_would_be_two_is_not_sent(wire, transport, value):
    request = httpx.Request("GET", wire.url, headers={"X-Name": value})
    with pytest.raises(ValueError, match="header"):
        await transport.handle_async_request(request)
    await wire.closed.acquire()
    assert (wire.requests, pooled(transport)) == ([], (0, 0))


async def test_no_proxy_of_the_environment_is_asked(wire, transport, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert await ask(transport, wire) == (200, b"{}")


async def test_closing_ends_the_connections_that_are_kept(wire, transport):
    await ask(transport, wire)
    assert pooled(transport) == (1, 0)
    await transport.aclose()
    await wire.closed.acquire()
    with pytest.raises(httpx.ConnectError):
        await ask(transport, wire)
