"""The HTTP client over real sockets: whole answers, or one of our errors, and never more than was asked for."""

import asyncio
import gzip
import socket
import ssl
import zlib
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from pydantic import BaseModel

from config.settings import UpstreamSettings
from registerbro.upstreams import body_reading
from registerbro.upstreams.body_reading import MOST_MEMBERS
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import CallFailed, ConnectionLost, InvalidResponse, TooLong, UpstreamTimeout
from registerbro.upstreams.http_client import HttpClient, reach
from registerbro.upstreams.http_transport import IDLE_CONNECTION_SECONDS, HttpTransport
from registerbro.upstreams.messages import Answer, Question, validated
from tests.registerbro.upstreams.conftest import answering, hang, reset, truncated

LIMIT = UpstreamSettings().max_body
GZIP = {"Content-Encoding": "gzip"}

GET = Question("GET", "/v1/x", {"x-civilRegistrationIdentifier": "6102991234"})


async def send(http, question=GET, within=5.0):
    return await http.send(question, {"x-requestId": "r-1"}, within)


async def test_an_answer_is_read_whole(http, server):
    server.answers = [answering(body=b'{"a": 1}')]
    answer = await send(http)
    assert (answer.status, answer.content_type, answer.json()) == (200, "application/json", {"a": 1})


async def test_headers_and_body_arrive_as_given(http, server):
    seen = []

    async def remember(request):
        seen.append((request.method, request.path, await request.read(), request.headers["x-requestId"]))
        return await answering()(request)

    server.answers = [remember]
    await send(http, Question("POST", "/soap", body="æ".encode()))
    assert seen == [("POST", "/soap", "æ".encode(), "r-1")]


@pytest.mark.parametrize(
    ("fault", "error"), [(hang, UpstreamTimeout), (reset, ConnectionLost), (truncated, ConnectionLost)]
)
async def test_a_broken_connection_is_one_of_our_errors(http, server, fault, error):
    server.answers = [fault]
    with pytest.raises(error):
        await send(http, within=0.3)


async def test_a_broken_connection_is_not_called_again_behind_our_back(http, server):
    server.answers = [answering(), reset]
    await send(http)
    with pytest.raises(ConnectionLost):
        await send(http)
    assert len(server.requests) == 2


async def test_nobody_listening_is_a_lost_connection(upstream_settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with HttpClient(f"http://127.0.0.1:{taken.getsockname()[1]}", upstream_settings) as http:
            with pytest.raises(ConnectionLost, match=r"^no connection: ConnectionRefusedError$"):
                await send(http)


async def told(http, within=5.0):
    """How far a failed call came, as its error says."""
    with pytest.raises(CallFailed) as caught:
        await send(http, Question("POST", "/v1/x", body=b"{}"), within)
    return caught.value.sent, caught.value.status


async def test_a_call_that_was_never_sent_says_so(upstream_settings):
    async with HttpClient("http://register.invalid", upstream_settings) as http:
        assert await told(http) == (False, None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with HttpClient(f"http://{address}", upstream_settings) as http:
            assert await told(http) == (False, None)
        taken.listen()  # and speaks no TLS: the handshake gets no answer
        async with HttpClient(f"https://{address}", upstream_settings) as http:
            assert await told(http, within=0.3) == (False, None)


async def test_a_handshake_that_fails_sent_nothing(upstream_settings):
    async def no_tls(reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(no_tls, "127.0.0.1") as listening:
        port = listening.sockets[0].getsockname()[1]
        async with HttpClient(f"https://127.0.0.1:{port}", upstream_settings) as http:
            assert await told(http) == (False, None)


@pytest.mark.parametrize("fault", [hang, reset])
async def test_a_call_without_an_answer_was_sent(http, server, fault):
    server.answers = [fault]
    assert await told(http, within=3.0) == (True, None)


@pytest.mark.parametrize("status", [201, 503])
async def test_an_answer_whose_body_is_not_read_has_its_status(http, server, status):
    server.answers = [answering(status, b"x" * (LIMIT + 1))]
    assert await told(http) == (True, status)


async def test_an_answer_that_is_cut_off_has_its_status(http, server):
    server.answers = [truncated]
    assert await told(http) == (True, 200)


async def test_a_call_that_waits_for_a_free_connection_was_not_sent(server, upstream_settings):
    received = asyncio.Event()

    async def answer(request):
        received.set()
        await hang(request)

    server.answers = [answer]
    async with HttpClient(server.url, upstream_settings.model_copy(update={"max_connections": 1})) as http:
        first = asyncio.create_task(send(http, within=60))
        await received.wait()
        assert await told(http, within=0.1) == (False, None)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
    assert len(server.requests) == 1


async def test_an_answer_that_stops_half_way_has_its_status(http, server):
    async def stop(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        await hang(request)

    server.answers = [stop]
    assert await told(http, within=0.3) == (True, 200)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_request_without_its_body_says_so(http, server, method):
    server.answers = [answering()]
    await send(http, Question(method, "/"))
    assert (server.requests[0].headers["Content-Length"], server.bodies) == ("0", [b""])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_host_is_said_once_with_its_port(server, upstream_settings, host):
    server.answers = [answering()]
    url = server.url.replace("127.0.0.1", host)
    async with HttpClient(url, upstream_settings) as http:
        await send(http)
    assert server.requests[0].headers.getall("Host") == [url.removeprefix("http://")]


async def test_calls_at_the_same_time_know_each_of_its_own(http, server):
    server.answers = [hang, answering(), hang]
    came = await asyncio.gather(*(send(http, within=3.0) for _ in range(3)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in came) == ["Answer", "UpstreamTimeout", "UpstreamTimeout"]
    assert all(one.sent for one in came if isinstance(one, UpstreamTimeout))


async def test_an_unknown_host_is_a_lost_connection(upstream_settings):
    async with HttpClient("http://register.invalid", upstream_settings) as http:
        with pytest.raises(ConnectionLost):
            await send(http)


@pytest.mark.parametrize("path", ["/v1/su-forloeb", "v1/su-forloeb", "/v1/su-forloeb?page=1&size=2", "/X", "/"])
@pytest.mark.parametrize("base", ["", "/", "/dfdg", "/dfdg/"])
async def test_a_path_is_below_the_base_whichever_of_them_has_the_stroke(server, upstream_settings, base, path):
    server.answers = [answering()]
    async with HttpClient(server.url + base, upstream_settings) as http:
        await send(http, Question("GET", path))
    assert server.requests[0].path_qs == f"{base.rstrip('/')}/{path.lstrip('/')}"


@pytest.mark.parametrize(
    ("base", "asked"), [("", "/"), ("/", "/"), ("/a/b", "/a/b"), ("/a/b/", "/a/b/"), ("/a//", "/a//")]
)
async def test_without_a_path_the_base_url_is_asked_exactly_as_it_was_written(server, upstream_settings, base, asked):
    server.answers = [answering()]
    async with HttpClient(server.url + base, upstream_settings) as http:
        await send(http, Question("POST", ""))
    assert server.requests[0].raw_path == asked


@pytest.mark.parametrize("form", ["number", "date"])
async def test_when_to_come_back_is_heard_as_a_number_and_as_a_date(http, server, form):
    at = datetime.now(UTC) + timedelta(minutes=10)
    server.answers = [
        answering(503, **{"Retry-After": {"number": "600", "date": format_datetime(at, usegmt=True)}[form]})
    ]
    answer = await send(http)
    assert timedelta(minutes=8) < answer.retry_after <= timedelta(minutes=10)


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
BESIDE_THE_BODY = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "line ends": (b"", b"\r\n" * 1_000),
    "a chunk for each byte": (CHUNKED, b"1\r\n \r\n" * 1_000),
    "extensions of chunks": (CHUNKED, b"1;" + b"x" * 4_000 + b"\r\n \r\n"),
    "a chunk's size of noughts": (CHUNKED, b"0" * 4_000),
}


@pytest.mark.parametrize("what", BESIDE_THE_BODY)
async def test_what_is_no_body_and_never_ends_is_taken_in_to_a_limit(upstream_settings, what):
    first, block = BESIDE_THE_BODY[what]
    written, gone = 0, asyncio.Event()

    async def answer(_, writer):
        nonlocal written
        with suppress(ConnectionError):
            writer.write(first)
            while written < 64 * 2**20:
                writer.write(block)
                await writer.drain()
                written += len(block)
        writer.close()
        gone.set()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with HttpClient(address, upstream_settings) as client:
        with pytest.raises(ConnectionLost):
            await send(client, within=30)
    await gone.wait()
    # What the sockets between us hold is written and never read.
    assert written < 32 * 2**20
    listener.close()
    await listener.wait_closed()


@pytest.mark.parametrize("broken", [b"-1\r\nx\r\n", b"F" * 1_000 + b"\r\n", b"zz\r\n"], ids=["-1", "FFF…", "zz"])
async def test_a_chunk_that_is_none_is_a_lost_connection_though_its_head_came_before(upstream_settings, broken):
    read = asyncio.Event()

    async def answer(_, writer):
        writer.write(CHUNKED + b"1\r\n \r\n")
        await read.wait()
        writer.write(broken)
        await gone.wait()
        writer.close()

    class Told(HttpClient):
        """Lets the server go on when the head is there."""

        async def _current(self):
            connections = await super()._current()
            handle = connections.transport.handle_async_request

            async def told(request):
                response = await handle(request)
                read.set()
                return response

            connections.transport.handle_async_request = told
            return connections

    gone = asyncio.Event()
    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with Told(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", upstream_settings) as client:
        with pytest.raises(ConnectionLost):
            await send(client, within=30)
    gone.set()
    listener.close()
    await listener.wait_closed()


async def test_an_answer_in_chunks_of_half_a_kilobyte_is_read_up_to_the_limit(http, server, upstream_settings):
    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(upstream_settings.max_body // 512):
            await response.write(b"x" * 512)
        return response

    server.answers = [answer]
    assert len((await send(http, within=60)).body) == upstream_settings.max_body


async def test_a_redirect_is_not_followed(http, server):
    server.answers = [answering(302, Location="/elsewhere")]
    assert (await send(http)).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("address", ["length: 0", "http://[::1", "//x:99999/", "http://\u200d/", "http://xn--0"])
async def test_a_redirect_to_what_is_no_address_is_a_redirect(http, server, address):
    server.answers = [answering(302, Location=address)]
    assert (await send(http)).status == 302


async def test_no_cookie_of_one_call_is_sent_with_another(server, upstream_settings):
    server.answers = [answering(**{"Set-Cookie": "session=one-citizens-own; Path=/"})]
    # By name, since cookies of a mere address are kept by hardly any client.
    async with HttpClient(server.url.replace("127.0.0.1", "localhost"), upstream_settings) as http:
        await send(http)
        await send(http)
    assert len(server.requests) == 2
    assert "Cookie" not in server.requests[1].headers


async def test_what_every_request_says_of_us(http, server):
    server.answers = [answering()]
    await send(http)
    said = {name: server.requests[0].headers.getall(name) for name in ("User-Agent", "Accept", "Accept-Encoding")}
    assert said == {"User-Agent": ["registerbro"], "Accept": ["*/*"], "Accept-Encoding": ["gzip"]}


async def test_a_question_says_itself_what_it_accepts(http, server):
    server.answers = [answering()]
    await send(http, Question("GET", "/", {"Accept": "application/json"}))
    assert server.requests[0].headers.getall("Accept") == ["application/json"]


async def test_the_connection_is_given_back_whatever_becomes_of_the_answer(http, server):
    server.answers = [
        answering(body=b" " * (LIMIT + 1)),
        answering(**{"Content-Encoding": "br"}),
        hang,
        answering(),
    ]
    with pytest.raises(TooLong):
        await send(http)
    with pytest.raises(InvalidResponse):
        await send(http)
    with pytest.raises(UpstreamTimeout, match=r"^no answer within 0\.3 s$"):
        await send(http, within=0.3)
    assert (await send(http)).status == 200
    assert len(http._connections.transport.connector._acquired) == 0


async def test_connections_are_as_many_as_the_settings_say_and_not_kept_for_long(upstream_settings):
    transport = HttpTransport(ssl.create_default_context(), 7)
    assert (transport.connector.limit, transport.connector._keepalive_timeout) == (7, IDLE_CONNECTION_SECONDS)
    await transport.aclose()


@pytest.mark.parametrize(
    ("header", "content_type", "charset"),
    [
        ("Text/XML; charset=UTF-8", "text/xml", "UTF-8"),
        ("application/json", "application/json", "utf-8"),
        ("", "text/plain", "utf-8"),
        ("nonsense", "text/plain", "utf-8"),
        ("application/json; charset*" + "1" * 4400 + "=x", "text/plain", "utf-8"),
        ("application/json; charset*; charset*0*=x", "text/plain", "utf-8"),
    ],
    ids=["named", "without a charset", "empty", "no type", "a section of 4400 digits", "sections without a number"],
)
async def test_what_cannot_be_read_of_a_content_type_is_plain_text(http, server, header, content_type, charset):
    server.answers = [answering(503, content_type=header)]
    answer = await send(http)
    assert (answer.status, answer.content_type, answer.charset) == (503, content_type, charset)


async def test_a_reason_phrase_that_is_not_utf_8_is_no_harm(upstream_settings):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Utilg\xe6ngelig\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with HttpClient(url, upstream_settings) as http:
            assert (await send(http)).status == 503


async def test_a_broken_cookie_is_not_even_looked_at(http, server):
    server.answers = [answering(**{"Set-Cookie": f"a=b; Max-Age={'9' * 400}"})]
    assert (await send(http)).status == 200


async def test_a_body_at_the_limit_is_read_and_one_byte_more_is_refused(http, server):
    server.answers = [answering(body=b" " * LIMIT), answering(body=b" " * (LIMIT + 1))]
    assert len((await send(http)).body) == LIMIT == 2 * 1024**2
    with pytest.raises(TooLong, match=f"^the answer is longer than {LIMIT} bytes$"):
        await send(http)


@pytest.mark.parametrize("headers", [{}, GZIP], ids=["plain", "gzip"])
@pytest.mark.parametrize("limit", [1, 1000, 3 * 1024**2])
async def test_each_upstream_has_a_limit_of_its_own(server, upstream_settings, limit, headers):
    def body(length):
        return gzip.compress(b" " * length) if headers else b" " * length

    server.answers = [answering(body=body(limit), **headers), answering(body=body(limit + 1), **headers)]
    async with HttpClient(server.url, upstream_settings.model_copy(update={"max_body": limit})) as http:
        assert len((await send(http)).body) == limit
        with pytest.raises(TooLong, match=f"^the answer is longer than {limit} bytes$"):
            await send(http)


async def test_gzip_is_understood(http, server):
    server.answers = [answering(body=gzip.compress(b'{"a": 1}'), **GZIP)]
    assert (await send(http)).json() == {"a": 1}


def uncompressed_gzip(content):
    """Gzip that is longer than what is in it, as of what does not shrink."""
    return gzip.compress(content, compresslevel=0)


@pytest.mark.parametrize("compress", [gzip.compress, uncompressed_gzip], ids=["shrunk", "grown"])
async def test_a_compressed_body_at_the_limit_is_read(http, server, compress):
    server.answers = [answering(body=compress(b" " * LIMIT), **GZIP)]
    assert len((await send(http)).body) == LIMIT


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"a":') + gzip.compress(b" 1}"),
        gzip.compress(b"") + gzip.compress(b'{"a": 1}') + gzip.compress(b""),
        b"".join(gzip.compress(bytes([one])) for one in b'{"a": 1}'),
        gzip.compress(b'{"a": 1' + b" " * 999_999) + gzip.compress(b" " * 999_999 + b"}"),
    ],
    ids=["two", "empty ones", "one a byte", "two large ones"],
)
async def test_all_members_of_a_gzip_body_are_read(http, server, body):
    server.answers = [answering(body=body, **GZIP)]
    assert (await send(http)).json() == {"a": 1}


async def test_members_may_be_cut_anywhere_on_their_way(server, upstream_settings):
    body = gzip.compress(b'{"a":') + gzip.compress(b" 1}")

    async def byte_by_byte(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json", **GZIP})
        await response.prepare(request)
        for one in body:
            await response.write(bytes([one]))
            await asyncio.sleep(0)
        return response

    server.answers = [byte_by_byte]
    async with HttpClient(server.url, upstream_settings) as http:
        assert (await send(http)).json() == {"a": 1}


@pytest.mark.parametrize("of", [LIMIT // 2, LIMIT])
async def test_several_members_together_are_no_longer_than_one_may_be(http, server, of):
    whole = gzip.compress(b" " * of) + gzip.compress(b" " * (LIMIT - of))
    server.answers = [answering(body=whole, **GZIP), answering(body=whole + gzip.compress(b" "), **GZIP)]
    assert len((await send(http)).body) == LIMIT
    with pytest.raises(TooLong):
        await send(http)


async def _write(response, content):
    await response.write(content)
    return len(content)


EMPTY = gzip.compress(b"")
HEAD = EMPTY[:10]
NAMED = b"\x1f\x8b\x08\x08" + bytes(6)
"""The head of a member whose name follows, to a zero (RFC 1952, 2.3)."""
ENDLESS = {
    # None of which is the last (RFC 1951, 3.2.4); the others have the fixed codes (3.2.6), four of them in five bytes.
    "empty blocks": (HEAD, b"\x00\x00\x00\xff\xff"),
    "empty blocks of ten bits": (HEAD, bytes((0x02, 0x08, 0x20, 0x80, 0x00))),
    "a member's name": (NAMED, b"n"),
    "empty members": (b"", EMPTY),
    "behind the end": (EMPTY, b"x"),
    "zeros behind the end": (EMPTY, b"\0"),
    "beginnings of members behind the end": (EMPTY, b"\x1f\x8b"),
    "names of members behind the end": (EMPTY + NAMED, b"n"),
    "as many members as may be, and the name of one": (EMPTY * (MOST_MEMBERS - 1) + NAMED, b"n"),
}  # fmt: skip


@pytest.mark.parametrize(("begin", "on"), ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_never_ends_and_comes_to_nothing_is_taken_in_to_the_limit_and_refused(http, server, begin, on):
    written = 0

    async def endless(request):
        nonlocal written
        response = web.StreamResponse(headers={"Content-Type": "application/json", **GZIP})
        await response.prepare(request)
        await response.write(begin)
        while True:
            written += await _write(response, on * (50_000 // len(on)))

    server.answers = [endless]
    with pytest.raises((TooLong, InvalidResponse)):
        await send(http, within=60)
    assert written < 10 * LIMIT


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip", " gzip "])
async def test_gzip_is_known_by_its_names(http, server, name):
    server.answers = [answering(body=gzip.compress(b'{"a": 1}'), **{"Content-Encoding": name})]
    assert (await send(http)).json() == {"a": 1}


async def test_a_body_has_no_more_members_than_anybody_would_make(http, server):
    server.answers = [answering(body=gzip.compress(b" ") * many, **GZIP) for many in (MOST_MEMBERS, MOST_MEMBERS + 1)]
    assert len((await send(http)).body) == MOST_MEMBERS
    with pytest.raises(InvalidResponse, match=r"^the answer is compressed in too many parts$"):
        await send(http)


@pytest.mark.parametrize(
    ("body", "encoding", "error", "said"),
    [
        (gzip.compress(b" " * (LIMIT + 1)), "gzip", TooLong, f"the answer is longer than {LIMIT} bytes"),
        (gzip.compress(bytes(200_000_000)), "gzip", TooLong, f"the answer is longer than {LIMIT} bytes"),
        (gzip.compress(b"{}")[:-6], "gzip", InvalidResponse, "the answer's compression ends too early"),
        (gzip.compress(b"")[:10], "gzip", InvalidResponse, "the answer's compression ends too early"),
        (gzip.compress(b"{}") * 2 + b"\x1f", "gzip", InvalidResponse, "the answer's compression ends too early"),
        (gzip.compress(b"{}") + b"{}", "gzip", InvalidResponse, "the answer's compression is broken"),
        (gzip.compress(b"{}") + bytes(700), "gzip", InvalidResponse, "the answer's compression is broken"),
        (gzip.compress(b"{}") + bytes(1), "gzip", InvalidResponse, "the answer's compression ends too early"),
        (
            gzip.compress(b"{") + bytes(7) + gzip.compress(b"}"),
            "gzip",
            InvalidResponse,
            "the answer's compression is broken",
        ),
        (b"not compressed at all", "gzip", InvalidResponse, "the answer's compression is broken"),
        (zlib.compress(b"{}"), "gzip", InvalidResponse, "the answer's compression is broken"),
        (b"{}", "br", InvalidResponse, "the answer is compressed in a way that was not offered"),
    ],
    ids=[
        "one byte too long", "bomb", "cut off", "a head alone", "a second one cut off", "more behind it",
        "zeros behind it", "one zero behind it", "zeros between", "not gzip", "zlib", "not offered",
    ],
)  # fmt: skip
async def test_a_compressed_body_that_cannot_be_used_is_refused(http, server, body, encoding, error, said):
    server.answers = [answering(body=body, **{"Content-Encoding": encoding})]
    with pytest.raises(CallFailed) as caught:
        await send(http)
    assert (type(caught.value), str(caught.value)) == (error, said)


@pytest.mark.parametrize(
    "path",
    [
        "/person/6102991234", "/person/610299-1234", "/person/610299 1234", "/person/610299%201234",
        "/person/610299%2d1234", "/v1?cpr=6102991234", "/4b610299-1234-4c8e-9d51-5a3b2c1d0e9f0",
        "/4b1f0c1e-7a3e-4c8e-9d51-5a3b2c1d0e9f/610299-1234", "/x-4b610299-1234-4c8e-9d51-5a3b2c1d0e9f",
    ],
)  # fmt: skip
def test_a_cpr_number_cannot_be_put_into_a_url(path):
    with pytest.raises(ValueError, match=r"^a CPR number must not be in a URL$"):
        Question("GET", path)


def test_a_guid_may_hold_such_digits_by_chance():
    guid = "4b610299-1234-4c8e-9d51-5a6102991234"
    assert Question("GET", f"/v1/Moedetilbud/{guid}/Tider").path.count(guid) == 1


def test_what_a_question_holds_of_a_citizen_is_not_in_its_repr():
    shown = repr(Question("POST", "/", {"x-civilRegistrationIdentifier": "6102991234"}, b"6102991234"))
    assert "6102991234" not in shown


def answer(body=b"{}", content_type="application/json", charset="utf-8"):
    return Answer(200, content_type, charset, body)


@pytest.mark.parametrize(
    "broken",
    [
        answer(content_type="text/html"),
        answer(charset="utf-16"),
        answer(b"{"),
        answer(b'{"a": "\xff"}'),
        answer(b'{"a": NaN}'),
        answer(b"[" * 100_000),
        answer(b""),
    ],
    ids=["type", "charset", "syntax", "encoding", "NaN", "depth", "nothing"],
)
def test_a_body_that_is_not_json_is_an_invalid_response(broken):
    with pytest.raises(InvalidResponse):
        broken.json()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (answer(content_type="text/html"), "the answer is not application/json"),
        (answer(charset="utf-16"), "the answer is not UTF-8"),
        (answer(b"{"), "the answer is not JSON"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(broken, said):
    with pytest.raises(InvalidResponse) as caught:
        broken.json()
    assert str(caught.value) == said


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "us-ascii", "US-ASCII"])
def test_ascii_is_utf_8(charset):
    assert answer(b"7", charset=charset).json() == 7


class Contract(BaseModel):
    number: int
    name: str


def test_a_body_of_the_contract_is_its_model():
    assert answer(b'{"number": 7, "name": "seven"}').model(Contract) == Contract(number=7, name="seven")


def test_what_breaks_the_contract_is_named_by_field_and_not_by_value():
    with pytest.raises(InvalidResponse) as caught:
        validated(Contract, {"number": "6102991234x"})
    assert str(caught.value) == "not of the contract: number (int_parsing), name (missing)"


def test_what_lies_deeper_is_named_with_the_way_to_it():
    class Outer(BaseModel):
        numbers: list[Contract]

    with pytest.raises(InvalidResponse) as caught:
        validated(Outer, {"numbers": [{"number": 1, "name": "one"}, {"number": 2}]})
    assert str(caught.value) == "not of the contract: numbers.1.name (missing)"


class Five(BaseModel):
    a: int
    b: int
    c: int
    d: int
    e: int


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (7, "body (model_type)"),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "e (missing)"),
        ({"a": 1, "b": 1}, "c (missing), d (missing), e (missing)"),
        ({"a": 1}, "b (missing), c (missing), d (missing) and 1 more"),
        ({}, "a (missing), b (missing), c (missing) and 2 more"),
    ],
)
def test_of_many_faults_three_are_named_and_the_others_counted(values, said):
    with pytest.raises(InvalidResponse) as caught:
        validated(Five, values)
    assert str(caught.value) == f"not of the contract: {said}"


@pytest.mark.parametrize(
    ("url", "port", "secured"),
    [
        ("http://register", 80, False),
        ("https://register", 443, True),
        ("http://register:8080", 8080, False),
        ("https://register:8443", 8443, True),
    ],
)
async def test_a_look_goes_where_a_call_would(monkeypatch, url, port, secured):
    async def refuse(*address, ssl):
        seen.append((*address, ssl))
        raise ConnectionRefusedError

    seen = []
    monkeypatch.setattr(asyncio, "open_connection", refuse)
    certificates = Certificates(UpstreamSettings())
    with pytest.raises(ConnectionLost):
        await reach(url, certificates, 10)
    assert seen == [("register", port, certificates.context() if secured else None)]


async def test_a_look_that_takes_too_long_says_how_long_that_was(monkeypatch):
    async def hang_on(*_, ssl):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio, "open_connection", hang_on)
    with pytest.raises(UpstreamTimeout) as caught:
        await reach("http://register", Certificates(UpstreamSettings()), 0.1)
    assert str(caught.value) == "no connection within 0.1 s"


async def test_no_part_of_a_compressed_answer_is_read_beyond_the_limit_of_the_whole(monkeypatch):
    """Else an answer in many parts takes twice its limit of memory before it is refused."""
    granted = []
    read = body_reading._Gzip.read

    def noted(self, chunk, at_most):
        granted.append(at_most)
        return read(self, chunk, at_most)

    async def parts():
        for _ in range(3):
            yield gzip.compress(b" " * 40)

    monkeypatch.setattr(body_reading._Gzip, "read", noted)
    with pytest.raises(TooLong):
        await body_reading.read_body("gzip", parts(), 100)
    assert granted == [101, 61, 21]
