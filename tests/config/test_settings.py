"""Settings: what is taken, and the one line that names what is not."""

import base64
import json
import subprocess
import sys
from datetime import timedelta

import pytest
from pydantic import ValidationError

from config import settings as module
from config.celery import REGISTERS
from config.settings import OWN_HEADERS, UPSTREAMS, FaultCode, SettingsError, leaves, load, secret_names, unknown_names
from registerbro.telemetry import trace
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.dfdg_protocol import CPR_HEADER
from workers.eindkomst.client import HEADERS as EINDKOMST_HEADERS

GOOD = {
    "BROKER_URL": "redis://broker:6379/0",
    "LEDGER_URL": "redis://ledger:6379/0",
    "CACHE_URL": "redis://user:very-secret@cache:6379/0",
    "PEPPER": "sixteen characters at least",
    "SEALING_KEYS": base64.urlsafe_b64encode(b"\xff" * 32).decode(),
}


YDELSE_PATH = "/v1/ydelse"
DFDG = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
"""The registers that are DFDG's services."""


@pytest.fixture
def environment(clean_environment):
    for name, value in GOOD.items():
        clean_environment.setenv(f"REGISTERBRO_{name}", value)
    return clean_environment


def test_the_defaults_are_those_of_the_design(environment):
    settings = load()
    freshness = {name: settings.register(name).fresh_for for name in REGISTERS}
    usability = {name: settings.register(name).usable_for for name in REGISTERS}
    hours = lambda n: timedelta(hours=n)  # noqa: E731
    assert freshness == {
        "udb": hours(12),
        "su": hours(12),
        "eindkomst": hours(12),
        "ydelse": hours(6),
        **dict.fromkeys(DFDG, hours(0.25)),
    }
    assert usability == {
        "udb": hours(72),
        "su": hours(72),
        "eindkomst": hours(72),
        "ydelse": hours(48),
        **dict.fromkeys(DFDG, hours(24)),
    }


def test_settings_cannot_be_changed(environment):
    settings = load()
    with pytest.raises(ValidationError):
        settings.log_level = "DEBUG"
    with pytest.raises(ValidationError):
        settings.udb.max_attempts = 9


def test_no_secret_shows_in_a_repr(environment):
    shown = repr(load())
    assert "very-secret" not in shown
    assert "sixteen" not in shown


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BROKER_URL", "", "is missing"),
        ("PEPPER", "", "is missing"),
        ("PEPPER", "too short", "fewer than 16 characters"),
        ("SEALING_KEYS", "not a key", "not 32 bytes in urlsafe base64"),
        ("SEALING_KEYS", ",", "holds no key"),
        ("CACHE_URL", "http://cache", "redis://"),
        ("CACHE_URL", "redis://", "redis://"),
        ("BROKER_URL", "kafka://broker", "amqp://"),
        ("UDB__ATTEMPT_TIMEOUT", "2", "ISO 8601"),
        ("UDB__ATTEMPT_TIMEOUT", "PT2X", "ISO 8601"),
        ("UDB__ATTEMPT_TIMEOUT", "-PT2S", "ISO 8601"),
        ("UDB__ATTEMPT_TIMEOUT", "PT0S", "longer than nothing"),
        ("UDB__ATTEMPT_TIMEOUT", "PT1H", "longer than TOTAL_TIMEOUT"),
        ("YDELSE__FRESH_FOR", "P9D", "longer than USABLE_FOR"),
        ("SU__BASE_URL", "nowhere", "valid URL"),
        ("SU__BASE_URL", "https://user:secret@su.example", "credentials"),
        ("SU__MAX_ATTEMPTS", "0", "greater than 0"),
        ("EINDKOMST__SE_NUMBER", "12", "pattern"),
        ("BOOKING_VENDOR__MAX_ATTEMPTS", "2", "less than or equal to 1"),
        ("JWKS_URL", "http://login.example/jwks.json", "https://"),
        ("JWKS_URL", "http://127.0.0.1/jwks.json", "https://"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
        ("UDB__TOKEN", "to ken", "not visible ASCII"),
        ("UDB__TOKEN", "token\r\nx-a: 1", "not visible ASCII"),
        ("UDB__SCOPE", "a.read", "TOKEN_URL, which it belongs to, is not"),
        ("UDB__CLIENT_ID", "me", "TOKEN_URL, which it belongs to, is not"),
        ("UDB__CLIENT_SECRET", "s", "TOKEN_URL, which it belongs to, is not"),
        ("UDB__TOKEN_URL", "https://user:secret@sts.example", "credentials"),
        ("UDB__HEADERS", "x-a: 1", "is not a JSON object"),
        ("UDB__HEADERS", "[" * 100_000, "is not a JSON object"),
        ("UDB__HEADERS", '["x-a"]', "is not a JSON object"),
        ("UDB__HEADERS", '[["x-a", "1"]]', "is not a JSON object"),
        ("UDB__HEADERS", '{"x a": "1"}', "whose name is none"),
        ("UDB__HEADERS", '{"": "1"}', "whose name is none"),
        ("UDB__HEADERS", '{"x-a": 1}', "visible ASCII"),
        ("UDB__HEADERS", '{"x-a": ""}', "visible ASCII"),
        ("UDB__HEADERS", '{"x-a": "ø"}', "visible ASCII"),
        ("UDB__HEADERS", '{"x-a": "1\\r\\nx-b: 2"}', "visible ASCII"),
        ("UDB__HEADERS", '{"x-a": "1\\u0000"}', "visible ASCII"),
        ("UDB__HEADERS", '{"x-a": "1", "X-A": "2"}', "twice"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(environment, name, value, expected):
    environment.setenv(f"REGISTERBRO_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"REGISTERBRO_{name}: ")
    assert expected in line


@pytest.mark.parametrize("name", ["BOOKING_VENDOR__TOKEN", "BOOKING_VENDOR__CLIENT_CERT_PASSPHRASE"])
def test_a_secret_of_an_upstream_is_missed_by_who_calls_it_alone(environment, name):
    environment.setenv("REGISTERBRO_BOOKING_VENDOR__BASE_URL", "https://vendor.example")
    environment.setenv("REGISTERBRO_UDB__BASE_URL", "https://udb.example")
    environment.setenv("REGISTERBRO_BOOKING_VENDOR__TOKEN", "token")
    environment.delenv(f"REGISTERBRO_{name}", raising=False)
    environment.setenv(f"REGISTERBRO_{name}_FILE", "/nowhere")
    settings = load()
    settings.require("udb")
    with pytest.raises(SettingsError) as caught:
        settings.require("booking_vendor")
    assert str(caught.value) == f"REGISTERBRO_{name}_FILE: cannot be read: No such file or directory"


def test_a_certificate_is_missed_by_who_calls_its_upstream_alone(environment):
    environment.setenv("REGISTERBRO_SU__CLIENT_CERT", "/nowhere.pem")
    settings = load()
    assert Certificates.of(settings, "udb").files == {}
    with pytest.raises(SettingsError) as caught:
        Certificates.of(settings, "su")
    assert str(caught.value) == "REGISTERBRO_SU__CLIENT_CERT: cannot be read: No such file or directory"


@pytest.mark.parametrize("name", sorted(OWN_HEADERS))
def test_a_header_that_each_call_sets_itself_is_refused_in_any_spelling(environment, name):
    environment.setenv("REGISTERBRO_UDB__HEADERS", json.dumps({"x-a": "1", name.title(): "1"}))
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value) == f"REGISTERBRO_UDB__HEADERS: has the header {name}, which each call sets itself"


def test_every_header_that_an_adapter_sets_is_one_of_those():
    ours = [
        CPR_HEADER, trace.HEADER, *EINDKOMST_HEADERS,
        "x-requestId", "Authorization", "User-Agent", "Accept-Encoding", "Host", "Content-Length", "Idempotency-Key",
    ]  # fmt: skip
    assert {name.lower() for name in ours} <= OWN_HEADERS


OAUTH = {"TOKEN_URL": "https://sts.example/t?realm=a", "CLIENT_ID": "me", "CLIENT_SECRET": "s", "SCOPE": "a.read b"}


@pytest.mark.parametrize(
    ("own", "name", "said"),
    [
        ({"TOKEN": "t"}, "TOKEN_URL", "is set, and so is TOKEN: one of them, please"),
        ({"CLIENT_ID": ""}, "CLIENT_ID", "is missing, which TOKEN_URL requires"),
        ({"SCOPE": "a  b"}, "SCOPE", "is not a list of scopes"),
        ({"SCOPE": 'a"b'}, "SCOPE", "is not a list of scopes"),
        ({"CLIENT_ID": "a\nb"}, "CLIENT_ID", "visible ASCII"),
        ({"CLIENT_SECRET": "a\nb"}, "CLIENT_SECRET", "visible ASCII"),
        ({"TOKEN_URL": "http://sts.example/t"}, "TOKEN_URL", "starts with https://"),
        ({"CLIENT_AUTH": "none"}, "CLIENT_AUTH", "client_secret_basic"),
    ],
)
def test_a_token_endpoint_is_set_whole_or_refused_in_one_line(environment, own, name, said):
    for setting, value in ({"BASE_URL": "https://cvr.example"} | OAUTH | own).items():
        environment.setenv(f"REGISTERBRO_CVR__{setting}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"REGISTERBRO_CVR__{name}: ")
    assert said in line


@pytest.mark.parametrize(("one", "value"), [("TOKEN", "t"), ("TOKEN_URL", "https://sts.example")])
def test_cvr_is_shown_a_password_or_a_token(environment, one, value):
    for setting, told in {"USER": "u", "PASSWORD": "p", one: value}.items():
        environment.setenv(f"REGISTERBRO_CVR__{setting}", told)
    if one == "TOKEN_URL":
        environment.setenv("REGISTERBRO_CVR__CLIENT_ID", "me")
    with pytest.raises(SettingsError, match=rf"^REGISTERBRO_CVR__{one}: is set, and so is USER: one of them, please$"):
        load()


def test_a_client_without_a_secret_needs_a_certificate_where_calls_are_made(environment):
    for setting, value in (OAUTH | {"BASE_URL": "https://udb.example", "CLIENT_SECRET": ""}).items():
        environment.setenv(f"REGISTERBRO_UDB__{setting}", value)
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_UDB__CLIENT_SECRET: is missing$"):
        load().require("udb")
    environment.setenv("REGISTERBRO_UDB__CLIENT_CERT", "/run/secrets/client.pem")
    load().require("udb")


def test_the_vendor_takes_a_token_endpoint_in_place_of_a_token(environment):
    for setting, value in (OAUTH | {"BASE_URL": "https://vendor.example"}).items():
        environment.setenv(f"REGISTERBRO_BOOKING_VENDOR__{setting}", value)
    load().require("booking_vendor")


@pytest.mark.parametrize("name", ["HEADERS", "TOKEN", "CLIENT_SECRET"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_each_upstreams_headers_and_secrets_may_be_files(upstream, name):
    assert f"REGISTERBRO_{upstream.upper()}__{name}" in secret_names()


@pytest.mark.parametrize(
    ("upstream", "path"),
    [
        ("udb", "/v1/UDBhaendelser"), ("su", "/v1/su-forloeb"), ("eindkomst", ""), ("ydelse", YDELSE_PATH),
        ("visitering", "/v2/VisiteringOgStatusStatus"), ("kontaktforloeb", "/v2/Indkaldelse"),
        ("jobsearch", "/v2/Joboenske"), ("borgerindsats", "/v1/Aktivitet"),
        ("cvr", "/cvr-permanent/virksomhed/_search"), ("booking_vendor", "/v1/BorgerBooking/Fejlmelding"),
    ],
)  # fmt: skip
def test_each_upstream_has_a_path_which_may_be_set_to_none(environment, upstream, path):
    assert load().upstream(upstream).path == path
    environment.setenv(f"REGISTERBRO_{upstream.upper()}__PATH", "/another")
    assert load().upstream(upstream).path == "/another"
    environment.setenv(f"REGISTERBRO_{upstream.upper()}__PATH", "")
    assert load().upstream(upstream).path == ""


def test_every_bad_setting_is_named_at_once(environment):
    environment.delenv("REGISTERBRO_PEPPER")
    environment.setenv("REGISTERBRO_UDB__MAX_ATTEMPTS", "none")
    with pytest.raises(SettingsError) as caught:
        load()
    assert {line.split(":")[0] for line in str(caught.value).splitlines()} == {
        "REGISTERBRO_PEPPER",
        "REGISTERBRO_UDB__MAX_ATTEMPTS",
    }


@pytest.mark.parametrize("name", ["CACHE_URL", "PEPPER", "SEALING_KEYS", "UDB__HEADERS", "SU__CLIENT_SECRET"])
def test_the_message_never_holds_a_secrets_value(environment, name):
    environment.setenv(f"REGISTERBRO_{name}", "tell-no-one")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "tell-no-one" not in str(caught.value)


def test_a_secret_may_be_a_file(environment, tmp_path):
    file = tmp_path / "pepper"
    file.write_text("a pepper from a file\n")
    environment.delenv("REGISTERBRO_PEPPER")
    environment.setenv("REGISTERBRO_PEPPER_FILE", str(file))
    assert load().pepper.get_secret_value() == "a pepper from a file"


@pytest.mark.parametrize(
    ("pepper", "file", "expected"),
    [
        (None, "/nowhere", "REGISTERBRO_PEPPER_FILE: cannot be read"),
        ("a pepper that is long enough", "/etc/hostname", "REGISTERBRO_PEPPER: is set twice"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_named(environment, pepper, file, expected):
    environment.delenv("REGISTERBRO_PEPPER")
    environment.setenv("REGISTERBRO_PEPPER_FILE", file)
    [environment.setenv("REGISTERBRO_PEPPER", value) for value in [pepper] if value]
    with pytest.raises(SettingsError, match=expected):
        load()


def test_the_newest_key_comes_first(environment):
    keys = [base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (2, 1)]
    environment.setenv("REGISTERBRO_SEALING_KEYS", ", ".join(keys))
    assert [key.get_secret_value()[0] for key in load().sealing_keys] == [2, 1]


def test_a_broker_that_is_no_redis_needs_a_coordination_url(environment):
    environment.setenv("REGISTERBRO_BROKER_URL", "amqp://rabbit")
    with pytest.raises(SettingsError, match="REGISTERBRO_COORDINATION_URL: is missing"):
        load()


def test_a_missing_base_url_is_named_when_it_is_needed(environment):
    with pytest.raises(SettingsError, match="REGISTERBRO_UDB__BASE_URL: is missing"):
        load().base_url("udb")


@pytest.mark.parametrize(
    "url", ["https://x.example", "https://x.example/a/b", "https://x.example/a/b/", "https://x.example:8443/a//"]
)
def test_a_base_url_is_given_as_it_was_written(environment, url):
    environment.setenv("REGISTERBRO_UDB__BASE_URL", url)
    assert load().base_url("udb") == url


@pytest.mark.parametrize("path", ["", "/", "/a/b", "/a/b/", "/V2ServicePort;v=1/%C3%A6"])
def test_a_path_is_what_follows_the_base_url(environment, path):
    environment.setenv("REGISTERBRO_EINDKOMST__PATH", path)
    assert load().eindkomst.path == path


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a/b", "is not a path that starts with / and has no query"),
        ("/a?b=1", "is not a path that starts with / and has no query"),
        ("/a#b", "is not a path that starts with / and has no query"),
        ("/a b", "is not a path that starts with / and has no query"),
        ("/a\n", "is not a path that starts with / and has no query"),
        ("/æ", "is not a path that starts with / and has no query"),
        ("/6102991234", "holds what looks like a CPR number, and goes into URLs"),
        ("/a/610299%201234/b", "holds what looks like a CPR number, and goes into URLs"),
        ("/a/610299-1234/b", "holds what looks like a CPR number, and goes into URLs"),
    ],
)
def test_what_is_no_path_is_refused(environment, path, said):
    environment.setenv("REGISTERBRO_EINDKOMST__PATH", path)
    with pytest.raises(SettingsError) as caught:
        load()
    assert str(caught.value) == f"REGISTERBRO_EINDKOMST__PATH: {said}"


def test_answers_may_be_two_megabytes_long_and_eindkomsts_sixteen(environment):
    settings = load()
    limits = {name: settings.upstream(name).max_body for name in module.UPSTREAMS}
    assert limits == dict.fromkeys(module.UPSTREAMS, 2 * 1024**2) | {"eindkomst": 16 * 1024**2}


@pytest.mark.parametrize(
    ("text", "size"), [("16MiB", 16 * 1024**2), ("500000", 500_000), ("1.5 MB", 1_500_000), ("1", 1)]
)
def test_how_long_an_answer_may_be_is_set_in_bytes_or_with_a_unit(environment, text, size):
    environment.setenv("REGISTERBRO_SU__MAX_BODY", text)
    assert load().su.max_body == size


@pytest.mark.parametrize("text", ["0", "-1", "much", "16 apples"])
def test_what_is_no_size_is_refused(environment, text):
    environment.setenv("REGISTERBRO_SU__MAX_BODY", text)
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_SU__MAX_BODY: "):
        load()


def test_what_is_published_of_the_booking_vendor_is_the_default(environment):
    vendor = load().booking_vendor
    assert (vendor.send_cpr, vendor.idempotent, vendor.repeat_unknown) == (False, False, 1)
    assert vendor.fault_codes == (FaultCode(None, None, 1),)


def test_fault_codes_are_rules_by_page_and_error(environment):
    environment.setenv(
        "REGISTERBRO_BOOKING_VENDOR__FAULT_CODES", " /booking 4769/9018=3;4769/9018 = 4 ; /booking=2; *=1;"
    )
    assert load().booking_vendor.fault_codes == (
        FaultCode("/booking", "4769/9018", 3),
        FaultCode(None, "4769/9018", 4),
        FaultCode("/booking", None, 2),
        FaultCode(None, None, 1),
    )


@pytest.mark.parametrize(
    "text",
    ["1", "*", "*=", "*=x", "*=-1", "*=1234567890", "*=²", "=1", "/a=1", "*=1; /a=2", "*=1; *=2", "/a /b=1; *=1",
     "x y=1; *=1", "* /a=1; *=1", ";"],
)  # fmt: skip
def test_what_is_no_list_of_fault_codes_is_refused(environment, text):
    environment.setenv("REGISTERBRO_BOOKING_VENDOR__FAULT_CODES", text)
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_BOOKING_VENDOR__FAULT_CODES: [^\n]*`[^\n]+$"):
        load()


def test_a_report_cannot_be_sent_again_less_than_not_at_all(environment):
    environment.setenv("REGISTERBRO_BOOKING_VENDOR__REPEAT_UNKNOWN", "-1")
    with pytest.raises(SettingsError, match=r"^REGISTERBRO_BOOKING_VENDOR__REPEAT_UNKNOWN: "):
        load()


@pytest.mark.parametrize("missing", ["BASE_URL", "TOKEN"])
def test_what_the_booking_vendors_worker_needs_is_named_when_it_is_missing(environment, missing):
    values = {"BASE_URL": "https://vendor.example", "TOKEN": "secret"}
    for name, value in values.items():
        environment.setenv(f"REGISTERBRO_BOOKING_VENDOR__{name}", value if name != missing else "")
    with pytest.raises(SettingsError, match=f"REGISTERBRO_BOOKING_VENDOR__{missing}: is missing"):
        load().require("booking_vendor")


def test_a_misspelt_setting_is_noticed():
    assert unknown_names({"REGISTERBRO_CASHE_URL": "", "REGISTERBRO_PEPPER_FILE": "", "HOME": ""}) == (
        "REGISTERBRO_CASHE_URL (did you mean REGISTERBRO_CACHE_URL?)",
    )


@pytest.mark.parametrize("module_name", ["workers.app", "cli.app"])
def test_a_process_with_a_bad_setting_stops_with_one_line_and_no_traceback(environment, project, module_name):
    environment.setenv("REGISTERBRO_CACHE_URL", "nonsense")
    environment.setenv("REGISTERBRO_OPERATOR", "tester")
    command = {"workers.app": ["celery", "-A", "workers.app", "worker"], "cli.app": ["cli.app", "page"]}[module_name]
    ended = subprocess.run(
        [sys.executable, "-m", *command], cwd=project, capture_output=True, text=True, timeout=60, check=False,
        input="610299-1234\n",
    )  # fmt: skip
    assert ended.returncode != 0
    assert ended.stderr.strip() == (
        "registerbro: REGISTERBRO_CACHE_URL: is not a URL that starts with one of redis://, rediss://, unix://"
    )


def test_the_example_lists_every_setting_once_and_nothing_else(project):
    lines = (project / ".env.example").read_text(encoding="utf-8").splitlines()
    listed = [line.lstrip("# ").split("=")[0] for line in lines if "=" in line and "REGISTERBRO_" in line]
    assert sorted(listed) == sorted(name for name, _, _ in leaves())
    assert set(secret_names()) <= set(listed)


def test_every_setting_is_described():
    assert [name for name, description, _ in leaves() if not description] == []


def test_the_settings_of_a_process_are_read_once(environment):
    module.settings.cache_clear()
    try:
        assert module.settings() is module.settings()
    finally:
        module.settings.cache_clear()


def test_the_demo_may_fetch_its_key_set_without_tls(environment, tmp_path):
    key = tmp_path / "key.pem"
    key.touch()
    environment.setenv("REGISTERBRO_JWKS_URL", "http://127.0.0.1/jwks.json")
    environment.setenv("REGISTERBRO_DEMO__SIGNING_KEY_FILE", str(key))
    environment.setenv("REGISTERBRO_DEMO__CONTROL_URL", "http://127.0.0.1:8100")
    assert str(load().jwks_url) == "http://127.0.0.1/jwks.json"
