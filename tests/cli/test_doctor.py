"""What somebody on call is told at 3 a.m.: each thing that is wrong by its name, with what to do."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.celery import QUEUES
from config.settings import UPSTREAMS
from demo.installation import DEMO_CREDENTIALS, find_redis, kind_of
from registerbro.fault_reports.model import Content
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, unknown_values
from simulators import Simulation
from simulators.authority import Authority
from simulators.gateway import Gateway


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def good(simulation, make_settings, empty_redis):
    """The settings of an installation in which everything is there."""
    make_settings()
    with empty_redis["broker"].client() as broker:
        broker.mset({f"alive:{queue}": 1 for queue in QUEUES})
    urls = {f"{name.upper()}__BASE_URL": url for name, url in simulation.urls.items() if name != "control"}
    return {**urls, **DEMO_CREDENTIALS, "JWKS_URL": "https://127.0.0.1:9/jwks", "JWT_ISSUER": "x", "JWT_AUDIENCE": "y"}


@pytest.fixture
def examine(good, registerbro):
    def run(**own):
        ended = registerbro("doctor", "--json", **(good | own))
        return ended.returncode, json.loads(ended.stdout)

    return run


def wrong(findings):
    return {finding["check"]: finding for finding in findings if finding["verdict"] != "ok"}


def certificate(path, days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=400)).not_valid_after(now + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return str(path)


def test_an_installation_in_which_everything_is_there_is_well(examine):
    status, findings = examine()
    assert wrong(findings) == {}
    assert status == 0
    seen = {finding["check"]: finding["seen"] for finding in findings}
    assert set(seen) >= {"redis: ledger", "upstream: udb", "workers", "fault reports"}
    assert "as default, who may do everything" in seen["redis: ledger"]
    assert seen["redis: ledger"].startswith(f"{kind_of(find_redis())}.")


def test_an_upstream_that_is_not_reached_is_named(examine):
    status, findings = examine(UDB__BASE_URL="http://127.0.0.1:9")
    assert (status, list(wrong(findings))) == (1, ["upstream: udb"])
    assert "http://127.0.0.1:9" in wrong(findings)["upstream: udb"]["seen"]


SECRET = "told-to-nobody"


@pytest.mark.parametrize(
    ("own", "status", "verdict", "seen"),
    [
        ({}, 0, "ok", "/oauth2/token issues one"),
        ({"UDB__SCOPE": "su.read"}, 1, "fail", "/oauth2/token: token endpoint: HTTP 400: invalid_scope"),
        ({"UDB__TOKEN_URL": f"http://127.0.0.1:9/t?key={SECRET}"}, 1, "fail", "/t: token endpoint: no connection: "),
    ],
)
def test_a_token_endpoint_is_asked_for_a_token_and_no_secret_is_shown(examine, simulation, own, status, verdict, seen):
    url = simulation.urls["udb"]
    simulation.control.expect_token("udb", client_id="me", client_secret=SECRET, scope="udb.read")
    settings = {"UDB__TOKEN_URL": f"{url}/oauth2/token", "UDB__CLIENT_ID": "me", "UDB__CLIENT_SECRET": SECRET}
    headers = {"UDB__HEADERS": json.dumps({"x-user": SECRET}), "UDB__SCOPE": "udb.read", "SU__TOKEN": SECRET}
    try:
        ended, findings = examine(**(settings | headers | own))
    finally:
        simulation.control.reset()
    found = {finding["check"]: finding for finding in findings}
    assert ended == status
    assert found["token of udb"]["verdict"] == verdict
    assert seen in found["token of udb"]["seen"]
    assert "token of su" not in found
    assert SECRET not in json.dumps(findings)


def test_a_redis_that_is_away_is_named_with_its_setting(examine):
    status, findings = examine(CACHE_URL="redis://127.0.0.1:9/0")
    assert (status, list(wrong(findings))) == (1, ["redis: cache"])
    assert "CACHE_URL" in wrong(findings)["redis: cache"]["advice"]


def test_a_ledger_that_may_lose_what_it_took_is_refused(examine, empty_redis):
    status, findings = examine(LEDGER_URL=empty_redis["cache"].url)
    assert status == 1
    assert "append-only" in wrong(findings)["redis: ledger"]["seen"]


def test_reports_that_wait_for_a_decision_are_told_and_those_that_do_not_are_no_fault(examine, make_settings):
    async def lose_answers(times):
        services = Services(make_settings())
        box = services.outbox
        report = await box.accept(("a" * 52,), Content("x"), "k")
        for _ in range(times):
            await box.replay(report.id)
            await box.leave_unknown(await box.begin_delivery(report.id, timedelta(seconds=10)), "timeout")
        await services.close()

    asyncio.run(lose_answers(1))
    assert "fault reports" not in wrong(examine()[1])
    asyncio.run(lose_answers(1))
    assert wrong(examine()[1])["fault reports"]["seen"] == "1 need a person"


def test_a_queue_that_nobody_consumes_is_named(examine, empty_redis):
    with empty_redis["broker"].client() as broker:
        broker.delete("alive:su.bulk")
    status, findings = examine()
    assert (status, list(wrong(findings))) == (1, ["workers of su.bulk"])


@pytest.mark.parametrize(("days", "verdict", "status"), [(-1, "fail", 1), (10, "warn", 0), (200, None, 0)])
def test_a_certificate_is_told_of_before_it_ends(examine, tmp_path, days, verdict, status):
    ended, findings = examine(SU__CLIENT_CERT=certificate(tmp_path / "client.pem", days))
    assert ended == status
    assert wrong(findings).get("certificate of su", {}).get("verdict") == verdict


def test_a_certificate_with_a_passphrase_is_looked_into(examine, tmp_path):
    file = Authority(tmp_path, "authority").issue(
        "us", as_pkcs12=True, passphrase="secret", valid_for=timedelta(days=9), with_rsa=True
    )
    own = {"EINDKOMST__SIGNING_CERT": str(file), "EINDKOMST__SIGNING_CERT_PASSPHRASE": "secret"}
    status, findings = examine(**own)
    assert (status, wrong(findings)["certificate of eindkomst"]["verdict"]) == (0, "warn")
    status, findings = examine(**own | {"EINDKOMST__SIGNING_CERT_PASSPHRASE": "another"})
    assert status == 1
    assert "REGISTERBRO_EINDKOMST__SIGNING_CERT: " in wrong(findings)["certificate of eindkomst"]["seen"]
    assert "another" not in str(findings)


def test_a_certificate_that_is_only_with_its_workers_is_no_failure_elsewhere(examine):
    status, findings = examine(SU__CLIENT_CERT="/nowhere.pem")
    assert (status, list(wrong(findings))) == (0, ["certificate of su", "upstream: su"])
    assert "elsewhere it is not needed" in wrong(findings)["certificate of su"]["advice"]


def test_a_certificate_that_an_upstream_refuses_is_told_as_that(examine, simulation, tmp_path):
    authority = Authority(tmp_path, "authority")
    with Gateway(simulation.urls["udb"], authority.issue("register"), authority.file) as gateway:
        own = {"UDB__BASE_URL": gateway.url, "UDB__CA_BUNDLE": str(authority.file)}
        status, findings = examine(**own)
    assert (status, list(wrong(findings))) == (1, ["certificate of udb", "upstream: udb"])
    assert "certificate was refused" in wrong(findings)["upstream: udb"]["seen"]
    assert "agreed on" in wrong(findings)["upstream: udb"]["advice"]


@pytest.mark.parametrize(
    ("valid_for", "more", "status", "verdict", "seen"),
    [
        (timedelta(days=1), {}, 0, "ok", "names 1 certificates, and is in force until 20"),
        (timedelta(hours=-1), {}, 1, "fail", "until then nothing of theirs is believed"),
        (timedelta(hours=-1), {"UDB__CRL_EXPIRED": "accept"}, 0, "warn", "nobody is asked whether"),
    ],
)
def test_what_is_known_of_revoked_certificates_is_told(examine, tmp_path, valid_for, more, status, verdict, seen):
    authority = Authority(tmp_path, "authority")
    authority.issue("one")
    ended, findings = examine(UDB__CRL_FILE=str(authority.revoke("one", valid_for=valid_for)), **more)
    (found,) = (one for one in findings if one["check"] == "revocation: udb")
    assert (ended, found["verdict"]) == (status, verdict)
    assert seen in found["seen"]
    (others,) = (one["seen"] for one in findings if one["check"] == "revocation")
    assert others == "not asked about the certificates of " + ", ".join(name for name in UPSTREAMS if name != "udb")


async def test_a_partial_register_is_named_with_kinds_times_and_what_to_do(examine, services):
    status, findings = await asyncio.to_thread(examine)
    assert [finding["verdict"] for finding in findings if finding["check"] == "answers"] == ["ok"]
    await partial_answers.record(services.coordination, "eindkomst", {"period": 2, "income_type": 1})
    status, findings = await asyncio.to_thread(examine)
    assert (status, list(wrong(findings))) == (0, ["answers of eindkomst"])
    finding = wrong(findings)["answers of eindkomst"]
    assert finding["verdict"] == "warn"
    assert finding["seen"].startswith("partial: 3 items (income_type 1, period 2) could not be read, since 20")
    assert "`items_left_out`" in finding["advice"]
    assert "docs/operations.md, RegisterbroRegisterPartial" in finding["advice"]


async def test_unknown_values_are_named_with_what_to_do(examine, services):
    await unknown_values.record(services.coordination, "portal", {"contact_group 40": 3})
    await unknown_values.record(services.coordination, "ydelse", {"ydelsestype NYT": 1})
    status, findings = await asyncio.to_thread(examine)
    found = wrong(findings)
    assert (status, sorted(found)) == (0, ["unknown values of portal", "unknown values of ydelse"])
    assert found["unknown values of portal"]["seen"].startswith("contact_group 40 (3 times), last at 20")
    assert "rules file" in found["unknown values of ydelse"]["advice"]


def test_the_rules_are_told_and_a_file_that_is_refused_fails_with_its_line_and_ends_no_other_check(examine, tmp_path):
    status, findings = examine()
    assert [one["seen"] for one in findings if one["check"] == "rules"] == ["the default ones; no change is known"]
    path = tmp_path / "rules.toml"
    path.write_text("[[benefit]]\ntype = 'NYT'\nlabel = 'Ny'\nfrom = 2099-01-01\n", encoding="utf-8")
    status, findings = examine(RULES_FILE=str(path))
    assert (status, [one["seen"] for one in findings if one["check"] == "rules"]) == (
        0, [f"{path}; the next change is on 2099-01-01"],
    )  # fmt: skip
    path.write_text("[[benefit]]\ntype = 'NYT'\nname = 'Ny'\n", encoding="utf-8")
    status, findings = examine(RULES_FILE=str(path))
    assert (status, list(wrong(findings))) == (1, ["rules"])
    seen = "there are type, label, from, to"
    assert (
        wrong(findings)["rules"]["seen"] == f"REGISTERBRO_RULES_FILE: {path}:3: [[benefit]] has no field 'name': {seen}"
    )
    assert "`registerbro rules check`" in wrong(findings)["rules"]["advice"]


def test_a_misspelt_setting_is_told(examine):
    status, findings = examine(UDB__FRESH_FRO="PT1H")
    assert status == 0
    assert "did you mean REGISTERBRO_UDB__FRESH_FOR?" in wrong(findings)["settings"]["seen"]


SIGNATURE = "signature of eindkomst"


def test_without_certificates_it_is_told_that_nothing_is_signed(examine):
    status, findings = examine()
    assert (status, wrong(findings)) == (0, {})
    assert {finding["seen"] for finding in findings if finding["check"] == SIGNATURE} == {
        "questions are not signed; answers are not verified"
    }


@pytest.mark.parametrize(
    ("own", "seen", "named"),
    [
        ({}, "questions are signed with sha1, with the token; answers are verified with sha1", [0, 1]),
        ({"SIGN_TOKEN": "false", "VERIFY_ALGORITHMS": "sha256,sha512"},
         "questions are signed with sha1, without the token; answers are verified with sha256 or sha512", [0]),
        ({"SIGNATURE": "sha256", "VERIFY_ALGORITHMS": "sha256,sha1"},
         "questions are signed with sha256, with the token; answers are verified with sha1 or sha256", [1]),
        ({"SIGNATURE": "sha256"},
         "questions are signed with sha256, with the token; answers are verified with sha256", []),
        ({"SIGNING_CERT": ""}, "questions are not signed; answers are verified with sha1", [1]),
        ({"VERIFY_WITH": ""}, "questions are signed with sha1, with the token; answers are not verified", [0]),
    ],
)  # fmt: skip
def test_what_is_in_force_of_a_signature_is_told_and_sha1_is_worth_a_word(examine, tmp_path, own, seen, named):
    file = str(Authority(tmp_path, "authority").issue("us", with_rsa=True, valid_for=timedelta(days=200)))
    chosen = {"SIGNING_CERT": file, "VERIFY_WITH": file} | own
    status, findings = examine(**{f"EINDKOMST__{name}": value for name, value in chosen.items()})
    assert status == 0
    assert [finding["seen"] for finding in findings if finding["check"] == SIGNATURE] == [seen]
    assert (SIGNATURE in wrong(findings)) == bool(named)
    if named:
        finding = wrong(findings)[SIGNATURE]
        assert finding["verdict"] == "warn"
        assert "ask Skatteforvaltningen" in finding["advice"]
        assert "docs/going-live.md" in finding["advice"]
        for number, name in enumerate(("EINDKOMST__SIGNATURE", "EINDKOMST__VERIFY_ALGORITHMS")):
            assert (name in finding["advice"]) == (number in named)


def test_a_key_that_cannot_sign_as_it_is_set_is_named_with_both_settings(examine, tmp_path):
    file = str(Authority(tmp_path, "authority").issue("us", valid_for=timedelta(days=200)))
    status, findings = examine(EINDKOMST__SIGNING_CERT=file)
    assert (status, list(wrong(findings))) == (1, [SIGNATURE])
    assert "EINDKOMST__SIGNING_CERT: holds an EC key" in wrong(findings)[SIGNATURE]["seen"]
    assert "EINDKOMST__SIGNATURE is sha1" in wrong(findings)[SIGNATURE]["seen"]
    status, findings = examine(EINDKOMST__SIGNING_CERT=file, EINDKOMST__SIGNATURE="sha256")
    assert (status, wrong(findings)) == (0, {})
