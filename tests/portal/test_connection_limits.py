"""Clients that are slow or say nothing, on real sockets: each has its time, and none of them is in others' way.

Long form, with figures: `SILENT=1000 FILES=1024 ASKS=200 pytest -s tests/portal/test_connection_limits.py -k others`.
"""

import asyncio
import os
import signal
import time

import httpx
import pytest

from domain.overview import REGISTERS
from portal import server
from portal.connection_limits import MOST_PIPELINED, most
from registerbro.telemetry import metrics
from simulators import citizens
from tests.portal.api.test_overview import Events
from tests.portal.conftest import ME, OTHER, problem, serving, settle

SILENT, FILES = int(os.environ.get("SILENT", "300")), int(os.environ.get("FILES", "512"))
STREAMS, ASKS = 100, int(os.environ.get("ASKS", "20"))
LONG = "PT1M"
SHORT = {"HEAD_TIMEOUT": "PT0.6S", "BODY_TIMEOUT": "PT0.6S", "IDLE_TIMEOUT": "PT1S", "SEND_TIMEOUT": "PT0.6S"}
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: portal\r\n"
REPORT = b"POST /v1/fault-reports HTTP/1.1\r\nHost: portal\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
WITHIN = 30
"""Seconds after which what should end has hung."""


@pytest.fixture
def limits():
    """The settings of the portal that a test is about."""
    return {}


@pytest.fixture
def own_settings(limits):
    return {f"PORTAL__{name}": value for name, value in limits.items()}


@pytest.fixture
async def url(settings):
    async with serving(server.create(settings, "http://127.0.0.1:9"), settings.portal) as address:
        yield address


@pytest.fixture
async def connect(url):
    """Connects a client without manners, and sends what it is given."""
    opened = []

    async def begin(sent=b"", to=url):
        where = httpx.URL(to)
        reader, writer = await asyncio.open_connection(where.host, where.port)
        writer.write(sent)
        opened.append(writer)
        return reader, writer

    yield begin
    for writer in opened:
        writer.close()


async def is_ended(reader):
    """What comes before the server ends the connection, however it does that."""
    read = b""
    async with asyncio.timeout(WITHIN):
        try:
            while part := await reader.read(65536):
                read += part
        except ConnectionResetError:
            pass
    return read


async def trickle(writer, part):
    try:
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)
    except OSError:
        pass


def ended(reason):
    return metrics.CONNECTIONS_ENDED.labels(reason)._value.get()


def authorised(token):
    return f"Authorization: Bearer {token}\r\n".encode()


class TestTimes:
    @pytest.fixture
    def limits(self):
        return SHORT

    @pytest.mark.parametrize("sent", [b"", b"G", REQUEST], ids=["nothing", "a byte", "half a head"])
    async def test_who_sends_no_head_is_not_waited_for(self, connect, sent):
        before = ended("head")
        reader, _ = await connect(sent)
        assert await is_ended(reader) == b""
        assert ended("head") == before + 1

    async def test_a_head_that_comes_byte_by_byte_is_waited_for_no_longer(self, connect):
        reader, writer = await connect(REQUEST + b"X: ")
        sending = asyncio.create_task(trickle(writer, b"x"))
        assert await is_ended(reader) == b""
        await sending

    async def test_what_follows_an_answer_has_its_time_too(self, connect):
        """An idle connection is ended, and so is one on which the next head, or the rest of a body, comes slowly."""
        whole = b"GET /healthz HTTP/1.1\r\nContent-Length: 10000\r\nHost: portal\r\n\r\n"
        for first, then in ((REQUEST + b"\r\n", b""), (REQUEST + b"\r\n", b"G"), (whole, b"x")):
            reader, writer = await connect(first)
            sending = asyncio.create_task(trickle(writer, then)) if then == b"x" else None
            if then == b"G":
                writer.write(then)
            assert (await is_ended(reader)).startswith(b"HTTP/1.1 200")
            if sending:
                await sending

    @pytest.mark.parametrize("length", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
    async def test_half_a_body_is_a_problem_and_the_end_of_the_connection(self, connect, signer, length):
        reader, writer = await connect(REPORT + authorised(signer.token()) + length + b"\r\n")
        sending = asyncio.create_task(trickle(writer, b"1\r\n{\r\n" if b"chunked" in length else b" "))
        answer = await is_ended(reader)
        await sending
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"type":"request-timeout"' in answer
        assert b"connection: close" in answer.lower()

    async def test_an_answer_that_nobody_reads_is_given_up(self, connect, signer, services):
        before = ended("unread")
        _, writer = await connect()
        writer.transport.pause_reading()
        request = b"GET /openapi.json HTTP/1.1\r\nHost: portal\r\n\r\n"
        async with asyncio.timeout(WITHIN):
            while ended("unread") == before:
                writer.write(request)
                await asyncio.sleep(0.005)

    async def test_an_event_stream_may_last_longer_than_any_of_them(self, client, signer, services):
        headers = {"Authorization": f"Bearer {signer.token()}"}
        async with client.http.stream("GET", "/v1/overview/events", headers=headers) as answer:
            await asyncio.sleep(2)
            for register in REGISTERS:
                await settle(services, register)
            async with asyncio.timeout(WITHIN):
                assert [event async for event, _ in Events(answer)][-1] == "settled"


class TestTokenFirst:
    """A body may take its time, and is waited for only when the token is good for what is asked."""

    @pytest.fixture
    def limits(self):
        return {"BODY_TIMEOUT": LONG, "HEAD_TIMEOUT": LONG}

    @pytest.mark.parametrize(
        ("request_", "scope"),
        [
            (REPORT, "overview:read"),
            (REPORT.replace(b"fault-reports", b"booking/bookings"), "overview:read"),
            (REPORT.replace(b"POST /v1/fault-reports", b"PUT /v1/registers/udb/override"), "ops:read"),
        ],
        ids=["report", "booking", "override"],
    )
    @pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"], ids=["", "expect"])
    async def test_the_token_is_looked_at_before_the_body_is_read(self, connect, signer, request_, scope, expect):
        for token, status in (
            (b"", b"401"),
            (authorised("x"), b"401"),
            (authorised(signer.token(scope=scope)), b"403"),
        ):
            reader, writer = await connect(request_ + token + expect + b"Content-Length: 100\r\n\r\n")
            async with asyncio.timeout(WITHIN):
                assert (await reader.readline()).startswith(b"HTTP/1.1 " + status)
            writer.close()


async def pour(writer, begin, part):
    """Sends a part for as long as the server takes it, for 64 MiB at the most; how many bytes were taken."""
    sent = 0
    try:
        writer.write(begin)
        while sent < 64 * 1024 * 1024:
            writer.write(part)
            await writer.drain()
            sent += len(part)
    except OSError:
        pass
    return sent


class TestFraming:
    """What is neither a whole head nor a part of a body is limited in length, wherever it comes."""

    @pytest.fixture
    def limits(self):
        return {"HEAD_TIMEOUT": LONG, "BODY_TIMEOUT": LONG}

    @pytest.mark.parametrize(
        ("begin", "part"),
        [
            (b"GET /", b"a" * 4096),
            (REQUEST, b"X-Name: value\r\n" * 300),
            (REQUEST + b"X: ", b"a" * 4096),
            (REQUEST, b"a" * 4096),
            (b"\r\n", b"\r\n" * 2048),
        ],
        ids=["address", "headers", "a value", "a name", "empty lines"],
    )
    async def test_a_head_without_end_is_refused(self, connect, begin, part):
        reader, writer = await connect()
        sent, answer = await asyncio.gather(pour(writer, begin, part), is_ended(reader))
        # Beside what the server has read: what the kernel keeps for it.
        assert sent < 16 * 1024 * 1024
        # The refusal itself may be lost with the connection, since more came behind it.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")

    @pytest.mark.parametrize("at", ["trailer", "extension"])
    async def test_chunks_without_end_and_content_are_refused(self, connect, signer, at):
        begin = REPORT + authorised(signer.token()) + b"Transfer-Encoding: chunked\r\n\r\n"
        begin += b"2\r\n{}\r\n0\r\nX-Trailer: " if at == "trailer" else b"2;x="
        reader, writer = await connect()
        sent, _ = await asyncio.gather(pour(writer, begin, b"a" * 4096), is_ended(reader))
        assert sent < 16 * 1024 * 1024

    async def test_a_head_that_is_long_and_ends_is_answered(self, connect):
        reader, _ = await connect(REQUEST + b"X: " + b"a" * 32_000 + b"\r\nConnection: close\r\n\r\n")
        assert (await is_ended(reader)).startswith(b"HTTP/1.1 200 ")

    async def test_a_trailer_is_no_header(self, connect):
        """A token in a trailer is none: who asks is told before the body."""
        head = b"POST /v1/overview/refresh HTTP/1.1\r\nHost: portal\r\nTransfer-Encoding: chunked\r\n\r\n"
        reader, _ = await connect(head + b"0\r\nAuthorization: Bearer x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b'"unauthorised"' in answer

    async def test_few_requests_wait_behind_one_that_is_answered(self, connect):
        reader, _ = await connect((REQUEST + b"\r\n") * MOST_PIPELINED + REQUEST + b"Connection: close\r\n\r\n")
        assert (await is_ended(reader)).count(b"HTTP/1.1 200 ") == MOST_PIPELINED + 1
        reader, _ = await connect((REQUEST + b"\r\n") * 10_000)
        assert (await is_ended(reader)).count(b"HTTP/1.1 ") <= 1

    async def test_nothing_is_written_into_an_answer_that_is_under_way(self, connect, signer):
        stream = b"GET /v1/overview/events HTTP/1.1\r\nHost: portal\r\n" + authorised(signer.token()) + b"\r\n"
        reader, writer = await connect(stream)
        async with asyncio.timeout(WITHIN):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.write(b"\x00\x01 no request")
        assert b"Invalid HTTP" not in await is_ended(reader)

    @pytest.mark.parametrize(
        ("request_", "status"),
        [
            (b"OPTIONS * HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n", b"404"),
            (b"CONNECT portal:443 HTTP/1.1\r\nHost: portal\r\n\r\n", b"400"),
            (b"GET http://elsewhere.example/healthz HTTP/1.1\r\nHost: portal\r\nConnection: close\r\n\r\n", b"200"),
            (REQUEST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
            (REQUEST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", b"400"),
            (REQUEST + b"Content-Length: -1\r\n\r\n", b"400"),
            (REQUEST + b"Transfer-Encoding: gzip\r\n\r\n", b"400"),
            (REQUEST + b"X: a\r\n b\r\n\r\n", b"400"),
            (REQUEST + b"X : a\r\n\r\n", b"400"),
            (REQUEST + b"X: a\x00b\r\n\r\n", b"400"),
            (REQUEST.replace(b"\r\n", b"\n") + b"\n", b"400"),
            (b"GET /healthz HTTP/2.0\r\nHost: portal\r\n\r\n", b"400"),
            (b"GET /healthz\r\n\r\n", b"400"),
            (b"GET /a b HTTP/1.1\r\nHost: portal\r\n\r\n", b"400"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        ],
    )
    async def test_a_request_of_two_meanings_or_none_is_refused(self, connect, request_, status):
        reader, _ = await connect(request_)
        assert (await is_ended(reader)).startswith(b"HTTP/1.1 " + status + b" ")

    async def test_a_request_to_change_the_protocol_is_one_like_any_other(self, connect):
        reader, writer = await connect(REQUEST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        async with asyncio.timeout(WITHIN):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.write(REQUEST + b"Connection: close\r\n\r\n")
            assert (await is_ended(reader)).count(b"HTTP/1.1 200 ") == 1


class TestPlaces:
    @pytest.fixture
    def limits(self):
        return {"MAX_CONNECTIONS": "20", "HEAD_TIMEOUT": LONG, "BODY_TIMEOUT": LONG}

    async def test_the_connection_that_has_waited_longest_makes_room(self, connect, client, signer, settings):
        assert most(settings.portal) == 20
        before = ended("made_room")
        half = REPORT + authorised(signer.token()) + b"Content-Length: 100\r\n\r\n"
        kept = [await connect(sent) for sent in [b"", REQUEST, half] * 20]
        assert (await client.get("/healthz", "")).status_code == 200
        assert (await client.get("/v1/banner", signer.token(OTHER))).status_code == 200
        assert ended("made_room") - before >= 41
        assert await is_ended(kept[0][0]) == b""

    async def test_whoever_is_being_answered_makes_no_room(self, connect, client, signer):
        stream = b"GET /v1/overview/events HTTP/1.1\r\nHost: portal\r\n" + authorised(signer.token()) + b"\r\n"
        reader, _ = await connect(stream)
        async with asyncio.timeout(WITHIN):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            for _ in range(40):
                await connect()
            assert (await client.get("/healthz", "")).status_code == 200
        assert (reader.exception(), reader.at_eof()) == (None, False)


class TestStreams:
    @pytest.fixture
    def limits(self):
        return {"EVENT_STREAMS_PER_CITIZEN": "3", "EVENT_STREAMS": "5"}

    async def test_a_citizen_has_so_many_at_a_time_and_all_together_so_many(self, client, signer):
        async def listen(cpr):
            request = client.http.build_request(
                "GET", "/v1/overview/events", headers={"Authorization": f"Bearer {signer.token(cpr)}"}
            )
            return await client.http.send(request, stream=True)

        mine = [await listen(ME) for _ in range(3)]
        assert {one.status_code for one in mine} == {200}
        refused = await listen(ME)
        await refused.aread()
        assert problem(refused) == (429, "rate-limited")
        assert int(refused.headers["retry-after"]) > 0
        others = [await listen(OTHER) for _ in range(2)]
        assert {one.status_code for one in others} == {200}
        full = await listen(citizens.EMPTY.cpr)
        await full.aread()
        assert problem(full) == (503, "temporarily-unavailable")
        # A place is free again when its stream has ended, whoever ended it.
        await mine[0].aclose()
        async with asyncio.timeout(WITHIN):
            while (again := await listen(ME)).status_code != 200:
                await again.aclose()
        for one in (*mine, *others, again):
            await one.aclose()


@pytest.mark.xdist_group("processes")
class TestOthers:
    @pytest.fixture
    def files(self):
        return FILES

    async def test_silent_clients_and_one_citizens_streams_keep_no_other_citizen_waiting(
        self, portal, connect, signer, services
    ):
        """SILENT connections of four kinds, more meanwhile, and 100 streams of one citizen, beside others' pages."""
        for register in REGISTERS:
            await settle(services, register, cpr=OTHER)
        half = REPORT + authorised(signer.token()) + b"Content-Length: 100\r\n\r\n"
        stream = b"GET /v1/overview/events HTTP/1.1\r\nHost: portal\r\n" + authorised(signer.token()) + b"\r\n"
        log_before = len(portal.written())
        kept = [await connect(sent, portal.url) for sent in [b"", REQUEST, half, b"\0\r\n\r\n"] * (SILENT // 4)]
        streams = [await connect(stream, portal.url) for _ in range(STREAMS)]
        async with asyncio.timeout(WITHIN):
            statuses = [(await reader.readline())[9:12] for reader, _ in streams]
        assert statuses.count(b"200") == 4
        assert set(statuses) == {b"200", b"429"}
        took = []
        token = signer.token(OTHER)
        async with httpx.AsyncClient(base_url=portal.url, timeout=WITHIN) as http:
            for _ in range(ASKS):
                for path in ("/v1/overview", "/healthz"):
                    began = time.monotonic()
                    answer = await http.get(path, headers={"Authorization": f"Bearer {token}", "Connection": "close"})
                    took.append(time.monotonic() - began)
                    assert answer.status_code == 200
                    kept += [await connect(b"", portal.url) for _ in range(SILENT // ASKS)]
        portal.send_signal(signal.SIGTERM)
        await asyncio.to_thread(portal.wait, 60)
        grown = len(portal.written()) - log_before
        took.sort()
        p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
        print(f"{len(kept)} silent: p50 {p50:.3f} s, p99 {p99:.3f} s, log {grown / 1000:.0f} kB")
        assert grown < 1_000_000
        assert "out of system resource" not in portal.written()
        assert portal.written().count("Invalid HTTP request received.") <= 61
        assert '"log_lines_left_out"' in portal.written()
