"""`registerbro conformance`: the simulators conform, each planted difference is named, and nothing is kept of it.

Over 350 lines, since the register with ten differences is one table and one test of it.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from uuid import uuid4

import httpx
import pytest

from config.settings import UPSTREAMS
from demo.installation import DEMO_CREDENTIALS
from domain.cpr import Cpr
from redis_admission import State
from registerbro.conformance.constructed import Constructed
from simulators import Simulation, citizens
from simulators.authority import Authority
from simulators.gateway import Gateway
from simulators.signatures import Signatures, Signer
from tests.cli.conftest import NUMBER

COMPANY = ("--company", "11111111")
OTHER = citizens.EMPTY.cpr


@pytest.fixture(scope="module")
def simulation():
    with Simulation() as running:
        yield running


@pytest.fixture
def addresses(simulation):
    simulation.control.reset()
    asked = {"x-civilRegistrationIdentifier": NUMBER, "x-requestId": str(uuid4())}
    httpx.post(f"{simulation.urls['udb']}/v1/UDBabonnement", headers=asked, json={}).raise_for_status()
    urls = {f"{name.upper()}__BASE_URL": url for name, url in simulation.urls.items() if name != "control"}
    return urls | DEMO_CREDENTIALS


@pytest.fixture
def conformance(registerbro, addresses):
    """Runs the command with --json: its exit status, the reports by operation, and all that was written."""

    def run(*arguments, stdin=f"{NUMBER}\n", **own):
        ended = registerbro("conformance", *arguments, "--json", stdin=stdin, **(addresses | own))
        reports = {one["operation"]: one for one in json.loads(ended.stdout)} if ended.stdout else {}
        return ended.returncode, reports, ended.stdout + ended.stderr

    return run


DFDG = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
CALLS = {name: 2 if name in DFDG else 1 for name in UPSTREAMS} | {"kontaktforloeb": 5, "booking_vendor": 0}
"""Upstream → how often it is asked, once for each of its reads; for free times it takes an offer, and so two calls."""


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_the_simulator_of_each_upstream_conforms(conformance, upstream):
    status, reports, written = conformance(upstream, *COMPANY)
    assert (status, {one["upstream"] for one in reports.values()}) == (0, {upstream})
    assert [one["findings"] for one in reports.values() if one["findings"]] == []
    assert {one["verdict"] for report in reports.values() for one in report["assumptions"]} <= {"holds", "not seen"}
    assert NUMBER not in written


def test_all_upstreams_are_asked_one_after_the_other_and_told_with_a_summary(registerbro, addresses):
    ended = registerbro("conformance", "all", *COMPANY, **addresses)
    assert ended.returncode == 0
    told = [line.partition(":")[0] for line in ended.stdout.splitlines() if line[:1].isalpha()]
    assert list(dict.fromkeys(told)) == list(UPSTREAMS)
    assert ended.stdout.count("conforms") == sum(CALLS.values()) - 1
    assert "left out" in ended.stdout
    assert "ASSUMED: the values of these fields; published is what they mean: holds" in ended.stdout
    assert "Alma" not in ended.stdout
    assert NUMBER not in ended.stdout + ended.stderr


def test_each_call_is_made_once_on_record_and_nothing_is_kept(conformance, registerbro, simulation, empty_redis):
    assert conformance("all", *COMPANY, "--reason", "the agreement of 1 May")[0] == 0
    asked = {name: simulation.control.calls(name).total for name in UPSTREAMS}
    assert asked == CALLS
    with empty_redis["cache"].client() as cache:
        assert cache.keys("*") == []
    records = json.loads(registerbro("audit", "for", "--json").stdout)
    actions = [one for one in records if one.get("action") == "conformance"]
    assert [one["target"] for one in actions] == list(UPSTREAMS)
    assert {(one["by"], one["reason"], one["outcome"]) for one in actions} == {
        ("tester", "the agreement of 1 May", "done")
    }
    look_ups = [one for one in records if "upstream" in one]
    assert {(one["upstream"], one["behalf"], one["by"]) for one in look_ups} == {
        (name, "operator", "tester") for name in UPSTREAMS if name != "booking_vendor"
    }


def test_what_cannot_be_recorded_is_not_done(registerbro, addresses, simulation):
    ended = registerbro("conformance", "udb", **addresses, AUDIT_DIR="/nowhere")
    assert (ended.returncode, simulation.control.calls("udb").total) == (2, 0)


def test_what_stops_one_upstream_leaves_the_others_reports(conformance, monkeypatch):
    from registerbro.audit_log import AuditNotWritten, AuditWriter

    whole = AuditWriter.action

    def action(self, what, by, *, target="", **more):
        if target == "su":
            raise AuditNotWritten("the disk is full")
        return whole(self, what, by, target=target, **more)

    monkeypatch.setattr(AuditWriter, "action", action)
    status, reports, _ = conformance("all", *COMPANY)
    assert (status, reports["haendelser"]["conforms"], reports["getYdelses"]["conforms"]) == (1, True, True)
    told = "the audit log cannot be written, so nothing was done: the disk is full"
    assert (reports["every operation"]["upstream"], reports["every operation"]["not_made"]) == ("su", told)


def test_a_citizen_of_whom_there_is_nothing_decides_less_and_is_no_fault(conformance):
    status, reports, _ = conformance("udb", stdin=f"{citizens.UNKNOWN.cpr}\n")
    report = reports["haendelser"]
    assert (status, report["status"], report["read"]) == (0, 404, "the adapter reads no data")
    assert {one["seen"] for one in report["fields"]} == {"not seen"}
    verdicts = [one["verdict"] for one in report["assumptions"]]
    assert (verdicts[0], set(verdicts)) == ("holds", {"holds", "not seen"})


def test_a_write_is_made_only_when_it_is_asked_for(conformance, simulation):
    status, reports, _ = conformance("booking_vendor")
    assert (status, reports["fejlmelding"]["not_made"]) == (0, "it writes to the upstream: --write")
    assert simulation.control.calls("booking_vendor").total == 0
    status, reports, _ = conformance("booking_vendor", "--write")
    assert (status, reports["fejlmelding"]["status"], simulation.control.calls("booking_vendor").total) == (0, 200, 1)


def test_no_meeting_is_booked_or_reserved(conformance, simulation):
    status, reports, _ = conformance("kontaktforloeb", "--write")
    assert (status, [one["conforms"] for one in reports.values()]) == (0, [True] * 4)
    assert simulation.control.calls("kontaktforloeb").writes == []


async def test_a_subscription_of_a_citizens_own_is_not_cancelled(conformance, simulation, services):
    cpr = Cpr.parse(NUMBER)
    minute = timedelta(minutes=1)
    await services.subscriptions.begin("udb", cpr, services.citizens.ids_of(cpr), within=minute, keep_for=minute)
    status, reports, _ = await asyncio.to_thread(conformance, "udb", "--write")
    assert (status, reports["haendelser"]["conforms"], simulation.control.calls("udb").total) == (0, True, 1)
    for operation in ("abonnement", "annullering"):
        assert reports[operation]["not_made"].startswith("the citizen is subscribed there")
    assert list(simulation.control.subscriptions()) == [NUMBER]


def test_a_subscription_is_made_and_cancelled_again(conformance, simulation):
    status, reports, _ = conformance("udb", "--write")
    assert (status, [one["status"] for one in reports.values()]) == (0, [200, 200, 200])
    assert simulation.control.subscriptions() == {}


def test_eindkomst_may_be_asked_about_fewer_months(conformance, simulation):
    _, whole, _ = conformance("eindkomst")
    _, short, _ = conformance("eindkomst", "--months", "1")
    assert short["IndkomstOplysningPersonHent"]["size"] < whole["IndkomstOplysningPersonHent"]["size"]


def test_a_failing_register_is_told_and_its_breaker_counts_nothing(conformance, registerbro, simulation, addresses):
    simulation.control.fault("udb", {"kind": "status", "status": 503})
    for _ in range(6):
        status, reports, _ = conformance("udb")
        assert (status, reports["haendelser"]["status"]) == (1, 503)
    assert reports["haendelser"]["read"] == "the adapter cannot use it: unavailable: HTTP 503"
    simulation.control.reset()
    assert conformance("udb")[0] == 0
    shown = json.loads(registerbro("status", "--json", **addresses).stdout)
    assert shown["upstreams"]["udb"]["state"] == State.CLOSED


@pytest.mark.parametrize(("order", "made"), [("force-open", False), ("disable", True), ("metrics-only", True)])
def test_an_operators_override_holds(conformance, registerbro, simulation, addresses, order, made):
    assert registerbro("breaker", "udb", order, "--reason", "x", **addresses).returncode == 0
    status, reports, _ = conformance("udb")
    assert (status == 0, simulation.control.calls("udb").total) == (made, int(made))
    if not made:
        assert reports["haendelser"]["not_made"].startswith("circuit_open: forced open")


def test_an_upstream_that_is_not_set_up_here_is_told_with_its_setting(conformance):
    status, reports, _ = conformance("udb", UDB__CLIENT_CERT="/nowhere.pem")
    assert status == 1
    assert "REGISTERBRO_UDB__CLIENT_CERT" in reports["haendelser"]["not_made"]


def test_the_certificate_of_the_other_side_is_shown(registerbro, addresses, simulation, tmp_path):
    authority = Authority(tmp_path, "authority")
    own = {"UDB__CA_BUNDLE": str(authority.file), "UDB__CLIENT_CERT": str(authority.issue("us"))}
    with Gateway(simulation.urls["udb"], authority.issue("register"), authority.file) as gateway:
        ended = registerbro("conformance", "udb", **(addresses | own | {"UDB__BASE_URL": gateway.url}))
    assert ended.returncode == 0
    assert "TLSv1.3, certificate of CN=register, issued by CN=authority, until 20" in ended.stdout


def test_a_certificate_that_is_refused_is_told(conformance, simulation, tmp_path):
    authority = Authority(tmp_path, "authority")
    with Gateway(simulation.urls["udb"], authority.issue("register"), authority.file) as gateway:
        status, reports, _ = conformance("udb", UDB__CA_BUNDLE=str(authority.file), UDB__BASE_URL=gateway.url)
    assert (status, reports["haendelser"]["status"]) == (1, None)
    assert "the client certificate was refused" in reports["haendelser"]["read"]


async def test_a_citizen_in_quarantine_there_is_not_asked_about(conformance, services, simulation):
    await services.quarantine.put("udb", services.citizens.id_of(Cpr.parse(NUMBER)), 1_700_000_000_000)
    status, reports, _ = await asyncio.to_thread(conformance, "udb")
    assert (status, simulation.control.calls("udb").total) == (1, 0)
    assert reports["haendelser"]["not_made"].startswith("quarantined: ")


TOKEN = {"UDB__CLIENT_ID": "me", "UDB__CLIENT_SECRET": "Rosinenbrot", "UDB__SCOPE": "udb.read"}


def test_a_token_is_fetched_and_neither_it_nor_our_secret_is_told_or_recorded(conformance, simulation, tmp_path):
    simulation.control.expect_token("udb", client_id="me", client_secret="Rosinenbrot", scope="udb.read")
    own = TOKEN | {
        "UDB__TOKEN_URL": f"{simulation.urls['udb']}/oauth2/token",
        "UDB__HEADERS": '{"x-org": "Rosinenbrot"}',
    }
    status, reports, written = conformance("udb", "--record", str(tmp_path), **own)
    (file,) = tmp_path.iterdir()
    assert (status, simulation.control.tokens("udb")) == (0, {"issued": 1, "refused": 0})
    assert reports["haendelser"]["address"] == f"{simulation.urls['udb']}/v1/UDBhaendelser"
    for text in (written, file.read_text("utf-8")):
        assert [word for word in ("Rosinenbrot", "Bearer", "x-org") if word in text] == []


def test_a_token_that_is_not_issued_is_told_and_no_citizen_is_looked_up(conformance, simulation, tmp_path):
    simulation.control.expect_token("udb", client_id="me", client_secret="another", scope="udb.read")
    own = TOKEN | {"UDB__TOKEN_URL": f"{simulation.urls['udb']}/oauth2/token"}
    status, reports, written = conformance("udb", "--record", str(tmp_path), **own)
    assert (status, simulation.control.calls("udb").total, list(tmp_path.iterdir())) == (1, 0, [])
    assert reports["haendelser"]["not_made"].startswith("not_authorised: token endpoint: ")
    assert "Rosinenbrot" not in written


def test_a_signed_exchange_is_verified_and_recorded_without_certificates(conformance, simulation, tmp_path):
    authority = Authority(tmp_path, "authority")
    files = {name: authority.issue(name, with_rsa=True) for name in ("us", "gateway", "stranger")}
    us, gateway, stranger = (Signer.load(files[name]) for name in ("us", "gateway", "stranger"))
    own = {"EINDKOMST__SIGNING_CERT": str(files["us"]), "EINDKOMST__VERIFY_WITH": str(files["gateway"])}
    folder = tmp_path / "recordings"
    folder.mkdir()
    with simulation.signing(Signatures(us.certificate, gateway, stranger)):
        status, reports, _ = conformance("eindkomst", "--record", str(folder), **own)
    report = reports["IndkomstOplysningPersonHent"]
    assert report["not_recorded"] == ""
    assert (status, report["signature"]) == (0, {"algorithms": ["sha1"], "is_verified": True, "detail": ""})
    (file,) = folder.iterdir()
    assert [word for word in ("Security", "Signature", "Certificate") if word in file.read_text("utf-8")] == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nemid"], f"no such upstream: nemid (there are {', '.join(UPSTREAMS)}, all)"),
        (["udb", "--record", "/nowhere"], "--record: /nowhere is no folder"),
        (["cvr", "--company", "1"], "--company: a CVR number has eight digits"),
    ],
)
def test_a_wrong_wish_is_one_line_and_nothing_is_asked(registerbro, addresses, simulation, arguments, line):
    ended = registerbro("conformance", *arguments, **addresses)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"registerbro: {line}\n")
    assert simulation.control.calls("udb").total == 0


def test_a_number_that_is_none_is_one_line(registerbro, addresses):
    ended = registerbro("conformance", "udb", stdin="610299-123x\n", **addresses)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "610299" not in ended.stderr


def test_a_recording_is_written_for_each_call_and_holds_nothing_of_the_citizen(conformance, tmp_path):
    status, reports, _ = conformance("all", *COMPANY, "--record", str(tmp_path), "--months", "70")
    files = sorted(file.name for file in tmp_path.iterdir())
    assert (status, [one["not_recorded"] for one in reports.values() if one["not_recorded"]]) == (0, [])
    assert files == [
        "borgerindsats-aktiviteter.json", "borgerindsats-joblog.json", "cvr-search.json",
        "eindkomst-IndkomstOplysningPersonHent.json", "jobsearch-historik.json", "jobsearch-joboenske.json",
        "kontaktforloeb-borgerstatus.json", "kontaktforloeb-indkaldelser.json", "kontaktforloeb-moedetilbud.json",
        "kontaktforloeb-tider.json", "su-su-forloeb.json", "udb-haendelser.json", "visitering-fravaer.json",
        "visitering-kontaktgrupper.json", "ydelse-getYdelses.json",
    ]  # fmt: skip
    written = "".join(file.read_text("utf-8") for file in tmp_path.iterdir())
    for left in (NUMBER, "11111111", "22222222", "NEXT", "Bageriet", "aftalt", "Vestergade", "12345678"):
        assert left not in written


def test_when_the_scanner_finds_anything_nothing_is_written_and_the_value_is_not_told(
    conformance, tmp_path, monkeypatch
):
    monkeypatch.setattr(Constructed, "text", lambda _, text: text)
    status, reports, written = conformance("ydelse", "--record", str(tmp_path))
    report = reports["getYdelses"]
    assert (status, report["recorded"], list(tmp_path.iterdir())) == (1, "", [])
    assert (
        "a number of the exchange, at answer.body.ydelser.ydelse.civilRegistrationIdentifier" in report["not_recorded"]
    )
    assert NUMBER not in written


@dataclass
class Planted:
    """A register that differs: passes each call on to a simulator, and changes its answer."""

    url: str
    change: Callable

    def __enter__(self):
        planted = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                origin = str(httpx.URL(planted.url).copy_with(path="/")).rstrip("/")
                answer = httpx.request(self.command, origin + self.path, headers=headers, content=body, verify=False)
                status, more, changed = planted.change(answer.status_code, answer.content)
                self.send_response(status)
                for name, value in {"Content-Type": answer.headers["Content-Type"], **more}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(changed)))
                self.end_headers()
                self.wfile.write(changed)

            do_GET = do_POST = answer  # noqa: N815 - as the base class has them

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        path = httpx.URL(self.url).path.rstrip("/")
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def replacing(*pairs):
    def change(status, body):
        for old, new in pairs:
            assert old in body
            body = body.replace(old, new)
        return status, {}, body

    return change


NEXT_PAGE = '"_links": {"next": "/v2/VisiteringOgStatusStatus?page=2"}'
PLANTED = {
    "udb": replacing((b'"dato": "2015-08-10"', b'"dato": "2015-08-10T00:00:00+02:00"')),
    "su": lambda status, body: (302, {"Location": "https://su.example/v2/su-forloeb?cpr=6102991234"}, b"{}"),
    "eindkomst": replacing((b"class/virksomhed/xml/schemas/20080401/", b"class/virksomhed/xml/schemas/20190401/")),
    "cvr": lambda status, body: (
        403, {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="cvr.read"'}, b"{}",
    ),
    "ydelse": replacing(
        (b'"slutdato"', b'"slutDato"'), (b'"startdato"', b'"startDato"'), (b"SYGEDAGPENGE", b"BORGERLOEN"),
    ),
    "visitering": lambda status, body: (
        status, {}, body.replace(b"{", f'{{"civilRegistrationIdentifier": "{OTHER}", {NEXT_PAGE}, '.encode(), 1),
    ),
    "jobsearch": lambda status, body: (301, {"Location": "/v2/Joboenske/"}, b"{}"),
}  # fmt: skip


@pytest.fixture
def differing(conformance, simulation, tmp_path):
    """The reports of registers with ten differences, and all that was written."""
    authority = Authority(tmp_path, "authority")
    files = {name: authority.issue(name, with_rsa=True) for name in ("us", "gateway", "stranger")}
    signers = {name: Signer.load(file) for name, file in files.items()}
    agreed = Signatures(
        signers["us"].certificate, signers["gateway"], signers["stranger"], digest="sha1", accepts=frozenset({"sha256"})
    )
    own = {
        "EINDKOMST__SIGNING_CERT": str(files["us"]),
        "EINDKOMST__SIGNATURE": "sha256",
        "EINDKOMST__VERIFY_WITH": str(files["gateway"]),
    }
    with ExitStack() as all_of_them:
        all_of_them.enter_context(simulation.signing(agreed))
        for name, change in PLANTED.items():
            own[f"{name.upper()}__BASE_URL"] = all_of_them.enter_context(Planted(simulation.urls[name], change))
        yield conformance("all", *COMPANY, "--record", str(tmp_path), **own), tmp_path


def test_ten_planted_differences_are_each_named_by_field(differing):
    (status, reports, written), folder = differing
    assert status == 1
    # One odd date is an assumption's, and the adapter can use the answer all the same.
    assert {name for name, one in reports.items() if one["conforms"] and not one["not_made"]} == {
        "haendelser", "indkaldelser", "borgerstatus", "moedetilbud", "tider", "aktiviteter", "joblog",
    }  # fmt: skip
    decided = {one["assumption"]: one["verdict"] for one in reports["haendelser"]["assumptions"]}
    assert [text for text, verdict in decided.items() if verdict == "does not hold"] == [
        "the names and the form of an event's fields; published are its kinds and that it has a date"
    ]

    def found(operation):
        return {(one["where"], one["what"]) for one in reports[operation]["findings"]}

    # A renamed field, and an unknown code.
    assert ("ydelser.ydelse[].startdato", "is missing") in found("getYdelses")
    unknown = {one["path"] for one in reports["getYdelses"]["fields"] if one["expected"] == "unknown"}
    assert unknown == {"ydelser.ydelse[].startDato", "ydelser.ydelse[].slutDato"}
    assert ("ydelser.ydelse[].ydelsestype", "has an unknown code: BORGERLOEN") in found("getYdelses")
    # Another namespace, and a signature of another algorithm.
    answer = "IndkomstOplysningPersonHent"
    (where,) = [
        where for where, what in found(answer) if what.startswith("is in another namespace: http://rep.oio.dk/")
    ]
    assert where.endswith("IndberetningPligtigVirksomhed.VirksomhedSENummerIdentifikator")
    assert reports[answer]["signature"]["algorithms"] == ["sha1"]
    (what,) = [what for where, what in found(answer) if where == "signature"]
    assert what.startswith("the answer is signed with sha1, which ")
    assert what.endswith("(expected: sha256)")
    # A missing scope, a redirect, and a slash.
    assert found("search") == {("token", "HTTP 403: insufficient_scope (needs the scope cvr.read)")}
    assert found("su-forloeb") == {("address", "redirect: HTTP 302 to https://su.example/v2/su-forloeb")}
    (decision,) = [one for one in reports["su-forloeb"]["assumptions"] if "path" in one["assumption"]]
    assert (decision["verdict"], decision["seen"]) == ("does not hold", "302 to https://su.example/v2/su-forloeb")
    slash = "trailing slash: HTTP 301 to the same address with a slash at its end"
    assert found("joboenske") == {("address", slash)}
    # A date-time for a date, a link to a next page, and another person.
    assert ("haendelser[].dato", "is date-time where date is expected") in found("haendelser")
    for operation in ("kontaktgrupper", "fravaer"):
        assert ("_links.next", "leads to a next page, and the contract has none: this is not all") in found(operation)
        assert ("civilRegistrationIdentifier", "is the number of another person, or of nobody") in found(operation)
        assert reports[operation]["not_recorded"] == "the answer is about another person"
        assert not (folder / f"visitering-{operation}.json").exists()
    assert NUMBER not in written
    assert OTHER not in written


def test_another_person_cuts_nothing_off(differing, registerbro, addresses):
    shown = json.loads(registerbro("status", "--json", **addresses).stdout)
    assert {one["state"] for one in shown["upstreams"].values()} == {State.CLOSED}
    assert registerbro("breaker", "quarantine", "list").stdout == ""
