"""Whose request it is: every token that says nothing is refused alike, and keys change without a restart."""

import asyncio
import base64
import gzip
import json
import os
import threading
import time

import jwt
import pytest
from aiohttp import web

from portal.api import jwks, tokens
from tests.portal.conftest import AUDIENCE, ISSUER, Signer, problem


def unsigned(claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


WRONG = {
    "nothing": lambda _: "",
    "no token": lambda _: "x.y.z",
    "none": lambda signer: unsigned(jwt.decode(signer.token(), options={"verify_signature": False})),
    "HS256 with the public key": lambda signer: hs256(signer.token(), signer.public_pem()),
    "expired": lambda signer: signer.token(exp=int(time.time()) - 60),
    "without exp": lambda signer: signer.token(exp=None),
    "foreign audience": lambda signer: signer.token(aud="somebody-else"),
    "foreign issuer": lambda signer: signer.token(iss="https://elsewhere.example"),
    "not yet": lambda signer: signer.token(nbf=int(time.time()) + 600),
    "altered": lambda signer: altered(signer.token()),
    "another key": lambda signer: Signer(signer.path.with_name("other.json")).token(),
    "no CPR number": lambda signer: signer.token("1234567890"),
    "groups as text": lambda signer: signer.token(contact_groups=["12"]),
    "order as text": lambda signer: signer.token(education_order="true"),
}


def hs256(token, secret):
    """By hand: PyJWT itself refuses to sign so."""
    import hashlib
    import hmac

    def part(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    claims = jwt.decode(token, options={"verify_signature": False})
    head = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "first"}).encode())
    body = f"{head}.{part(json.dumps(claims).encode())}"
    return f"{body}.{part(hmac.digest(secret, body.encode(), hashlib.sha256))}"


def altered(token):
    head, claims, signature = token.split(".")
    padded = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
    changed = base64.urlsafe_b64encode(padded.replace(b'"somebody"', b'"anybody!"')).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
async def test_a_token_that_says_nothing_is_refused(client, signer, wrong):
    answer = await client.get("/v1/overview", wrong(signer))
    assert problem(answer) == (401, "unauthorised")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("algorithm", tokens.ALGORITHMS)
async def test_both_signatures_are_taken(client, signer, algorithm):
    signer.new_key("second", algorithm)
    assert (await client.get("/v1/banner", signer.token(key="second"))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/overview", "overview:refresh"),
        ("POST", "/v1/overview/refresh", "overview:read"),
        ("GET", "/v1/overview/events", "overview:refresh"),
        ("GET", "/v1/banner", "fault-report:write"),
        ("PUT", "/v1/banner/dismissed", "overview:read overview:refresh fault-report:write"),
        ("POST", "/v1/fault-reports", "overview:read"),
        ("GET", "/v1/fault-reports/0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f", "overview:read"),
        ("GET", "/v1/fault-reports", "fault-report:write"),
        ("POST", "/v1/fault-reports/0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f/replay", "ops:read"),
        ("POST", "/v1/fault-reports/0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f/settle", "ops:read"),
        ("GET", "/v1/registers", "ops:write"),
        ("PUT", "/v1/registers/udb/override", "ops:read"),
    ],
)
async def test_another_scope_is_not_enough(client, signer, method, path, scope):
    body = {"json": {"text": "hej"}, "headers": {"Idempotency-Key": "k"}} if path.endswith("reports") else {}
    body = {"json": {"override": None}} if path.endswith("override") else body
    assert problem(await client.call(method, path, signer.token(scope=scope), **body)) == (403, "forbidden")


async def test_an_operators_token_opens_no_page(client, signer):
    answer = await client.get("/v1/overview", signer.token(None, scope="overview:read"))
    assert problem(answer) == (403, "forbidden")


async def test_a_remembered_token_ends_when_it_expires(client, signer):
    token = signer.token(exp=int(time.time()) - tokens.LEEWAY_SECONDS + 3)
    assert (await client.get("/v1/banner", token)).status_code == 200
    async with asyncio.timeout(30):
        while (answer := await client.get("/v1/banner", token)).status_code == 200:
            pass
    assert problem(answer) == (401, "unauthorised")


async def test_a_new_key_is_taken_up_without_a_restart(client, signer, monkeypatch):
    assert (await client.get("/v1/banner")).status_code == 200
    signer.new_key("second")
    monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
    assert (await client.get("/v1/banner", signer.token(key="second"))).status_code == 200


async def test_a_key_set_that_breaks_leaves_the_known_keys_in_use(client, signer, monkeypatch):
    assert (await client.get("/v1/banner")).status_code == 200
    signer.path.write_text("{", encoding="utf-8")
    monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
    other = Signer(signer.path.with_name("other.json"))
    other.new_key("unknown")
    assert problem(await client.get("/v1/banner", other.token(key="unknown"))) == (401, "unauthorised")
    assert (await client.get("/v1/banner", signer.token("7212064246"))).status_code == 200


DEEP = 20_000
ODD_POINT = {"kty": "EC", "kid": "odd", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
ODD_ENTRIES = {
    "numeric kid": '{"kty": "EC", "kid": 7, "crv": "P-256", "x": "AA", "y": "AA"}',
    "numeric kid of a good key": lambda good: json.dumps(good | {"kid": 7}),
    "kid of 5000 digits": '{"kty": "EC", "kid": %s}' % ("9" * 5000),
    "kty a list": '{"kty": ["EC"], "kid": "odd"}',
    "kty an object": '{"kty": {"EC": 1}, "kid": "odd"}',
    "use a list": '{"kty": "EC", "use": ["sig"], "kid": "odd"}',
    "alg a number": lambda good: json.dumps(good | {"alg": 256, "kid": "odd"}),
    "coordinates of numbers": '{"kty": "EC", "kid": "odd", "crv": "P-256", "x": 1, "y": [2]}',
    "coordinates not on the curve": json.dumps(ODD_POINT),
    "coordinates not of base64": '{"kty": "EC", "kid": "odd", "crv": "P-256", "x": "æ", "y": "æ"}',
    "modulus nothing": '{"kty": "RSA", "kid": "odd", "n": "", "e": ""}',
    "modulus a number": '{"kty": "RSA", "kid": "odd", "n": 5, "e": "AQAB"}',
    "modulus even": '{"kty": "RSA", "kid": "odd", "n": "%s", "e": "AQAB"}' % ("A" * 340 + "Ag"),
    "modulus far too long": '{"kty": "RSA", "kid": "odd", "n": "%s", "e": "AQAB"}' % ("_" * 40_000),
    "a number": "5",
    "null": "null",
    "a text": '"EC"',
    "a list": '["kty", "EC"]',
    "NaN": "NaN",
    "nested arrays": "[" * DEEP + "]" * DEEP,
    "nested objects": '{"a":' * 5000 + "1" + "}" * 5000,
    "nested in an unused member": '{"kty": "EC", "kid": "odd", "x5c": %s}' % ("[" * DEEP + "]" * DEEP),
    "brackets in a text": json.dumps({"kty": "EC", "kid": "odd", "x5t": "[" * DEEP + '\\"{'}),
    "half an emoji": '{"kty": "EC", "kid": "\\ud83d"}',
    "a byte that is not UTF-8": b'{"kty": "EC", "kid": "\xe6"}',
}  # fmt: skip


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("odd", ODD_ENTRIES.values(), ids=ODD_ENTRIES.keys())
async def test_an_odd_entry_of_a_key_set_leaves_the_others_in_use(client, signer, odd, place):
    signer.new_key("second", "RS256")
    good = json.loads(signer.path.read_text(encoding="utf-8"))["keys"]
    odd = odd(good[0]) if callable(odd) else odd
    odd = odd if isinstance(odd, bytes) else odd.encode()
    entries = [json.dumps(one).encode() for one in good]
    entries.insert(0 if place == "first" else len(entries), odd)
    signer.path.write_bytes(b'{"keys": [' + b", ".join(entries) + b"]}")
    assert (await client.get("/v1/banner", signer.token())).status_code == 200
    assert (await client.get("/v1/banner", signer.token(key="second"))).status_code == 200


NO_KEY_SETS = {
    "nothing": b"",
    "a list": b"[]",
    "null": b"null",
    "no keys": b"{}",
    "keys that are no list": b'{"keys": {"kty": "EC"}}',
    "nested without end": b'{"keys": [' + b"[" * 60_000,
    "texts without end": b'{"keys": ["' + b'\\"' * 30_000,
    "too long": b'{"keys": []}' + b" " * jwks.LONGEST_BYTES,
    "not UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("content", NO_KEY_SETS.values(), ids=NO_KEY_SETS.keys())
async def test_what_is_no_key_set_is_said_to_be_none(client, signer, content):
    signer.path.write_bytes(content)
    assert problem(await client.get("/v1/banner", signer.token())) == (503, "keys-unavailable")


async def test_a_key_set_may_begin_with_a_byte_order_mark(client, signer):
    signer.path.write_bytes(b"\xef\xbb\xbf" + signer.path.read_bytes())
    assert (await client.get("/v1/banner", signer.token())).status_code == 200


@pytest.mark.parametrize("kid", [7, ["first"], {"a": 1}, "\ud83d", "x" * 20_000], ids=str)
async def test_a_token_that_names_its_key_oddly_is_refused(client, signer, kid):
    head, rest = signer.token().split(".", 1)
    header = json.dumps({"alg": "ES256", "typ": "JWT", "kid": kid}).encode()
    answer = await client.get("/v1/banner", base64.urlsafe_b64encode(header).rstrip(b"=").decode() + "." + rest)
    assert head
    assert problem(answer) == (401, "unauthorised")


async def test_a_key_set_file_that_nobody_writes_to_is_not_waited_for(client, signer):
    signer.path.unlink()
    os.mkfifo(signer.path)
    async with asyncio.timeout(30):
        assert problem(await client.get("/v1/banner", signer.token())) == (503, "keys-unavailable")


async def test_a_key_set_file_that_hangs_holds_no_request_and_no_second_thread(client, signer, monkeypatch):
    """As a network file system does whose server is away; when it is back, the keys are there."""
    back, opens, really = threading.Event(), [], os.open

    def hanging(path, *rest, **more):
        if path == signer.path:
            opens.append(path)
            back.wait(60)
        return really(path, *rest, **more)

    monkeypatch.setattr(os, "open", hanging)
    monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.1)
    monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
    try:
        async with asyncio.timeout(30):
            for _ in range(3):
                assert problem(await client.get("/v1/banner", signer.token())) == (503, "keys-unavailable")
        assert len(opens) == 1
    finally:
        back.set()
    async with asyncio.timeout(30):
        while (await client.get("/v1/banner", signer.token())).status_code != 200:
            pass


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": lambda now: now + 600.5},
        {"iat": lambda now: now - 0.25},
        {"nbf": lambda now: now - 0.25},
        {"exp": lambda now: float(now + 600), "iat": float, "nbf": float},
    ],
    ids="-".join,
)
async def test_a_time_in_a_token_may_be_a_decimal_number(client, signer, claims):
    """RFC 7519, 2: NumericDate."""
    now = int(time.time())
    token = signer.token(**{name: of(now) for name, of in claims.items()})
    assert (await client.get("/v1/banner", token)).status_code == 200
    assert (await client.get("/v1/banner", token)).status_code == 200


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), "soon", [1], {"at": 1}], ids=str)
async def test_what_is_no_time_in_a_token_is_refused(client, signer, name, value):
    assert problem(await client.get("/v1/banner", signer.token(**{name: value}))) == (401, "unauthorised")


@pytest.mark.parametrize("exp", [True, "9999999999"])
async def test_an_end_that_is_no_number_is_refused(client, signer, exp):
    assert problem(await client.get("/v1/banner", signer.token(exp=exp))) == (401, "unauthorised")


def publish_without_names(signer, only=None):
    """The key set as it is, without the names of its keys."""
    keys = json.loads(signer.path.read_text(encoding="utf-8"))["keys"]
    named = [key for key in keys if only is None or key["kid"] in only]
    signer.path.write_text(json.dumps({"keys": [key | {"kid": None} for key in named]}), encoding="utf-8")


def nameless(signer, key):
    """A token that does not say with which key it was signed."""
    claims = jwt.decode(signer.token(), options={"verify_signature": False})
    return jwt.encode(claims, *signer.keys[key])


async def test_several_keys_without_a_name_are_all_tried(client, signer):
    for name, algorithm in (("second", "ES256"), ("third", "RS256"), ("fourth", "RS256")):
        signer.new_key(name, algorithm)
    publish_without_names(signer)
    for name in signer.keys:
        assert (await client.get("/v1/banner", nameless(signer, name))).status_code == 200
    other = Signer(signer.path.with_name("other.json"))
    assert problem(await client.get("/v1/banner", nameless(other, "first"))) == (401, "unauthorised")


async def test_a_token_that_names_no_key_may_be_signed_with_any_of_a_named_set(client, signer):
    signer.new_key("second")
    for name in signer.keys:
        assert (await client.get("/v1/banner", nameless(signer, name))).status_code == 200


async def test_two_keys_of_one_name_are_both_tried(client, signer):
    signer.new_key("second")
    keys = json.loads(signer.path.read_text(encoding="utf-8"))["keys"]
    signer.path.write_text(json.dumps({"keys": [key | {"kid": "same"} for key in keys]}), encoding="utf-8")
    for key in ("first", "second"):
        claims = jwt.decode(signer.token(), options={"verify_signature": False})
        token = jwt.encode(claims, *signer.keys[key], headers={"kid": "same"})
        assert (await client.get("/v1/banner", token)).status_code == 200


async def test_a_key_without_a_name_that_was_replaced_is_taken_up_without_a_restart(client, signer, monkeypatch):
    publish_without_names(signer)
    assert (await client.get("/v1/banner", nameless(signer, "first"))).status_code == 200
    signer.new_key("second")
    publish_without_names(signer, only={"second"})
    monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
    assert (await client.get("/v1/banner", nameless(signer, "second"))).status_code == 200


async def test_no_token_costs_more_signature_checks_than_agreed(settings, signer, monkeypatch):
    for index in range(tokens.KEYS_TRIED + 4):
        signer.new_key(str(index))
    publish_without_names(signer)
    token = nameless(Signer(signer.path.with_name("other.json")), "first")
    tried, really = [], jwt.decode
    monkeypatch.setattr(tokens.jwt, "decode", lambda *args, **more: tried.append(args) or really(*args, **more))
    with pytest.raises(tokens.InvalidToken):
        await tokens.Tokens(settings).caller(token)
    assert len(tried) == tokens.KEYS_TRIED


async def test_what_is_remembered_of_tokens_is_gone_after_a_time_though_nobody_asks(settings, signer, monkeypatch):
    """A token's citizen is a CPR number in memory."""
    monkeypatch.setattr(tokens, "KNOWN_AT_MOST_SECONDS", 0.2)
    memory = tokens.Tokens(settings)
    for order in range(3):
        await memory.caller(signer.token(sub=f"{order}"))
    async with asyncio.timeout(30):
        while memory._known:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.05)


async def test_no_more_tokens_are_remembered_than_agreed(settings, signer, monkeypatch):
    monkeypatch.setattr(tokens, "KNOWN_TOKENS", 2)
    memory = tokens.Tokens(settings)
    for order in range(4):
        await memory.caller(signer.token(sub=f"{order}"))
    assert len(memory._known) == 2


class TestByUrl:
    """The key set is fetched from who logs citizens in."""

    @pytest.fixture
    async def key_server(self, signer):
        """Serves the key set, counts, and may be told to fail."""
        state = {"asked": 0, "status": 200, "answer": None}

        async def answer(request):
            state["asked"] += 1
            if state["answer"]:
                return await state["answer"](request)
            return web.Response(text=signer.path.read_text(encoding="utf-8"), status=state["status"])

        app = web.Application()
        app.router.add_get("/jwks.json", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        state["url"] = f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
        yield state
        await runner.cleanup()

    @pytest.fixture
    def settings(self, app, make_settings, key_server, signer):
        """Those of a demo, which alone may fetch it without TLS."""
        demo = {"DEMO__SIGNING_KEY_FILE": str(signer.path), "DEMO__CONTROL_URL": "http://127.0.0.1:9"}
        return make_settings(JWKS_URL=key_server["url"], JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE, **demo)

    async def test_it_is_fetched_once_for_many_tokens(self, client, signer, key_server):
        for _ in range(5):
            assert (await client.get("/v1/banner", signer.token())).status_code == 200
        assert key_server["asked"] == 1

    async def test_without_it_tokens_are_not_taken_on_trust(self, client, signer, key_server):
        key_server["status"] = 500
        answer = await client.get("/v1/banner", signer.token())
        assert problem(answer) == (503, "keys-unavailable")
        assert answer.headers["retry-after"] == "5"

    async def test_unknown_keys_cause_no_storm(self, client, signer, key_server):
        other = Signer(signer.path.with_name("other.json"))
        other.new_key("unknown")
        await client.get("/v1/banner", signer.token())
        for _ in range(20):
            await client.get("/v1/banner", other.token(key="unknown"))
        assert key_server["asked"] == 1

    async def test_a_server_that_sends_a_byte_now_and_then_is_not_listened_to_without_end(
        self, client, signer, key_server, monkeypatch
    ):
        """Each read is answered in time, and the whole never; and the next read is no worse for it."""
        over = asyncio.Event()

        async def trickle(request):
            response = web.StreamResponse()
            await response.prepare(request)
            while not over.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.02)
            return response

        key_server["answer"] = trickle
        monkeypatch.setattr(tokens, "FETCH_SECONDS", 0.3)
        monkeypatch.setattr(tokens, "AGAIN_AFTER_SECONDS", 0.0)
        try:
            async with asyncio.timeout(30):
                answers = await asyncio.gather(*(client.get("/v1/banner", signer.token()) for _ in range(3)))
            assert {problem(answer) for answer in answers} == {(503, "keys-unavailable")}
            key_server["answer"] = None
            assert (await client.get("/v1/banner", signer.token())).status_code == 200
        finally:
            over.set()

    @pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "br"])
    async def test_a_key_set_is_not_unpacked(self, client, signer, key_server, encoding):
        async def packed(request):
            assert request.headers["Accept-Encoding"] == "identity"
            body = signer.path.read_bytes()
            for _ in encoding.split(","):
                body = gzip.compress(body)
            return web.Response(body=body, headers={"Content-Encoding": encoding})

        key_server["answer"] = packed
        assert problem(await client.get("/v1/banner", signer.token())) == (503, "keys-unavailable")

    async def test_a_server_that_never_ends_its_key_set_is_heard_to_the_limit(self, client, signer, key_server):
        sent = 0

        async def endless(request):
            nonlocal sent
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(b" " * 65536)
                sent += 65536

        key_server["answer"] = endless
        assert problem(await client.get("/v1/banner", signer.token())) == (503, "keys-unavailable")
        assert sent < 200 * jwks.LONGEST_BYTES
