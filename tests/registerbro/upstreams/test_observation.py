"""What a call was on the wire, for the block that asks for it and for no other."""

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from config.settings import UpstreamSettings
from registerbro.upstreams import observation
from registerbro.upstreams.errors import ConnectionLost, NotAuthorised, TooLong
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.messages import Question
from registerbro.upstreams.observation import observed
from simulators.gateway import Gateway
from tests.registerbro.upstreams.conftest import answering

QUESTION = Question("GET", "/v1/x")


async def test_a_call_is_seen_with_its_address_status_headers_and_answer(http, server):
    server.answers = [answering(302, body=b"{}", Location="/elsewhere")]
    with observed() as calls:
        answer = await http.send(QUESTION, {}, 10)
    (seen,) = calls
    assert (seen.url, seen.status, seen.answer) == (f"{server.url}/v1/x", 302, answer)
    assert (seen.header("location"), seen.header("x-none"), seen.tls) == ("/elsewhere", "", None)
    assert seen.seconds > 0


async def test_a_call_outside_the_block_is_not_seen(http, server):
    server.answers = [answering()]
    with observed() as calls:
        pass
    await http.send(QUESTION, {}, 10)
    assert calls == []
    assert observation.begin("http://x", QUESTION) is None


async def test_a_call_within_a_block_that_is_not_to_be_seen_is_not(http, server):
    server.answers = [answering()]
    with observed() as calls:
        with observation.unobserved():
            await http.send(Question("POST", "/oauth2/token", body=b"client_secret=x"), {}, 10)
        await http.send(QUESTION, {}, 10)
    assert [seen.question for seen in calls] == [QUESTION]


async def test_calls_at_the_same_time_see_each_their_own(http, server):
    server.answers = [answering()]

    async def one(path):
        with observed() as calls:
            await http.send(Question("GET", path), {}, 10)
        return [seen.question.path for seen in calls]

    assert await asyncio.gather(one("/a"), one("/b")) == [["/a"], ["/b"]]


async def test_the_certificate_of_the_other_side_is_seen(server, authority):
    server.answers = [answering()]
    settings = UpstreamSettings(client_cert=authority.issue("us"), ca_bundle=authority.file)
    with Gateway(server.url, authority.issue("register"), authority.file) as gateway:
        async with HttpClient(gateway.url, settings) as http:
            with observed() as calls:
                # The second is over the same connection.
                for _ in range(2):
                    await http.send(QUESTION, {}, 10)
    for seen in calls:
        assert (seen.tls.protocol, seen.tls.subject, seen.tls.issuer) == ("TLSv1.3", "CN=register", "CN=authority")
        assert seen.tls.until > datetime.now(UTC)


async def test_the_certificate_of_the_other_side_is_seen_though_its_answer_is_no_http(authority):
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    secure.load_cert_chain(authority.issue("register"))

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-x\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", ssl=secure) as listening:
        url = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with HttpClient(url, UpstreamSettings(ca_bundle=authority.file)) as http:
            with observed() as calls, pytest.raises(ConnectionLost):
                await http.send(QUESTION, {}, 10)
    assert [(seen.status, seen.tls.subject) for seen in calls] == [(None, "CN=register")]


async def test_the_certificate_of_the_other_side_is_seen_though_it_refuses_ours(server, authority):
    settings = UpstreamSettings(ca_bundle=authority.file)
    with Gateway(server.url, authority.issue("register"), authority.file) as gateway:
        async with HttpClient(gateway.url, settings) as http:
            with observed() as calls, pytest.raises(NotAuthorised):
                await http.send(QUESTION, {}, 10)
    assert [(seen.status, seen.tls.subject) for seen in calls] == [(None, "CN=register")]


async def test_a_call_without_an_answer_is_seen_as_that():
    async with HttpClient("http://127.0.0.1:9", UpstreamSettings()) as http:
        with observed() as calls, pytest.raises(ConnectionLost):
            await http.send(QUESTION, {}, 10)
    assert [(seen.status, seen.answer, seen.tls) for seen in calls] == [(None, None, None)]


async def test_of_an_answer_that_is_too_long_the_head_is_seen(server):
    server.answers = [answering(body=b"{}" * 100)]
    async with HttpClient(server.url, UpstreamSettings(max_body=100)) as http:
        with observed() as calls, pytest.raises(TooLong):
            await http.send(QUESTION, {}, 10)
    assert [(seen.status, seen.answer) for seen in calls] == [(200, None)]


def test_nothing_of_a_citizen_is_in_its_repr():
    question = Question("GET", "/v1/x", {"x-civilRegistrationIdentifier": "6102991234"}, b"6102991234")
    seen = observation.Observed("http://x", question)
    seen.receive_head(200, [("x-echo", "6102991234")])
    assert "6102991234" not in repr(seen)
