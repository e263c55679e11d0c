"""Credentials: what calls show to be let in, from settings and files, and what becomes of a refused token."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from config.reloading import Unusable
from config.settings import SettingsError, UpstreamSettings
from registerbro.services import Services
from registerbro.upstreams import credentials as module
from registerbro.upstreams import errors
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.credentials import Credentials, Secret
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.messages import Question
from registerbro.upstreams.pipeline import Exchange, Upstream
from simulators import Simulation
from simulators.gateway import Gateway
from tests.registerbro.upstreams.conftest import answering
from tests.support import ProcessAdmission

CITIZEN = "6102991234"
CLIENT = {"client_id": "registerbro", "client_secret": "s-1", "scope": "udb.read"}
OAUTH = {"UDB__CLIENT_ID": "registerbro", "UDB__CLIENT_SECRET": "s-1", "UDB__SCOPE": "udb.read"}


def read(answer):
    refusal = answer.refusal()
    if refusal:
        raise refusal
    return answer.json()


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Files are looked at each time."""
    monkeypatch.setattr(module, "CHECK_EVERY_SECONDS", 0.0)


@pytest.fixture
async def make(make_settings):
    """Makes an upstream `udb` as an installation does, at an address, and with an admission of its own."""
    opened = []

    def upstream(url, **own):
        settings = make_settings(UDB__BASE_URL=url, **own)
        certificates = Certificates.of(settings, "udb")
        credentials = Credentials.of(settings, "udb", certificates)
        http = HttpClient(settings.base_url("udb"), settings.udb, certificates)
        opened.extend([credentials, http])
        it = Upstream("udb", settings.udb, http, ProcessAdmission("udb"), NoTrail(), credentials=credentials)
        it.credentials = credentials
        return it

    yield upstream
    for one in opened:
        await one.close()


def about(upstream):
    headers = {"x-civilRegistrationIdentifier": CITIZEN, "Accept": "application/json"}
    return Exchange(lambda _: Question("GET", upstream.path, headers), read)


async def test_headers_and_token_go_with_each_call(server, make):
    server.answers = [answering()]
    upstream = make(server.url, UDB__HEADERS='{"x-organisation": "8;751", "X-User": "job net"}', UDB__TOKEN="t.0-k~/+=")
    await upstream.ask(about(upstream))
    sent = server.requests[0].headers
    assert (sent["x-organisation"], sent["X-User"], sent["Authorization"]) == ("8;751", "job net", "Bearer t.0-k~/+=")
    assert sent["x-civilRegistrationIdentifier"] == CITIZEN


async def test_without_settings_nothing_is_shown(server, make):
    server.answers = [answering()]
    upstream = make(server.url)
    await upstream.ask(about(upstream))
    assert "Authorization" not in server.requests[0].headers


@pytest.mark.parametrize(("name", "first", "second", "header"), [
    ("TOKEN", "t-1", "t-2", "Authorization"),
    ("HEADERS", '{"x-a": "1"}', '{"x-a": "2"}', "x-a"),
])  # fmt: skip
async def test_a_file_is_read_again_when_it_has_changed(server, make, tmp_path, name, first, second, header):
    server.answers = [answering()]
    file = tmp_path / "secret"
    file.write_text(f"{first}\n")
    upstream = make(server.url, **{f"UDB__{name}_FILE": str(file)})
    await upstream.ask(about(upstream))
    file.write_text(f"{second}\n\n")
    with capture_logs() as lines:
        await upstream.ask(about(upstream))
    shown = [request.headers[header][-1] for request in server.requests]
    assert shown == ["1", "2"]
    assert [line["setting"] for line in lines if line["event"] == "secret_reloaded"] == [
        f"REGISTERBRO_UDB__{name}_FILE"
    ]


@pytest.mark.parametrize("broken", ["", "a b", "t-ø", None, b"\xff"])
async def test_a_changed_file_that_cannot_be_used_leaves_the_secret_before_it(server, make, tmp_path, broken):
    server.answers = [answering()]
    file = tmp_path / "token"
    file.write_text("t-1")
    upstream = make(server.url, UDB__TOKEN_FILE=str(file))
    if broken is None:
        file.unlink()
    elif isinstance(broken, bytes):
        file.write_bytes(broken)
    else:
        file.write_text(broken)
    with capture_logs() as lines:
        await upstream.ask(about(upstream))
        await upstream.ask(about(upstream))
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer t-1"] * 2
    with pytest.raises((Unusable, OSError)) as caught:
        upstream.credentials._tokens._secret._file._read()
    kept = [frame.frame.f_locals for frame in caught.traceback if frame.frame.code.name == "_parsed"]
    assert all("content" not in one for one in kept)
    told = [line for line in lines if line["event"] == "secret_not_reloaded"]
    assert [line["setting"] for line in told] == ["REGISTERBRO_UDB__TOKEN_FILE"]
    assert not broken or str(broken) not in told[0]["detail"]


def test_a_file_that_cannot_be_used_at_first_is_named(make_settings, tmp_path):
    settings = make_settings(UDB__BASE_URL="http://127.0.0.1:9", UDB__TOKEN_FILE=str(tmp_path / "none"))
    with pytest.raises(
        SettingsError, match=r"^REGISTERBRO_UDB__TOKEN_FILE: cannot be read: No such file or directory$"
    ):
        Credentials.of(settings, "udb", Certificates.of(settings, "udb"))


async def test_a_vendor_without_a_token_is_not_called(make_settings):
    services = Services(make_settings(BOOKING_VENDOR__BASE_URL="http://127.0.0.1:9"))
    try:
        with pytest.raises(SettingsError, match=r"^REGISTERBRO_BOOKING_VENDOR__TOKEN: is missing$"):
            services.upstream("booking_vendor")
    finally:
        await services.close()


async def test_both_admissions_of_one_upstream_show_one_token(make_settings):
    own = {
        "BASE_URL": "http://127.0.0.1:9",
        "TOKEN_URL": "http://127.0.0.1:9/t",
        "CLIENT_ID": "a",
        "CLIENT_SECRET": "b",
    }
    services = Services(make_settings(**{f"KONTAKTFORLOEB__{name}": value for name, value in own.items()}))
    try:
        assert services.upstream("booking")._credentials is services.upstream("kontaktforloeb")._credentials
    finally:
        await services.close()


async def test_a_fixed_token_that_is_refused_is_not_tried_again(server, make):
    server.answers = [answering(401)]
    upstream = make(server.url, UDB__TOKEN="t-1")
    with pytest.raises(errors.NotAuthorised):
        await upstream.ask(about(upstream))
    assert len(server.requests) == 1


async def test_a_fixed_token_that_was_exchanged_meanwhile_is_tried_at_once(server, make, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CHECK_EVERY_SECONDS", 3600.0)
    server.answers = [answering(401), answering(body=b"7")]
    file = tmp_path / "token"
    file.write_text("t-1")
    upstream = make(server.url, UDB__TOKEN_FILE=str(file))
    file.write_text("t-22")
    assert await upstream.ask(about(upstream)) == 7
    assert [request.headers["Authorization"][-2:] for request in server.requests] == ["-1", "22"]


@pytest.fixture
def oauth(simulation, make):
    """An upstream whose simulator expects tokens of its endpoint."""
    simulation.control.reset()
    url = simulation.urls["udb"]

    def upstream(expires_in=60, **own):
        simulation.control.expect_token("udb", **CLIENT, expires_in=expires_in)
        return make(url, UDB__TOKEN_URL=f"{url}/oauth2/token", **(OAUTH | own))

    yield upstream
    simulation.control.reset()


async def test_a_call_is_let_in_with_a_token_of_the_endpoint(oauth, simulation):
    upstream = oauth()
    await asyncio.gather(*(upstream.ask(about(upstream)) for _ in range(5)))
    assert simulation.control.tokens("udb") == {"issued": 1, "refused": 0}
    assert [call.status for call in simulation.control.calls("udb").calls] == [200] * 5


@pytest.mark.parametrize("attempts", ["1", "3"])
async def test_a_revoked_token_is_renewed_once_and_the_call_made_once_more(oauth, simulation, attempts):
    upstream = oauth(UDB__MAX_ATTEMPTS=attempts)
    await upstream.ask(about(upstream))
    simulation.control.revoke_tokens("udb")
    await asyncio.gather(*(upstream.ask(about(upstream)) for _ in range(5)))
    assert simulation.control.tokens("udb") == {"issued": 2, "refused": 0}
    statuses = sorted(call.status for call in simulation.control.calls("udb").calls)
    assert statuses == [200] * 6 + [401] * 5


async def test_a_call_that_is_refused_with_the_new_token_too_is_not_authorised(server, make):
    async def serve(request):
        if request.path == "/token":
            issued.append(1)
            body = json.dumps({"access_token": f"t-{len(issued)}", "token_type": "bearer"}).encode()
            return await answering(body=body)(request)
        calls.append(request.headers["Authorization"])
        return await answering(401)(request)

    issued, calls = [], []
    server.answers = [serve]
    upstream = make(server.url, UDB__TOKEN_URL=f"{server.url}/token", **OAUTH)
    with capture_logs() as lines, pytest.raises(errors.NotAuthorised):
        await upstream.ask(about(upstream))
    assert calls == ["Bearer t-1", "Bearer t-2"]
    assert [line["outcome"] for line in lines if line["event"] == "upstream_alarm"] == ["not_authorised"]
    for _ in range(3):
        with pytest.raises(errors.NotAuthorised):
            await upstream.ask(about(upstream))
    assert calls[2:] == ["Bearer t-2"] * 3
    assert len(issued) == 2


async def test_a_token_is_renewed_after_its_end(oauth, simulation):
    upstream = oauth(expires_in=0)
    with pytest.raises(errors.NotAuthorised):
        await upstream.ask(about(upstream))
    simulation.control.expect_token("udb", **CLIENT, expires_in=60)
    await upstream.ask(about(upstream))


@pytest.mark.parametrize("own", [{"UDB__SCOPE": "su.read"}, {"UDB__CLIENT_SECRET": "s-2"}, {"UDB__CLIENT_ID": "x"}])
async def test_a_client_that_is_another_is_not_authorised_and_nobody_is_looked_up(oauth, simulation, own):
    upstream = oauth(**own)
    with pytest.raises(errors.NotAuthorised, match=r"^token endpoint: HTTP 40[01]: invalid_"):
        await upstream.ask(about(upstream))
    assert simulation.control.calls("udb").total == 0


async def test_the_further_headers_are_not_shown_to_the_token_endpoint(server, make):
    server.answers = [answering(body=b'{"access_token": "t", "token_type": "bearer"}'), answering()]
    upstream = make(server.url, UDB__TOKEN_URL=f"{server.url}/t", UDB__HEADERS='{"x-user": "1"}', **OAUTH)
    await upstream.ask(about(upstream))
    assert ["x-user" in request.headers for request in server.requests] == [False, True]


async def test_a_token_endpoint_that_is_down_opens_the_breaker_and_is_spared(server, make):
    server.answers = [answering(503)]
    upstream = make(server.url, UDB__TOKEN_URL=f"{server.url}/t", UDB__MAX_ATTEMPTS="1", **OAUTH)
    for _ in range(20):
        with pytest.raises(errors.UpstreamError):
            await upstream.ask(about(upstream))
    assert {request.path for request in server.requests} == {"/t"}
    assert len(server.requests) == 5


async def test_a_secret_that_is_not_set_is_none(make_settings):
    assert await Secret(make_settings(), "udb", "token", str).current() is None


async def test_what_a_call_shows_is_in_no_repr(server, make):
    upstream = make(server.url, UDB__HEADERS='{"x-user": "told-to-nobody"}', UDB__TOKEN="told-to-nobody")
    shown = await upstream.credentials.headers(5)
    assert "told-to-nobody" in str(shown["x-user"])
    assert repr(shown) == "<headers x-user, Authorization>"


def test_the_settings_show_no_secret():
    settings = UpstreamSettings(
        headers='{"x-user": "told-to-nobody"}', token_url="https://t.example", client_id="a",
        client_secret="told-to-nobody", base_url="https://b.example",
    )  # fmt: skip
    assert "told-to-nobody" not in repr(settings) + str(settings) + settings.model_dump_json()


@pytest.mark.parametrize("has_certificate", [True, False])
async def test_a_client_without_a_secret_is_known_by_its_certificate(simulation, make, authority, has_certificate):
    simulation.control.reset()
    simulation.control.expect_token("udb", **(CLIENT | {"client_secret": None}))
    ours = {"UDB__CLIENT_CERT": str(authority.issue("us"))} if has_certificate else {"UDB__CLIENT_SECRET": "s-1"}
    with Gateway(simulation.urls["udb"], authority.issue("register"), authority.file) as gateway:
        own = {"CLIENT_ID": "registerbro", "SCOPE": "udb.read", "CA_BUNDLE": str(authority.file)}
        own |= {"TOKEN_URL": f"{gateway.url}/oauth2/token"}
        upstream = make(gateway.url, **{f"UDB__{name}": value for name, value in own.items()}, **ours)
        if has_certificate:
            await upstream.ask(about(upstream))
            assert len(gateway.shown) == len(gateway.handshakes) == 2
        else:
            with pytest.raises(errors.NotAuthorised, match=r"^token endpoint: the client certificate was refused: "):
                await upstream.ask(about(upstream))
    assert simulation.control.tokens("udb")["issued"] == has_certificate
    simulation.control.reset()
