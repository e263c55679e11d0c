"""A certificate that its authority has revoked is not believed, where the installation has the authority's list."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from config.settings import SettingsError, UpstreamSettings
from registerbro.telemetry import metrics
from registerbro.upstreams import certificates
from registerbro.upstreams.certificate_files import Identity, Revoked
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import ConnectionLost
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.messages import Question
from simulators.authority import Authority
from simulators.gateway import Gateway
from tests.registerbro.upstreams.conftest import answering

OVER = timedelta(hours=-1)


@pytest.fixture(autouse=True)
def at_every_call(monkeypatch):
    monkeypatch.setattr(certificates, "CHECK_EVERY_SECONDS", 0)


@pytest.fixture
def stranger(tmp_path):
    """Another authority, of the same name."""
    (tmp_path / "elsewhere").mkdir()
    return Authority(tmp_path / "elsewhere", "authority")


@pytest.fixture
def register(server, authority):
    server.answers = [answering()]
    authority.issue("another")
    with Gateway(server.url, authority.issue("register"), authority.file) as gateway:
        yield gateway


def settings_with(authority, crl_file, **more):
    return UpstreamSettings(
        client_cert=authority.issue("us"), ca_bundle=authority.file, crl_file=crl_file, **more
    )  # fmt: skip


async def ask(http):
    return (await http.send(Question("GET", "/"), {}, 10)).status


async def call(register, settings):
    async with HttpClient(register.url, settings) as http:
        return await ask(http)


@pytest.mark.parametrize("as_der", [False, True], ids=["PEM", "DER"])
async def test_a_register_whose_certificate_was_revoked_hears_nothing(server, register, authority, as_der):
    assert await call(register, settings_with(authority, authority.revoke("another", as_der=as_der))) == 200
    asked = len(server.requests)
    with pytest.raises(ConnectionLost, match=r"certificate revoked$"):
        await call(register, settings_with(authority, authority.revoke("another", "register", as_der=as_der)))
    assert len(server.requests) == asked


async def test_where_no_list_is_set_nobody_is_asked(register, authority):
    authority.revoke("register")
    assert await call(register, settings_with(authority, None)) == 200


async def test_a_list_that_is_not_the_authoritys_tells_of_nothing_and_nobody_is_believed(register, authority, stranger):
    with pytest.raises(ConnectionLost):
        await call(register, settings_with(authority, stranger.revoke()))


@pytest.mark.parametrize(("chosen", "accepted"), [("refuse", False), ("accept", True)])
async def test_a_list_whose_time_is_over_means_what_is_set(register, authority, chosen, accepted):
    settings = settings_with(authority, authority.revoke("another", valid_for=OVER), crl_expired=chosen)
    with capture_logs() as logs:
        async with HttpClient(register.url, settings) as http:
            for _ in range(2):
                if accepted:
                    assert await ask(http) == 200
                else:
                    with pytest.raises(ConnectionLost, match="CRL has expired"):
                        await ask(http)
    said = [one for one in logs if one["event"] == "revocation_list_expired"]
    expected = "accepted" if accepted else "refused"
    assert [(one["setting"], one["connections"]) for one in said] == [("crl_file", expected)]


async def test_a_list_that_changes_is_taken_up_by_the_next_call_also_of_who_was_connected(register, authority):
    async with HttpClient(register.url, settings_with(authority, authority.revoke())) as http:
        assert await ask(http) == 200
        authority.revoke("register")
        with pytest.raises(ConnectionLost, match="certificate revoked"):
            await ask(http)
        authority.revoke("another")
        assert await ask(http) == 200


async def test_a_list_that_is_not_in_order_leaves_the_one_before(register, authority):
    file = authority.revoke("register")
    async with HttpClient(register.url, settings_with(authority, file)) as http:
        file.write_bytes(b"nonsense")
        with capture_logs() as logs, pytest.raises(ConnectionLost, match="certificate revoked"):
            await ask(http)
    said = [one["setting"] for one in logs if one["event"] == "certificate_not_reloaded"]
    assert said == ["REGISTERBRO_UPSTREAM__CRL_FILE"]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x30\x03\x02\x01\x01"])
def test_a_file_without_a_list_is_one_line_at_the_start(make_settings, tmp_path, content):
    (tmp_path / "x.crl").write_bytes(content)
    with pytest.raises(SettingsError, match="holds no revocation list") as caught:
        Certificates.of(make_settings(UDB__CRL_FILE=str(tmp_path / "x.crl")), "udb")
    assert str(caught.value).startswith("REGISTERBRO_UDB__CRL_FILE: ")


def test_of_several_lists_the_first_to_end_counts(authority, stranger):
    authority.issue("one")
    soon = authority.revoke("one", valid_for=timedelta(hours=1)).read_bytes()
    both = Revoked.parse(soon + stranger.revoke().read_bytes(), None)
    assert (len(both.lists), both.count) == (2, 1)
    assert both.expires == min(one.next_update_utc for one in both.lists) < datetime.now(UTC) + timedelta(hours=2)


def test_the_metric_tells_when_the_next_list_is_due(make_settings, authority):
    file = authority.revoke(valid_for=timedelta(days=3))
    kept = Certificates.of(make_settings(UDB__CRL_FILE=str(file)), "udb")
    (shown,) = (
        sample.value
        for family in metrics.CRL_EXPIRY.collect()
        for sample in family.samples
        if sample.labels == {"upstream": "udb", "use": "crl_file"}
    )
    assert shown == kept.revoked["crl_file"].value.expires.timestamp()


@pytest.mark.parametrize("name", ["one", "two"])
def test_a_list_tells_of_a_certificate_where_its_own_authority_has_signed_it(authority, stranger, name):
    issued = {one: Identity.parse(authority.issue(one).read_bytes(), None).certificate for one in ("one", "two")}
    revoked = Revoked.parse(authority.revoke("one").read_bytes(), None)
    assert revoked.tells_of(issued[name], [stranger.certificate, authority.certificate]) is (name == "one")
    assert revoked.tells_of(issued[name], [stranger.certificate]) is None
