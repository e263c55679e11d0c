"""Whose request it is: every token that says nothing is refused alike, and keys change without a restart."""

import asyncio
import base64
import json
import time

import jwt
import pytest
from aiohttp import web

from portal.api import tokens
from tests.portal.api.conftest import AUDIENCE, ISSUER, Signer, problem


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
        ("PUT", "/v1/banner/dismissed", "fault-report:write"),
        ("POST", "/v1/fault-reports", "overview:read"),
        ("GET", "/v1/fault-reports/0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f", "overview:read"),
        ("GET", "/v1/fault-reports", "fault-report:write"),
        ("POST", "/v1/fault-reports/0192f0c1-7a3e-4c8e-9d51-5a3b2c1d0e9f/replay", "ops:read"),
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


class TestByUrl:
    """The key set is fetched from who logs citizens in."""

    @pytest.fixture
    async def key_server(self, signer):
        """Serves the key set, counts, and may be told to fail."""
        state = {"asked": 0, "status": 200}

        async def answer(_):
            state["asked"] += 1
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
    def settings(self, app, make_settings, key_server):
        return make_settings(JWKS_URL=key_server["url"], JWT_ISSUER=ISSUER, JWT_AUDIENCE=AUDIENCE)

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
