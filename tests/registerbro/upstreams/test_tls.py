"""Calls over TLS with a client certificate: both sides show who they are, or nothing is said."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from config.settings import SettingsError, UpstreamSettings, load
from registerbro.telemetry import metrics
from registerbro.upstreams import certificates
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import ConnectionLost, NotAuthorised
from registerbro.upstreams.http_client import HttpClient, reach
from registerbro.upstreams.messages import Question
from simulators.authority import Authority
from simulators.gateway import Gateway
from tests.registerbro.upstreams.conftest import answering

EXPIRED = timedelta(hours=-1)
VERSIONS = pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda it: it.name)


@pytest.fixture
def stranger(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    return Authority(tmp_path / "elsewhere", "stranger")


@pytest.fixture
def newest():
    return ssl.TLSVersion.TLSv1_3


@pytest.fixture
def register(server, authority, newest):
    """A register that wants to see a certificate of the authority."""
    server.answers = [answering()]
    with Gateway(server.url, authority.issue("register"), authority.file, newest) as gateway:
        yield gateway


def settings_with(client_cert=None, passphrase=None, ca_bundle=None):
    secret = SecretStr(passphrase) if passphrase else None
    return UpstreamSettings(client_cert=client_cert, client_cert_passphrase=secret, ca_bundle=ca_bundle)


async def call(register, **files):
    async with HttpClient(register.url, settings_with(**files)) as http:
        return await http.send(Question("GET", "/"), {}, 10)


@VERSIONS
async def test_with_the_right_certificates_there_is_an_answer(register, authority):
    answer = await call(register, ca_bundle=authority.file, client_cert=authority.issue("us"))
    assert answer.json() == {}
    assert register.shown == ["us"]


async def test_the_authorities_between_ours_and_one_that_is_known_are_shown_along_with_it(
    register, authority, tmp_path
):
    between = Authority(tmp_path, "between", below=authority)
    ours = between.issue("us")
    ours.write_bytes(ours.read_bytes() + between.file.read_bytes())
    answer = await call(register, ca_bundle=authority.file, client_cert=ours)
    assert (answer.status, register.shown) == (200, ["us"])


@pytest.mark.parametrize(
    "form",
    [
        {"passphrase": "correct horse"},
        {"passphrase": "correct horse", "as_pkcs12": True},
        {"as_pkcs12": True},
        {"passphrase": "correct horse", "as_pkcs12": True, "with_rsa": True},
    ],
    ids=["pem-encrypted", "pkcs12", "pkcs12-open", "pkcs12-rsa"],
)
async def test_a_certificate_may_be_pem_or_pkcs12_with_a_passphrase(register, authority, form):
    ours = authority.issue("us", **form)
    answer = await call(register, ca_bundle=authority.file, client_cert=ours, passphrase=form.get("passphrase"))
    assert answer.status == 200


@VERSIONS
@pytest.mark.parametrize("ours", ["absent", "of a stranger", "expired"])
async def test_a_certificate_that_is_refused_is_for_an_operator(server, register, authority, stranger, ours):
    shown = {
        "absent": lambda: None,
        "of a stranger": lambda: stranger.issue("us"),
        "expired": lambda: authority.issue("us", valid_for=EXPIRED),
    }[ours]()
    with pytest.raises(NotAuthorised, match="client certificate was refused"):
        await call(register, ca_bundle=authority.file, client_cert=shown)
    assert await asyncio.to_thread(register.waited_for, 1)
    assert (register.handshakes, server.requests) == ([False], [])


@VERSIONS
@pytest.mark.parametrize("theirs", ["unknown authority", "expired", "another host"])
async def test_a_register_that_does_not_show_who_it_is_hears_nothing(server, authority, stranger, newest, theirs):
    server.answers = [answering()]
    shown = {
        "unknown authority": lambda: stranger.issue("register"),
        "expired": lambda: authority.issue("register", valid_for=EXPIRED),
        "another host": lambda: authority.issue("register", host="other.example"),
    }[theirs]()
    with Gateway(server.url, shown, authority.file, newest) as gateway:
        with pytest.raises(ConnectionLost):
            await call(gateway, ca_bundle=authority.file, client_cert=authority.issue("us"))
        assert server.requests == []


async def test_nothing_older_than_tls_1_2_is_spoken(authority):
    context = Certificates(settings_with(client_cert=authority.issue("us"))).context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@VERSIONS
async def test_a_look_that_sends_nothing_hears_a_refusal_too(register, authority, stranger):
    ours = Certificates(settings_with(client_cert=authority.issue("us"), ca_bundle=authority.file))
    await reach(register.url, ours, 10)
    refused = Certificates(settings_with(client_cert=stranger.issue("us"), ca_bundle=authority.file))
    with pytest.raises(NotAuthorised):
        await reach(register.url, refused, 10)


class TestRenewing:
    """A file that changes is taken up by the next call, and one that is not in order changes nothing."""

    @pytest.fixture(autouse=True)
    def at_every_call(self, monkeypatch):
        monkeypatch.setattr(certificates, "CHECK_EVERY_SECONDS", 0)

    @pytest.fixture
    def ours(self, authority, tmp_path):
        (tmp_path / "ours").mkdir()
        file = tmp_path / "ours" / "client.pem"
        file.write_bytes(authority.issue("before").read_bytes())
        return file

    @pytest.fixture
    async def http(self, register, authority, ours):
        async with HttpClient(register.url, settings_with(client_cert=ours, ca_bundle=authority.file)) as it:
            yield it

    @staticmethod
    async def ask(http):
        return (await http.send(Question("GET", "/"), {}, 10)).status

    async def test_the_next_call_shows_the_new_certificate(self, http, register, authority, ours):
        assert [await self.ask(http), await self.ask(http)] == [200, 200]
        assert register.shown == ["before"]
        ours.write_bytes(authority.issue("after").read_bytes())
        with capture_logs() as logs:
            assert [await self.ask(http), await self.ask(http)] == [200, 200]
        assert register.shown == ["before", "after"]
        setting = "REGISTERBRO_UPSTREAM__CLIENT_CERT"
        assert logs == [{"event": "certificate_reloaded", "log_level": "info", "setting": setting}]

    async def test_a_call_under_way_ends_on_the_connection_that_it_has(self, http, server, register, authority, ours):
        begun, go_on = asyncio.Event(), asyncio.Event()
        plain = answering()

        async def slow(request):
            begun.set()
            await go_on.wait()
            return await plain(request)

        server.answers = [slow, plain]
        under_way = asyncio.create_task(self.ask(http))
        await begun.wait()
        ours.write_bytes(authority.issue("after").read_bytes())
        assert await self.ask(http) == 200
        old = next(iter(http._retired))
        go_on.set()
        assert await under_way == 200
        assert (register.shown, http._retired, old.transport.connector.closed) == (["before", "after"], set(), True)

    @pytest.mark.parametrize("how", ["half", "empty", "nonsense", "gone"])
    async def test_a_file_that_is_not_in_order_leaves_the_old_certificate_and_says_so_once(
        self, http, register, authority, ours, how
    ):
        whole = authority.issue("after").read_bytes()
        with capture_logs() as logs:
            if how == "gone":
                ours.unlink()
            else:
                ours.write_bytes({"half": whole[: len(whole) * 3 // 4], "empty": b"", "nonsense": b"\x00\x01"}[how])
            assert [await self.ask(http) for _ in range(3)] == [200, 200, 200]
            said = [entry for entry in logs if entry["log_level"] == "error"]
            assert [(entry["event"], entry["setting"]) for entry in said] == [
                ("certificate_not_reloaded", "REGISTERBRO_UPSTREAM__CLIENT_CERT")
            ]
            ours.write_bytes(whole)
            assert await self.ask(http) == 200
        assert register.shown == ["before", "after"]

    async def test_their_authority_may_change_too(self, server, authority, stranger, tmp_path):
        server.answers = [answering()]
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(stranger.file.read_bytes())
        settings = settings_with(client_cert=authority.issue("us"), ca_bundle=bundle)
        with Gateway(server.url, authority.issue("register"), authority.file) as gateway:
            async with HttpClient(gateway.url, settings) as http:
                with pytest.raises(ConnectionLost):
                    await self.ask(http)
                bundle.write_bytes(stranger.file.read_bytes() + authority.file.read_bytes())
                assert await self.ask(http) == 200

    async def test_a_file_and_its_passphrase_change_in_any_order(self, make_settings, authority, tmp_path):
        file, secret = tmp_path / "client.p12", tmp_path / "passphrase"
        file.write_bytes(authority.issue("before", as_pkcs12=True, passphrase="first").read_bytes())
        secret.write_text("first\n")
        settings = make_settings(UDB__CLIENT_CERT=str(file), UDB__CLIENT_CERT_PASSPHRASE_FILE=str(secret))
        ours = Certificates.of(settings, "udb")
        before = ours.context()
        file.write_bytes(authority.issue("after", as_pkcs12=True, passphrase="second").read_bytes())
        await ours.reload_changed()
        assert ours.context() is before
        secret.write_text("second\n")
        await ours.reload_changed()
        assert ours.context() is not before
        assert ours.client.certificate.subject.rfc4514_string() == "CN=after"

    def test_the_metric_tells_of_the_new_end(self, make_settings, authority, ours):
        kept = Certificates.of(make_settings(UDB__CLIENT_CERT=str(ours)), "udb")

        def shown():
            return next(
                sample.value
                for family in metrics.CERTIFICATE_EXPIRY.collect()
                for sample in family.samples
                if sample.labels == {"upstream": "udb", "use": "client_cert"}
            )

        before = shown()
        ours.write_bytes(authority.issue("after", valid_for=timedelta(days=9)).read_bytes())
        assert shown() - before == pytest.approx(timedelta(days=8).total_seconds(), abs=60)
        assert kept.client.expires.timestamp() == shown()


async def test_a_file_is_not_looked_at_for_every_call(authority, tmp_path):
    file = tmp_path / "client.pem"
    file.write_bytes(authority.issue("before").read_bytes())
    ours = Certificates(settings_with(client_cert=file))
    file.unlink()
    with capture_logs() as logs:
        await ours.reload_changed()
    assert logs == []


@pytest.mark.parametrize(
    ("make", "passphrase", "said"),
    [
        (lambda file, other: file, "wrong", "not encrypted, though it has a passphrase"),
        (lambda file, other: file.write_bytes(file.read_bytes()[:-40]), None, "is cut short"),
        (lambda file, other: file.write_bytes(b""), None, "no PEM file"),
        (lambda file, other: file.write_bytes(other.read_bytes().split(b"-----BEGIN P")[0]), None, "no private key"),
        (
            lambda file, other: file.write_bytes(
                other.read_bytes().split(b"-----BEGIN P")[0]
                + b"-----BEGIN P"
                + file.read_bytes().split(b"-----BEGIN P")[1]
            ),
            None,
            "no certificate that goes with its key",
        ),
    ],
    ids=["passphrase-too-many", "cut-short", "empty", "no-key", "another-key"],
)
def test_a_file_that_cannot_be_used_is_one_line_at_the_start_that_names_the_setting(
    make_settings, authority, stranger, make, passphrase, said
):
    file = authority.issue("us")
    make(file, stranger.issue("other"))
    own = {"UDB__CLIENT_CERT": str(file)} | ({"UDB__CLIENT_CERT_PASSPHRASE": passphrase} if passphrase else {})
    with pytest.raises(SettingsError, match=said) as caught:
        Certificates.of(make_settings(**own), "udb")
    assert str(caught.value).startswith("REGISTERBRO_UDB__CLIENT_CERT: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("as_pkcs12", [True, False])
@pytest.mark.parametrize("passphrase", ["wrong-secret", None])
def test_a_passphrase_that_does_not_open_the_file_is_said_and_not_shown(
    make_settings, authority, as_pkcs12, passphrase
):
    own = {"UDB__CLIENT_CERT": str(authority.issue("us", passphrase="right-secret", as_pkcs12=as_pkcs12))}
    own |= {"UDB__CLIENT_CERT_PASSPHRASE": passphrase} if passphrase else {}
    with pytest.raises(SettingsError, match="passphrase") as caught:
        Certificates.of(make_settings(**own), "udb")
    assert "secret" not in str(caught.value)


def test_no_private_key_is_written_to_a_disk(authority, monkeypatch):
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def watching(context, path, password=None):
        seen.append((path, Path(path).read_bytes()))
        return load(context, path, password=password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watching)
    Certificates(settings_with(client_cert=authority.issue("us"))).context()
    assert seen
    for path, content in seen:
        assert path.startswith("/proc/self/fd/")
        assert b"BEGIN ENCRYPTED PRIVATE KEY" in content
        assert b"BEGIN PRIVATE KEY" not in content


def test_settings_still_load_without_any_certificate(make_settings):
    make_settings()
    assert Certificates.of(load(), "udb").files == {}
