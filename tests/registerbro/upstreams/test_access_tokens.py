"""Access tokens: one for all calls, renewed ahead of its end; what a token endpoint may do, and its cost to a call."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.settings import UpstreamSettings
from registerbro.upstreams import errors
from registerbro.upstreams.access_tokens import LIFE_UNTOLD_SECONDS, LONGEST_LIFE_SECONDS, ClientCredentials
from registerbro.upstreams.certificates import Certificates
from tests.registerbro.upstreams.conftest import answering, hang, reset, truncated

SECRET = "client-secret-&%+:"


def issuing(token="t-1", **told):
    return answering(
        body=json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600} | told).encode()
    )


class Clock:
    """A clock that is told the time."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Plain:
    """The tokens as plain texts, which tests can compare."""

    def __init__(self, tokens):
        self.tokens = tokens

    async def token(self, within):
        return (await self.tokens.token(within)).get_secret_value()

    async def replace(self, refused):
        return await self.tokens.replace(SecretStr(refused))


@pytest.fixture
async def make(server, clock):
    made = []

    def tokens(secret=SECRET, **own):
        settings = UpstreamSettings(
            base_url="http://127.0.0.1:9",
            token_url=f"{server.url}/oauth2/token?realm=jobs",
            client_id="client+1",
            attempt_timeout="PT5S",
            **own,
        )
        secrets = iter([secret] if isinstance(secret, str) else secret)
        held = []

        async def current():
            held[:] = [next(secrets, held[0] if held else None)]
            return held[0] and SecretStr(held[0])

        made.append(ClientCredentials("test", settings, Certificates(settings), current, clock))
        return Plain(made[-1])

    yield tokens
    for one in made:
        await one.close()


def sent(server):
    (request,), (body,) = server.requests, server.bodies
    return request.headers, {name: value for name, (value,) in parse_qs(body.decode()).items()}


async def test_the_client_says_who_it_is_in_the_header_and_asks_for_its_scopes(server, make):
    server.answers = [issuing()]
    assert await make(scope="a.read b.read").token(5) == "t-1"
    headers, form = sent(server)
    assert form == {"grant_type": "client_credentials", "scope": "a.read b.read"}
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"client%2B1:client-secret-%26%25%2B%3A"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert server.requests[0].path_qs == "/oauth2/token?realm=jobs"
    assert "x-requestId" not in headers


async def test_the_client_says_who_it_is_in_the_body_if_so_agreed(server, make):
    server.answers = [issuing()]
    await make(client_auth="client_secret_post").token(5)
    headers, form = sent(server)
    assert form == {"grant_type": "client_credentials", "client_id": "client+1", "client_secret": SECRET}
    assert "Authorization" not in headers


async def test_without_a_secret_the_certificate_says_who_asks_and_the_body_the_id(server, make):
    server.answers = [issuing()]
    await make(secret=()).token(5)
    headers, form = sent(server)
    assert form == {"grant_type": "client_credentials", "client_id": "client+1"}
    assert "Authorization" not in headers


async def test_a_crowd_of_calls_waits_for_one_request(server, make):
    server.answers = [issuing("t-1"), issuing("t-2")]
    tokens = make()
    assert set(await asyncio.gather(*(tokens.token(5) for _ in range(50)))) == {"t-1"}
    assert await tokens.token(5) == "t-1"
    assert len(server.requests) == 1


async def test_a_call_that_gives_up_takes_the_token_from_no_other(server, make):
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        arrived.set()
        await go_on.wait()
        return await issuing()(request)

    server.answers = [slow]
    tokens = make()
    first, second = (asyncio.create_task(tokens.token(5)) for _ in range(2))
    await arrived.wait()
    first.cancel()
    await asyncio.wait([first])
    go_on.set()
    assert await second == "t-1"
    assert len(server.requests) == 1


async def test_a_token_is_renewed_ahead_of_its_end_and_no_call_waits_for_that(server, make, clock):
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request):
        asked.set()
        await go_on.wait()
        return await issuing("t-2")(request)

    server.answers = [issuing("t-1", expires_in=100), slow]
    tokens = make()
    await tokens.token(5)
    clock.now += 79
    assert await tokens.token(5) == "t-1"
    assert len(server.requests) == 1
    clock.now += 2
    assert [await tokens.token(5) for _ in range(3)] == ["t-1"] * 3
    await asyncio.wait_for(asked.wait(), 5)
    go_on.set()
    await tokens.tokens._flight
    assert await tokens.token(5) == "t-2"
    assert len(server.requests) == 2


async def test_while_the_renewal_fails_the_token_is_used_to_its_end_and_no_longer(server, make, clock):
    server.answers = [issuing("t-1", expires_in=100), answering(503)]
    tokens = make()
    await tokens.token(5)
    clock.now += 80
    for _ in range(10):
        assert await tokens.token(5) == "t-1"
        await tokens.tokens._flight
        clock.now += 1.9
    assert len(server.requests) == 1 + 4
    clock.now += 2
    with pytest.raises(errors.UpstreamUnavailable, match=r"^token endpoint: HTTP 503$"):
        await tokens.token(5)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        (3600, 3600), (3600.5, 3600.5), ("3600", 3600), (None, LIFE_UNTOLD_SECONDS), ("soon", LIFE_UNTOLD_SECONDS),
        (True, LIFE_UNTOLD_SECONDS), ([1], LIFE_UNTOLD_SECONDS), (0, 0), (-5, 0), (10**12, LONGEST_LIFE_SECONDS),
        ("9" * 5000, LONGEST_LIFE_SECONDS), ("٣", LIFE_UNTOLD_SECONDS),
    ],
)  # fmt: skip
async def test_a_token_lives_as_long_as_it_is_told_within_reason(server, make, clock, told, seconds):
    server.answers = [issuing("t-1", expires_in=told), issuing("t-2")]
    tokens = make()
    assert await tokens.token(5) == "t-1"
    assert tokens.tokens._held.ends_at - clock.now == seconds


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (answering(401), errors.NotAuthorised, "HTTP 401"),
        (answering(403), errors.NotAuthorised, "HTTP 403"),
        (answering(401, b'{"error": "invalid_client"}'), errors.NotAuthorised, "HTTP 401: invalid_client"),
        (answering(400, b'{"error": "invalid_client"}'), errors.NotAuthorised, "HTTP 400: invalid_client"),
        (answering(400, b'{"error": "unauthorized_client"}'), errors.NotAuthorised, "HTTP 400: unauthorized_client"),
        (answering(400, b'{"error": "invalid_scope"}'), errors.NotAuthorised, "HTTP 400: invalid_scope"),
        (answering(400, b'{"error": "invalid_request"}'), errors.NotAuthorised, "HTTP 400: invalid_request"),
        (answering(400, b'{"error": "client-secret-1"}'), errors.NotAuthorised, "HTTP 400"),
        (answering(400, b'{"error": ["invalid_client"]}'), errors.NotAuthorised, "HTTP 400"),
        (answering(400, b"["), errors.NotAuthorised, "HTTP 400"),
        (answering(404), errors.NotAuthorised, "HTTP 404"),
        (answering(412), errors.NotAuthorised, "HTTP 412"),
        (answering(429), errors.RateLimited, "HTTP 429"),
        (answering(500), errors.UpstreamUnavailable, "HTTP 500"),
        (answering(503), errors.UpstreamUnavailable, "HTTP 503"),
        (answering(302, Location="/elsewhere"), errors.InvalidResponse, "HTTP 302"),
        (answering(201), errors.InvalidResponse, "HTTP 201"),
        (answering(body=b"{"), errors.InvalidResponse, "the answer is not a JSON object"),
        (answering(body=b"[]"), errors.InvalidResponse, "the answer is not a JSON object"),
        (answering(200, b"x", content_type="text/html"), errors.InvalidResponse, "the answer is not a JSON object"),
        (issuing(token_type="mac"), errors.InvalidResponse, "the token is no bearer token"),
        (issuing(token_type=None), errors.InvalidResponse, "the token is no bearer token"),
        *(
            (issuing(token), errors.InvalidResponse, "the answer holds no token that a header can hold")
            for token in ("", None, 7, "a b", "a\r\nx-evil: 1", "æ", "a\n", "\x00")
        ),
        (answering(body=b'"' + b"x" * 70_000 + b'"'), errors.InvalidResponse, "the answer is longer than 65536 bytes"),
        (reset, errors.ConnectionLost, None),
        (truncated, errors.ConnectionLost, None),
    ],
)  # fmt: skip
async def test_a_token_endpoints_failure_is_classed_as_any_upstreams(server, make, answer, error, said):
    server.answers = [answer]
    with pytest.raises(errors.CallFailed) as caught:
        await make().token(5)
    assert type(caught.value) is error
    assert str(caught.value).startswith(f"token endpoint: {said or 'no connection: '}")
    assert len(server.requests) == 1


async def test_retry_after_is_heard(server, make):
    server.answers = [answering(503, **{"Retry-After": "7"})]
    with pytest.raises(errors.UpstreamUnavailable) as caught:
        await make().token(5)
    assert caught.value.retry_after.total_seconds() == 7


async def test_a_call_waits_no_longer_than_it_has_time(server, make):
    server.answers = [hang]
    with pytest.raises(errors.UpstreamTimeout, match=r"^token endpoint: no answer within 0\.1 s$"):
        await make().token(0.1)


async def test_a_request_that_hangs_ends_by_itself_and_the_next_call_asks_anew(server, make):
    server.answers = [hang, issuing()]
    tokens = make()
    tokens.tokens._settings = tokens.tokens._settings.model_copy(
        update={"attempt_timeout": UpstreamSettings(attempt_timeout="PT0.2S").attempt_timeout}
    )
    with pytest.raises(errors.UpstreamTimeout):
        await tokens.token(5)
    assert await tokens.token(5) == "t-1"


async def test_a_drip_has_an_end_in_all(server, make):
    async def drip(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    server.answers = [drip]
    tokens = make()
    tokens.tokens._settings = tokens.tokens._settings.model_copy(
        update={"attempt_timeout": UpstreamSettings(attempt_timeout="PT0.3S").attempt_timeout}
    )
    with pytest.raises(errors.UpstreamTimeout):
        await tokens.token(30)


@pytest.mark.parametrize("status", [401, 404])
async def test_a_client_that_was_refused_is_not_asked_for_again_with_every_call(server, make, clock, status):
    server.answers = [answering(status), issuing()]
    tokens = make()
    for _ in range(20):
        with pytest.raises(errors.CallFailed, match=f"HTTP {status}"):
            await tokens.token(5)
    assert len(server.requests) == 1
    clock.now += 31
    assert await tokens.token(5) == "t-1"


async def test_another_secret_is_tried_at_once(server, make):
    server.answers = [answering(401), issuing()]
    tokens = make(secret=["old", "new"])
    with pytest.raises(errors.NotAuthorised):
        await tokens.token(5)
    assert await tokens.token(5) == "t-1"


async def test_a_token_that_was_refused_is_replaced_once_for_all_who_had_it(server, make):
    server.answers = [issuing("t-1"), issuing("t-2")]
    tokens = make()
    await tokens.token(5)
    assert [await tokens.replace("t-1") for _ in range(3)] == [True] * 3
    assert set(await asyncio.gather(*(tokens.token(5) for _ in range(3)))) == {"t-2"}
    assert await tokens.replace("t-1")
    assert await tokens.token(5) == "t-2"
    assert len(server.requests) == 2


async def test_a_token_that_replaced_another_is_not_replaced_too_until_some_time_has_passed(server, make, clock):
    server.answers = [issuing("t-1"), issuing("t-2"), issuing("t-3")]
    tokens = make()
    await tokens.token(5)
    assert await tokens.replace("t-1")
    assert await tokens.token(5) == "t-2"
    assert not await tokens.replace("t-2")
    assert await tokens.token(5) == "t-2"
    clock.now += 31
    assert await tokens.replace("t-2")
    assert await tokens.token(5) == "t-3"


@pytest.mark.parametrize(
    "answer", [issuing("told-to-nobody"), answering(401, b'{"error": "told-to-nobody"}'), issuing("told-to-nobody\n")]
)
async def test_neither_secret_nor_token_is_in_a_log_an_error_or_a_repr(server, make, answer, caplog):
    server.answers = [answer]
    tokens = make()
    said = ""
    with capture_logs() as lines:
        try:
            await tokens.token(5)
        except errors.CallFailed as error:
            said = repr(error)
    # A logger that an earlier test has used may write to the standard library's.
    assert lines or caplog.records
    shown = f"{lines} {caplog.text} {said} {tokens.tokens._held!r} {tokens.tokens._settings!r}"
    assert not [one for one in ("told-to-nobody", SECRET, "client-secret", "Basic ") if one in shown]
