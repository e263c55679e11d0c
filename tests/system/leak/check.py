"""`python -m tests.system.leak.check [--short]`: runs and breaks everything, and looks for secrets in what came out.

API, web, workers, beat, Flower and three Redis servers run with debugging on and OpenTelemetry recording; the upstreams
do all that simulators can; some calls meet a defect of ours, a worker and a Redis are killed. Everything that left a
process is searched for every constructed citizen's CPR number, for the words of the fault reports, and for every
password, key and token of the installation, in any spelling. What is planted on purpose (`tests/system/leak/plants.py`)
must be found, or the search is worth nothing. The last line is one JSON object; the exit status is 1 if something
leaked or something planted was missed.
"""

import argparse
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import redis

from config.celery import REGISTERS, WORKERS, service_of
from config.settings import parse_headers, secret_names
from demo import installation as local
from demo import tokens as signing
from demo.installation import DEMO_CREDENTIALS, CannotStart, Installation, free_port, installation, wait_for
from domain.cpr import Cpr
from simulators.citizens import CITIZENS, EXAMPLE, STRANGER
from simulators.control import Control
from tests.collector import Collector
from tests.system.leak import frames, plants
from tests.system.leak.capture import Everything, Monitor
from tests.system.leak.scanner import Hit, Scanner, spellings_of, spellings_of_number

ROLES = ("broker", "ledger", "cache")
VENDOR = "booking_vendor"
SETTINGS = {
    "LOG_LEVEL": "DEBUG",
    "REFRESHES_PER_MINUTE": "10000",
    # Every fault is met several times within the run.
    **{
        f"{name.upper()}__{setting}": value
        for name in (*REGISTERS, VENDOR)
        for setting, value in {"ATTEMPT_TIMEOUT": "PT1S", "TOTAL_TIMEOUT": "PT2S", "RETRY_AFTER": "PT0.2S"}.items()
    },
    **{f"{name.upper()}__FRESH_FOR": "PT1S" for name in REGISTERS},
    "BOOKING_VENDOR__SEND_CPR": "true",
    # What lets calls in, which simulators do not ask for.
    "SU__TOKEN": secrets.token_urlsafe(24),
    "UDB__HEADERS": json.dumps({"x-user": secrets.token_urlsafe(24)}),
}
CLIENT = {
    "client_id": "registerbro",
    "client_secret": secrets.token_urlsafe(24),
    "scope": "visiteringogstatus.ydelse.read",
}
"""Our client at the token endpoint of the Ydelsesregister."""
TOKEN_PREFIX = secrets.token_urlsafe(24)
"""The start of each access token that is issued there."""
FAULTS: list[dict] = [
    {"kind": "wrong_person"},
    {"kind": "status", "status": 500, "body": f'{{"fejl": "{CITIZENS[0].cpr}"}}'},
    {"kind": "invalid_body"},
    {"kind": "unknown_value"},
    {"kind": "fejl", "kode": "1001", "status": 400},
    {"kind": "hang_before_headers"},
    # From here on in the long run alone.
    *({"kind": "status", "status": status} for status in (200, 204, 400, 401, 403, 409, 422, 429, 503)),
    *({"kind": "status", "status": 503, "retry_after": wait} for wait in (1, "rubbish")),
    {"kind": "status", "status": 400, "answered": True},
    {"kind": "latency", "seconds": 0.3},
    *({"kind": kind} for kind in (
        "hang_after_headers", "reset", "reset_after", "truncated", "wrong_content_type", "invalid_encoding",
        "missing_field", "bomb", "mixed_people", "empty", "redirect", "too_much", "gone", "huge", "not_found",
    )),
    {"kind": "huge", "compressed": True},
    *({"kind": "not_found", "kode": kode} for kode in ("1010", "1014")),
    *({"kind": "fejl", "kode": kode} for kode in ("1010", "1011", "1012", "300", "500", "2000", "999")),
    {"kind": "fejl", "kode": "2000", "with_data": True},
    *({"kind": "soap_fault", "code": code} for code in ("Server", "Client")),
    # Last, since who met it is not asked about again for a day, the longest that we wait.
    {"kind": "status", "status": 503, "retry_after": CITIZENS[0].cpr},
]  # fmt: skip
SHORT = 4
DEFECTS = ("refresh_defect", "task_defect", "report_defect", "request_defect")
"""What the log says of the defects that citizens must have met."""
ALL_SCOPES = f"{signing.SCOPE} ops:read ops:write"
SETTLED_WITHIN_SECONDS = 120.0
SEEN_WITHIN_SECONDS = 120.0
TASKS = "/tasks/datatable?draw=1&start=0&length=5000&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name"
FLOWERS = ("/", "/workers", "/tasks", "/broker", "/api/workers", "/api/tasks?limit=100000", "/api/queues/length",
           "/api/task/types", f"{TASKS}&search[value]=")  # fmt: skip


PAGES = (
    "/", "/oplysninger-om-dig", "/cv", "/kontrol", "/nowhere",
    *(page + part for page in ("/kalender", "/book-moeder-med-frist", "/min-profil", "/jeg-soeger-job-som")
      for part in ("", "/del")),
)  # fmt: skip


class Run:
    """One run over an installation that is up; what it receives is scanned at once, the rest is left in files."""

    scanner: Scanner
    """Knows what opens something in this installation, the citizens' tokens among it; so it is made last."""

    def __init__(self, here: Installation, control: Control, *, short: bool) -> None:
        self._here, self._control = here, control
        self._http = httpx.Client(
            base_url=here.portal_url, timeout=30, follow_redirects=False, trust_env=False,
            event_hooks={"response": [self._note]},
            # After a defect the portal ends the connection.
            limits=httpx.Limits(max_keepalive_connections=0),
        )  # fmt: skip
        self._key = (here.directory / "signing-key.pem").read_bytes()
        self.tokens = {one.cpr: self._token(one) for one in CITIZENS}
        crashes = next(one for one in CITIZENS if one.cpr == plants.CRASHES)
        self.missed: list[str] = []
        self._short = (*CITIZENS[:4], crashes) if short else ()
        self._young = [one for one in CITIZENS if 12 in one.contact_groups or 28 in one.contact_groups]

    def close(self) -> None:
        self._http.close()

    def _note(self, response: httpx.Response) -> None:
        """Scans an answer, headers and all."""
        request = response.request
        head = b"\n".join(b"%s: %s" % header for header in response.headers.raw)
        self.scanner.scan("http", f"{request.method} {request.url.path}", head + b"\n\n" + response.read())

    def _token(self, one) -> str:
        return signing.sign(
            self._key, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(one.cpr),
            contact_groups=one.contact_groups, education_order=one.education_order, scope=ALL_SCOPES,
            lasts=timedelta(hours=2),
        )  # fmt: skip

    def _call(self, method: str, path: str, one=CITIZENS[0], **more) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[one.cpr]}", **more.pop("headers", {})}
        return self._http.request(method, path, headers=headers, **more)

    def everything(self, faults: list[dict]) -> None:
        """The whole of it, in an order in which what is destroyed comes last."""
        for one in self._short or CITIZENS:
            self._opens(one)
        self._visits()
        self._books()
        self._writes()
        self._asks_wrongly()
        people = cycle(self._young)
        for fault in faults:
            self._breaks(fault, [next(people) for _ in range(2)])
        self._plant()
        self._look_at_flower()
        self._look_at_command_lines()
        self._kill()
        self._command("status")
        self._command("status", "--json")
        self._command("reports", "list")
        self._command("reports", "list", "--state", "delivered", "--json")
        self._command("queue", "dead", "list")
        self._command("doctor")
        self._command("refresh", "--contact-group", "12", given=CITIZENS[0].cpr)
        self._command("page", given=CITIZENS[0].cpr)
        self._command("refresh", "--contact-group", "12", given=f"{CITIZENS[0].cpr}x")
        self._command("conformance", "all", given=CITIZENS[0].cpr)
        self._command("conformance", "all", "--json", given=CITIZENS[0].cpr)
        self._command("audit", "for", given=CITIZENS[0].cpr)
        self._command("audit", "verify")
        self._command("keys", "rotate", "sealing", "--wait", "2")
        self._command("keys", "status")
        self._command("forget", "--undelivered", "--json", given=CITIZENS[0].cpr)
        self._look_at_metrics()

    def _opens(self, one) -> None:
        """A citizen asks for the page through the API and hears of its changes."""
        self._call("POST", "/v1/overview/refresh", one)
        self._call("GET", "/v1/overview", one)
        self._listens(one)
        self._call("GET", "/v1/banner", one)
        self._call("PUT", "/v1/banner/dismissed", one)

    def _listens(self, one) -> None:
        # A defect in the middle of a stream ends the connection.
        with suppress(httpx.TransportError):
            self._call("GET", "/v1/overview/events", one)

    def _visits(self) -> None:
        """Two citizens use the reference portal, one of whom meets a defect."""
        for one in (CITIZENS[0], next(one for one in CITIZENS if one.cpr == plants.CRASHES)):
            self._http.cookies.clear()
            self._submit("/log-ind", "/log-ind", borger=one.name, side="/")
            for path in PAGES:
                self._http.get(path)
            if one.cpr != plants.CRASHES:  # for whom they would go on for half a minute
                self._http.get("/oplysninger-om-dig/begivenheder")
            self._submit("/", "/oplysninger-om-dig/igen")
            self._http.get(f"/{one.cpr}")
            self._http.get("/oplysninger-om-dig", params={"vis": f"{one.cpr[:6]}-{one.cpr[6:]}"})
        form = "/fejlmeld-moedebooking"
        taken = self._submit(form, form, tekst=f"{plants.DELIVERED} fra portalen", side="/moedebooking")
        self._http.get(taken.headers["location"])
        self._submit(form, form, tekst=f"{plants.COMES_BACK} " * 50)

    def _books(self) -> None:
        """A citizen books a meeting, twice with the same key, and tries it with a number where none belongs.

        Before that, the register refuses it in words that hold the number, and its answer to the booking is lost.
        """
        one = EXAMPLE
        self._until(lambda: self._call("GET", "/v1/calendar", one).json()["deadlines"], "a deadline")
        deadline = self._call("GET", "/v1/calendar", one).json()["deadlines"][0]["id"]
        self._call("GET", "/v1/booking/times", one, params={"deadline": one.cpr})
        times = self._call("GET", "/v1/booking/times", one, params={"deadline": deadline}).json()["times"]
        words = json.dumps({"fejl": [{"kode": one.cpr, "tekst": one.name}], one.cpr: one.cpr})
        for operation, fault in (
            ("reserve", {"kind": "status", "status": 400, "body": words}),
            ("reserve", {"kind": "wrong_content_type"}),
            ("book", {"kind": "reset_after"}),
        ):
            self._control.fault("kontaktforloeb", fault | {"operation": operation})
            wanted = {"deadline": deadline, "time": times[0]["id"]}
            self._call("POST", "/v1/booking/bookings", one, json=wanted, headers={"Idempotency-Key": "once"})
        self._control.mend("kontaktforloeb")
        for time_id, key in ((times[0]["id"], "once"), (times[0]["id"], "once"), (one.cpr, one.cpr)):
            wanted = {"deadline": deadline, "time": time_id}
            self._call("POST", "/v1/booking/bookings", one, json=wanted, headers={"Idempotency-Key": key})
        for path in ("/v1/job-titles", "/v1/cv-status", "/v1/calendar?month=2023-03"):
            self._call("GET", path, one)

    def _submit(self, page: str, path: str, **fields: str) -> httpx.Response:
        found: list[re.Match[str] | None] = []

        def has_form() -> bool:
            # On a busy machine the list of citizens may be too late for the page, which then has no form.
            found.append(re.search(r'name="csrf" value="([^"]+)"', self._http.get(page).text))
            return found[-1] is not None

        self._until(has_form, f"the form on {page}")
        return self._http.post(path, data={"csrf": found[-1][1], **fields})

    def _writes(self) -> None:
        """Fault reports of every fate."""
        for number, (text, fault) in enumerate(
            [
                (f"{plants.DELIVERED} kom frem", None),
                (f"{plants.DEFECT} gik galt", None),
                (
                    f"{plants.REFUSED} blev afvist",
                    {"kind": "status", "status": 422, "body": f'{{"e": "{plants.REFUSED}"}}'},
                ),
                (f"{plants.DELIVERED} kom måske frem", {"kind": "reset_after"}),
            ]
        ):
            self._control.fault(VENDOR, *([fault] if fault else []))
            body = {"text": text, "page": "/moedebooking", "error_code": "4769"}
            taken = self._call("POST", "/v1/fault-reports", json=body, headers={"Idempotency-Key": f"key-{number}"})
            assert taken.status_code == 202, taken.text
            where = taken.headers["location"]
            self._until(lambda where=where: self._logged(VENDOR, where.rpartition("/")[2]), "a report")
            self._call("GET", where)
            self._call("GET", where, CITIZENS[1])
        self._control.mend(VENDOR)
        for status in ("accepted", "sending", "unknown_outcome", "delivered", "rejected", "gave_up"):
            self._call("GET", f"/v1/fault-reports?status={status}")

    def _asks_wrongly(self) -> None:
        """Numbers and texts where none belong: they are refused, and not repeated."""
        me = CITIZENS[0].cpr
        text, key = {"text": f"{plants.DELIVERED} forkert"}, {"Idempotency-Key": "wrong"}
        self._call("GET", f"/v1/fault-reports/{me}")
        self._call("GET", f"/v1/{me}?cpr={me}")
        self._call("POST", f"/v1/fault-reports/{me[:6]}-{me[6:]}/replay")
        self._call("PUT", f"/v1/registers/{me}/override", json={"override": "disabled", "reason": me})
        self._call("POST", "/v1/fault-reports", json=text | {"error_code": me}, headers=key)
        self._call("POST", "/v1/fault-reports", json=text | {"page": [me]}, headers=key)
        self._call("POST", "/v1/fault-reports", content=json.dumps(text).encode()[:-3], headers=key)
        self._call("POST", "/v1/fault-reports", json={"text": plants.REFUSED * 100}, headers=key)
        self._call("POST", "/v1/fault-reports", json=text, headers={"Idempotency-Key": me})
        self._http.get("/v1/overview", headers={"Authorization": f"Bearer {self.tokens[me][:-4]}"})
        self._http.get("/v1/overview", headers={"Authorization": f"Bearer {me}", "traceparent": me})
        self._http.get("/v1/overview", headers={"Authorization": f"Basic {me}"})

    def _breaks(self, fault: dict, people: list) -> None:
        """One fault at every upstream that can have it, met by these citizens."""
        hit = [name for name in (*REGISTERS, "cvr") if self._set(name, fault)]
        before = {name: self._control.calls(name).total for name in hit}
        called: set[str] = set()
        ends = time.monotonic() + SETTLED_WITHIN_SECONDS
        while time.monotonic() < ends:
            for name in {*REGISTERS, "cvr"} - called:
                # Nobody is spared, and nobody is cut off for good: also not by a call that was under way just now.
                override = {"override": "metrics_only", "reason": "leak test"}
                self._call("PUT", f"/v1/registers/{name}/override", json=override)
            for one in people:
                self._call("POST", "/v1/overview/refresh", one)
                self._call("GET", "/v1/calendar", one)
                self._call("GET", "/v1/job-titles", one)
            time.sleep(0.1)
            called = {name for name in hit if self._control.calls(name).total > before[name]}
            # CVR is asked for names that are not known yet; those that are gone cannot count.
            if fault["kind"] == "gone" or called >= set(hit) - {"cvr"}:
                break
        else:
            self.missed.append(f"the fault {fault} at {sorted(set(hit) - called)}")
        for one in people:
            self._call("GET", "/v1/overview", one)
        for name in hit:
            self._control.mend(name)
        self._release()

    def _release(self) -> None:
        """Lets everybody be asked about again whom a fault has put into quarantine: the next one is to meet them."""
        for one in json.loads(self._command("breaker", "quarantine", "list", "--json")):
            self._command("breaker", "quarantine", "release", one["register"], one["citizen"], "--reason", "leak test")

    def _set(self, name: str, fault: dict) -> bool:
        try:
            self._control.fault(name, fault)
        except ValueError:
            return False
        return True

    def _plant(self) -> None:
        """Has the number let out through every channel, and waits until it is."""
        from registerbro.messaging.publish import publish

        publish(plants.TASK, [], "udb")
        for text in (*plants.SIMPLE.values(), *plants.SECRET_TEXTS):
            publish(plants.ARGUMENT_TASK, [text], "udb")
        self._http.get(plants.ROUTE)
        last = list(plants.TEXTS.values())[-1]
        self._until(lambda: self._logged("udb", last), "what is planted")

    def _logged(self, service: str, text: str) -> bool:
        return text in self._here.processes[f"worker-{service}"].log.read_text(encoding="utf-8", errors="replace")

    def _look_at_flower(self) -> None:
        with httpx.Client(base_url=self._here.flower_url, timeout=30, trust_env=False) as flower:

            def tasks() -> dict:
                return flower.get("/api/tasks?limit=100000").json()

            def seen(name: str, state: str) -> bool:
                return any((one["name"], one["state"]) == (name, state) for one in tasks().values())

            self._until(lambda: seen(plants.ARGUMENT_TASK, "SUCCESS") and seen("ydelse.refresh", "FAILURE"), "Flower")
            told = [one for one in tasks().values() if one["name"].startswith("leak.") or one["state"] == "FAILURE"]
            paths = [*FLOWERS, *(f"/task/{one['uuid']}" for one in told),
                     *(f"/worker/{quote(name)}" for name in flower.get("/api/workers").json())]  # fmt: skip
            for path in paths:
                self.scanner.scan("flower", path, flower.get(path).content)

    def _look_at_command_lines(self) -> None:
        """What anybody on the machine sees of a process: of each of them, and of one that is told what is planted."""
        texts = [*plants.SIMPLE.values(), *plants.SECRET_TEXTS]
        command = [sys.executable, "-c", "input(0)", *texts]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as planted:
            # A process that has just been made has no command line yet: this one asks when it has.
            planted.stdout.read(1)
            processes = {name: process.popen for name, process in self._here.processes.items()}
            processes |= {name: server.process.popen for name, server in self._here.redis.items()}
            for name, process in ({"planted": planted} | processes).items():
                self.scanner.scan("command_lines", name, Path(f"/proc/{process.pid}/cmdline").read_bytes())
            planted.communicate(b"\n")

    def _look_at_metrics(self) -> None:
        for name, port in self._here.metrics_ports.items():
            found = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).content
            self.scanner.scan("metrics", name, found)
        self.scanner.scan("metrics", "portal", self._http.get("/metrics").content)

    def _kill(self) -> None:
        """A worker and the cache end without a word, and are there again."""
        self._here.processes["worker-su"].kill()
        self._here.redis["cache"].process.kill()
        self._call("GET", "/v1/overview")
        self._call("POST", "/v1/overview/refresh")
        self._here.redis["cache"].start()
        _start_worker(self._here, "su")
        self._opens(CITIZENS[1])

    def _command(self, *arguments: str, given: str = "") -> bytes:
        """What a command tells an operator, who sees no citizen either."""
        told = subprocess.run(
            [sys.executable, "-m", "cli.app", *arguments], input=f"{given}\n".encode(), capture_output=True,
            env={**os.environ, **self._here.environment, "REGISTERBRO_OPERATOR": "tester"}, cwd=local.PROJECT,
            check=False, timeout=120,
        )  # fmt: skip
        self.scanner.scan("logs", f"registerbro {' '.join(arguments)}", told.stdout + told.stderr)
        return told.stdout

    @staticmethod
    def _until(condition, what: str) -> None:
        wait_for(condition, what, SEEN_WITHIN_SECONDS)


def _start_worker(here: Installation, service: str) -> None:
    """The worker of the leak test in the place of `celery -A workers.app worker`."""
    name = f"worker-{service}"
    command = [sys.executable, "-m", "celery", "-A", "tests.system.leak.worker", "worker", "-n", f"{name}@%h",
               "-Q", ",".join(WORKERS[service])]  # fmt: skip
    here._run(name, command, {**here.environment_of(service_of(service)), **_metrics(here, name)})


def _metrics(here: Installation, name: str) -> dict[str, str]:
    port = here.metrics_ports[name] = free_port()
    return {"REGISTERBRO_METRICS_PORT": str(port)}


WATCHER = ("watcher", secrets.token_urlsafe(24))
"""The user by which the test looks into the Redis servers; no installation has it."""


@contextmanager
def _watched() -> Iterator[None]:
    """Redis servers that start in the block know the test's own user, and let all plant something."""
    real = local.acl.acl_file

    def file(*told: Any) -> str:
        name, password = WATCHER
        # Whoever has all keys has these.
        lines = [line if " ~* " in line else line.replace(" resetchannels ", " ~leak:* resetchannels ")
                 for line in real(*told).splitlines()]  # fmt: skip
        return "\n".join([*lines, f"user {name} on >{password} allkeys allchannels +@all", ""])

    local.acl.acl_file = file
    try:
        yield
    finally:
        local.acl.acl_file = real


def _watcher(here: Installation, role: str) -> redis.Redis:
    return redis.Redis(port=here.redis[role].port, username=WATCHER[0], password=WATCHER[1])


def _secrets_of(here: Installation, tokens: Iterable[str]) -> set[str]:
    """Whatever opens something in this installation, and each citizen's token by its signature."""
    settings = [
        value
        for service in (*local.acl.GRANTS, local.acl.HEALTH)
        for name, value in here.environment_of(service).items()
        if name in secret_names() or name.removesuffix("_FILE") in secret_names()
    ]
    settings += parse_headers(SETTINGS["UDB__HEADERS"]).values()
    files = [Path(value).read_text("utf-8") for value in settings if value.startswith("/")]
    found = {password for value in settings for password in re.findall(r"://[^:/@]+:([^@]+)@", value)}
    found |= {value.strip() for value in (*settings, *files) if "://" not in value and not value.startswith("/")}
    found |= {line for line in here.signing_key.read_text("utf-8").splitlines() if "-----" not in line}
    found |= {token.rpartition(".")[2] for token in tokens}
    found.add(TOKEN_PREFIX)
    # What simulators take for an agreement is everybody's, and the name of the project.
    return {one for one in found if one and one not in DEMO_CREDENTIALS.values()}


@contextmanager
def _up(directory: Path, collector: Collector) -> Iterator[Installation]:
    """Everything, as `demo.installation` starts it, but with the leak test's worker and portal."""
    with installation(directory, {**SETTINGS, "TRACING_ENDPOINT": collector.url}) as here, ExitStack() as stack:
        here.metrics_ports = {}
        stack.enter_context(_watched())
        here.use_users().start_redis()
        for role in ROLES:
            with _watcher(here, role) as client:
                # Compressed, a number need not be there in one piece.
                client.config_set("rdbcompression", "no")
            stack.callback(Monitor(here.redis[role].port, directory / f"{role}.monitor", *WATCHER).close)
        here.start_simulators()
        with Control(here.upstreams) as control:
            control.expect_token("ydelse", **CLIENT, prefix=TOKEN_PREFIX, expires_in=10)
        here.settings |= {f"YDELSE__{name.upper()}": value for name, value in CLIENT.items()}
        here.settings["YDELSE__TOKEN_URL"] = f"{here.upstreams['ydelse']}/oauth2/token"
        for service in WORKERS:
            _start_worker(here, service)
        for name, start in {"beat": here.start_beat, "flower": here.start_flower}.items():
            here.settings |= {"METRICS_PORT": _metrics(here, name)["REGISTERBRO_METRICS_PORT"]}
            start()
        del here.settings["METRICS_PORT"]
        for service in WORKERS:
            process = here.processes[f"worker-{service}"]
            wait_for(lambda process=process: process.has_logged("worker_ready"), process.name)
        real, here._run = here._run, lambda name, command, *rest: real(
            name, [word.replace("cli.app", "tests.system.leak.portal") for word in command], *rest
        )  # fmt: skip
        here.start_portal()
        here._run = real
        yield here


def _scanner(opening: Iterable[str]) -> Scanner:
    return Scanner(
        {
            **{one: spellings_of_number(one) for one in (*(one.cpr for one in CITIZENS), STRANGER, plants.NUMBER)},
            **{word: spellings_of(word) for word in WORDS},
            **{one: spellings_of(one) for one in (*plants.SECRETS, *opening)},
        }
    )


def run(directory: Path, *, short: bool) -> tuple[Scanner, list[str]]:
    """Everything, in a directory of its own. Returns what was scanned, and what of the run did not come about."""
    temporary, kept, inside = (directory / name for name in ("tmp", "kept", "frames"))
    temporary.mkdir()
    inside.mkdir()
    os.environ |= {"TMPDIR": str(temporary), frames.DIRECTORY: str(inside)}
    made = Everything(temporary, kept)
    with Collector() as collector:
        with _up(directory, collector) as here, Control(here.upstreams) as control:
            os.environ.update(here.environment)
            from workers import app  # noqa: F401 - its broker is this installation's

            # The machine is busy, and its simulators with it.
            control._http.timeout = httpx.Timeout(60)
            its = Run(here, control, short=short)
            its.scanner = scanner = _scanner(_secrets_of(here, its.tokens.values()))
            its.everything(FAULTS[:SHORT] if short else FAULTS)
            if not control.tokens("ydelse")["issued"]:
                its.missed.append("an access token")
            its.close()
            for role in ROLES:
                with _watcher(here, role) as client:
                    client.save()
        # What was still to be written is written: all processes have ended.
        scanner.scan("traces", "collector", collector.bodies)
    for path in made.close():
        scanner.scan_file("temporary_files", path.name, path)
    for path in sorted(directory.rglob("*")):
        if path.is_file() and (channel := _channel(path.relative_to(directory))):
            scanner.scan_file(channel, str(path.relative_to(directory)), path)
    logged = "".join(path.read_text(encoding="utf-8", errors="replace") for path in directory.glob("*.log"))
    return scanner, its.missed + [f"the log line {line}" for line in DEFECTS if line not in logged]


WORDS = (plants.DELIVERED, plants.DEFECT, plants.REFUSED, plants.COMES_BACK)


def _channel(path: Path) -> str | None:
    """Through which channel a file of the run came about; None for what the test itself keeps."""
    if path.parts[0] in {"tmp", "kept"}:
        return None
    if path.parts[0] == "frames":
        return "frames"
    if path.suffix in {".log", ".monitor"}:
        return "logs" if path.suffix == ".log" else "redis_commands"
    return "redis_files" if path.parts[0] in ROLES else None


PLANTS = {plants.NUMBER, *plants.SECRETS}


def _is_meant(hit: Hit) -> bool:
    """What was planted; and a form that is refused, which comes back to its author with all that was written."""
    own_form = (plants.COMES_BACK, "http", "POST /fejlmeld-moedebooking")
    return hit.secret in PLANTS or (hit.secret, hit.channel, hit.where) == own_form


def leaks_of(scanner: Scanner) -> list[Hit]:
    """What is where it must not be."""
    return [hit for hit in scanner.hits if not _is_meant(hit)]


def missed_of(scanner: Scanner) -> list[tuple[str, str, str]]:
    """What was planted, the channel and the spelling of it, and was not found."""
    found = {(hit.secret, hit.channel, hit.spelling) for hit in scanner.hits}
    return sorted(plants.PLANTED - found)


def verdict(scanner: Scanner) -> dict:
    """The figures of a run."""
    return {
        "channels": len(scanner.bytes),
        "bytes": sum(scanner.bytes.values()),
        "planted": len(plants.PLANTED),
        "planted_found": len(plants.PLANTED) - len(missed_of(scanner)),
        "leaks": len(leaks_of(scanner)),
    }


def holds(figures: dict) -> bool:
    """Whether nothing leaked, and whether that means anything."""
    return figures["planted"] == figures["planted_found"] > 0 and figures["leaks"] == 0


def main() -> int:
    """Runs, tells of each leak, prints the figures, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="leak-check", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer faults")
    parser.add_argument("--keep", action="store_true", help="leave what was captured where it is")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    with ExitStack() as stack:
        directory = tempfile.mkdtemp(prefix="registerbro-leak-")
        if arguments.keep:
            print(f"leak-check: everything is in {directory}")
        else:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            scanner, missed = run(Path(directory), short=arguments.short)
        except CannotStart as error:
            print(f"leak-check: {error}", file=sys.stderr)
            return 2
    for hit in leaks_of(scanner)[:100]:
        print(f"LEAK in {hit.channel}: {hit.where}, {hit.spelling}: {hit.excerpt!r}")
    for secret, channel, spelling in missed_of(scanner):
        print(f"PLANTED AND NOT FOUND in {channel}: {secret.partition('-')[0]}, {spelling}")
    for what in missed:
        print(f"DID NOT COME ABOUT: {what}")
    for channel, count in sorted(scanner.bytes.items()):
        print(f"{channel}: {count} bytes")
    print(f"{time.monotonic() - began:.0f} s")
    figures = verdict(scanner)
    print(json.dumps(figures))
    return 0 if holds(figures) and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
