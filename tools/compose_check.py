"""`make compose-check`: checks the containers over HTTP: a page, an outage, a killed worker, a rolling restart.

Two portals run, and each visitor balances the load: when one portal does not answer, the visitor calls the other.

Prints one line per promise kept, and the figures as JSON at the end. With exit status 1, the promise that was not kept
is named on standard error. It is one module, because it is one program: each promise is a function, in order.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from config.celery import WORKERS, service_of
from demo import tokens
from demo.installation import PROJECT, free_port, free_ports
from domain.cpr import Cpr
from domain.overview import UNAVAILABLE_TEXT
from registerbro import terminal
from registerbro.bounded_calls import TookTooLong, call, run

PATIENCE_SECONDS = 300.0
COMPOSE_SECONDS = 3600.0
"""Time limit of one compose command: a build of the images from nothing waits mostly for the network."""
CROWD = 200
REFRESHES_PER_SECOND = 20
PORTALS = 2
TRIES_AT_EACH = 2
"""A kept connection to a restarted portal fails at its next use, and is opened anew at the one after."""
SERVICES = (*map(service_of, WORKERS), "beat", "flower", "portal")
REDIS_SERVERS = ("cache", "broker", "ledger")


class NotKept(Exception):
    """A promise that was not kept, by name."""


class Compose:
    """The project's containers under a name of their own."""

    def __init__(self, folder: Path) -> None:
        self.portal_ports, self.flower_port = free_ports(PORTALS), free_port()
        self.secrets = folder / "secrets"
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"registerbro-check-{os.getpid()}",
            "SECRETS": str(self.secrets),
            "PORTAL_PORT": f"{self.portal_ports[0]}-{self.portal_ports[-1]}",
            "FLOWER_PORT": str(self.flower_port),
        }
        self._program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def __call__(self, *arguments: str) -> str:
        """Runs a compose command. Returns its output; raises NotKept, with the end of its errors, when it fails."""
        ended = run(
            [*self._program, "--profile", "demo", *arguments], COMPOSE_SECONDS,
            cwd=PROJECT, env=self._environment, check=False,
        )  # fmt: skip
        if ended.returncode:
            raise NotKept(f"docker compose {' '.join(arguments)}: {ended.stderr.strip()[-1500:]}")
        return ended.stdout

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers."""
        return self("ps", "-q", service).split()


class Visitor:
    """Client of the portals: reads constructed citizens' pages and hands in reports, over HTTP alone."""

    def __init__(self, ports: Sequence[int], pem: bytes) -> None:
        self._portals = [httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) for port in ports]
        self._pem = pem
        self.moved = 0
        self._tokens: dict[str, str] = {}

    def call(self, method: str, path: str, cpr: str = "6102991234", **rest: Any) -> httpx.Response:  # noqa: ANN401
        """One call, to the first portal that answers. Raises httpx.HTTPError when none does."""
        if cpr not in self._tokens:
            self._tokens[cpr] = tokens.sign(
                self._pem, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(cpr),
                contact_groups=[12], education_order=False,
            )  # fmt: skip
        headers = {"Authorization": f"Bearer {self._tokens[cpr]}", **rest.pop("headers", {})}
        for _ in range(TRIES_AT_EACH * len(self._portals) - 1):
            first, *others = self._portals
            try:
                return first.request(method, path, headers=headers, **rest)
            except httpx.TransportError:
                self._portals = [*others, first]
                self.moved += 1
        return self._portals[0].request(method, path, headers=headers, **rest)

    def page(self, cpr: str = "6102991234") -> dict[str, dict[str, Any]]:
        """The sections of a page, by id."""
        answer = self.call("GET", "/v1/overview", cpr)
        if answer.status_code != 200:
            raise NotKept(f"a page is always answered: {answer.status_code} {answer.text[:200]}")
        return {section["id"]: section for overview in answer.json()["overviews"] for section in overview["sections"]}

    def hand_in(self, number: int) -> str:
        """Hands a report in, with one key until it is accepted, as a portal does. Returns its address and citizen."""
        key, body = str(uuid.uuid4()), {"text": f"Kalenderen er tom ({number})."}
        ends = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < ends:
            try:
                cpr = crowd()[number % CROWD]
                answer = self.call("POST", "/v1/fault-reports", cpr, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            if answer.status_code == 202:
                return f"{answer.headers['location']} {cpr}"
            time.sleep(0.2)
        raise NotKept("a report is taken in the end")


def crowd() -> list[str]:
    """Constructed citizens that no register knows, so that every section is empty; their days are 61 and up."""
    return [f"6{n % 9 + 1}01{n // 9 + 10:02}{4000 + n}" for n in range(CROWD)]


def until(what: str, is_so: Callable[[], bool], within: float = PATIENCE_SECONDS) -> float:
    """Waits until the condition holds. Returns the seconds; raises NotKept, naming `what`, when it never does."""
    began = time.monotonic()
    while time.monotonic() < began + within:
        try:
            if is_so():
                return round(time.monotonic() - began, 1)
        except (httpx.HTTPError, TookTooLong):
            pass
        time.sleep(0.2)
    raise NotKept(f"{what}: not within {within:.0f} s")


def states(page: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Section → state."""
    return {name: section["state"] for name, section in page.items()}


def get(url: str) -> httpx.Response:
    """One call. Raises TookTooLong and httpx.HTTPError."""
    return asyncio.run(call("GET", url))


def say(promise: str, seen: object = "") -> None:
    """One line for a promise that was kept."""
    terminal.say(f"compose-check: {promise} {seen}".rstrip())


def check(compose: Compose) -> dict[str, Any]:
    """Every promise in turn. Returns the figures."""
    figures: dict[str, Any] = {}
    began = time.monotonic()
    compose("build", "-q")
    figures["build_seconds"] = round(time.monotonic() - began, 1)
    began = time.monotonic()
    compose("up", "-d", "--scale", f"portal={PORTALS}")
    visitor = Visitor(compose.portal_ports, (compose.secrets / "portal" / "signing-key.pem").read_bytes())
    until("the portal is ready", lambda: visitor.call("GET", "/readyz").status_code == 200)
    figures["up_seconds"] = round(time.monotonic() - began, 1)
    until("a page is ready", lambda: set(states(visitor.page()).values()) == {"ready"})
    say("a page is ready over HTTP after", f"{figures['up_seconds']} s")
    log_in = f"http://127.0.0.1:{compose.portal_ports[0]}/log-ind"
    until("the reference portal is served", lambda: "Alma Eksempel" in get(log_in).text)
    flower = get(f"http://127.0.0.1:{compose.flower_port}/api/workers")
    if flower.status_code != 401:
        raise NotKept(f"Flower asks who one is: {flower.status_code}")
    say("the reference portal is there, and Flower asks for a password")
    figures |= _outage(compose, visitor)
    figures |= _killed_worker(compose, visitor)
    figures |= _rolling_restart(compose, visitor)
    return figures


def _outage(compose: Compose, visitor: Visitor) -> dict[str, Any]:
    fresh = crowd()[0]
    _fault(compose, "eindkomst", [{"kind": "status", "status": 503}])
    until("an outage is told of", lambda: states(visitor.page(fresh))["employments"] == "unavailable")
    until("the other registers are asked", lambda: "pending" not in states(visitor.page(fresh)).values())
    page = visitor.page(fresh)
    others = {state for name, state in states(page).items() if name != "employments"}
    if page["employments"]["message"] != UNAVAILABLE_TEXT or others != {"empty"}:
        raise NotKept(f"the text of R8 is in the one section alone: {states(page)}")
    say("eIndkomst is down: the text of R8 stands in its section alone")
    _fault(compose, "eindkomst", [])
    took = until("a register that is back is seen", lambda: states(visitor.page(fresh))["employments"] == "empty")
    say("eIndkomst is back: seen after", f"{took} s")
    return {"recovered_after_seconds": took}


def _killed_worker(compose: Compose, visitor: Visitor) -> dict[str, Any]:
    compose("up", "-d", "--no-recreate", "--scale", "worker-udb=3", "worker-udb")
    _fault(compose, "udb", [{"kind": "latency", "median": 0.5, "p99": 2}])
    people = crowd()[1:]
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(visitor.page, cpr) for cpr in people]
        time.sleep(0.5)
        victim = compose.containers("worker-udb")[-1]
        run(["docker", "kill", victim])
        for one in asked:
            one.result()
    good = {"ready", "empty"}

    def all_are_there() -> bool:
        return all(states(visitor.page(cpr))["completed_educations"] in good for cpr in people)

    took = until("what a killed worker held comes back", all_are_there)
    _fault(compose, "udb", [])
    compose("up", "-d", "--no-recreate", "--scale", "worker-udb=1", "worker-udb")
    say(
        f"one of three worker-udb was killed under load: {len(people)} of {len(people)} pages are there after",
        f"{took} s",
    )
    return {"pages": len(people), "lost": 0, "settled_after_seconds": took}


def _rolling_restart(compose: Compose, visitor: Visitor) -> dict[str, Any]:
    with _load(visitor) as seen:
        for service in (*SERVICES, *REDIS_SERVERS):
            is_back = _has_a_ready_worker if service.startswith("worker-") else _is_healthy
            for container in compose.containers(service):
                began = time.time()
                run(["docker", "restart", "-t", "60", container])
                until(f"{service} is back", partial(is_back, container, began))
    undelivered = set(seen.reports)

    def all_are_delivered() -> bool:
        for one in list(undelivered):
            where, cpr = one.split()
            if visitor.call("GET", where, cpr).json().get("status") == "delivered":
                undelivered.discard(one)
        return not undelivered

    took = until("every report is delivered", all_are_delivered, within=300)
    if seen.failed:
        raise NotKept(f"no page fails in a rolling restart: {seen.failed[:3]} ({len(seen.failed)} of {seen.pages})")
    say(
        f"every service was restarted, one by one, under {REFRESHES_PER_SECOND} refreshes a second: "
        f"{seen.pages} pages, none failed; {len(seen.reports)} reports, all delivered after",
        f"{took} s",
    )
    return {"pages_in_restart": seen.pages, "failed_pages": 0, "reports": len(seen.reports), "lost_reports": 0,
            "asked_the_other_portal": visitor.moved}  # fmt: skip


class Seen:
    """Counts of the pages and reports under load."""

    def __init__(self) -> None:
        self.pages = 0
        self.failed: list[str] = []
        self.reports: list[str] = []


@contextmanager
def _load(visitor: Visitor) -> Iterator[Seen]:
    """Load at a steady rate until the block ends: refreshes and pages, and a report every two seconds."""
    seen, ended, lock = Seen(), threading.Event(), threading.Lock()
    people = crowd()

    def visit(number: int) -> None:
        cpr = people[number % CROWD]
        try:
            visitor.call("POST", "/v1/overview/refresh", cpr)
            visitor.page(cpr)
        except (NotKept, httpx.TransportError) as error:
            with lock:
                seen.failed.append(f"{type(error).__name__} {error}")
        with lock:
            seen.pages += 1

    def hand_in(number: int) -> None:
        where = visitor.hand_in(number)
        with lock:
            seen.reports.append(where)

    def drive() -> None:
        began, number = time.monotonic(), 0
        with ThreadPoolExecutor(64) as pool:
            while not ended.is_set():
                pool.submit(visit, number)
                if number % (REFRESHES_PER_SECOND * 2) == 0:
                    pool.submit(hand_in, number // (REFRESHES_PER_SECOND * 2))
                number += 1
                time.sleep(max(0.0, began + number / REFRESHES_PER_SECOND - time.monotonic()))

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        yield seen
    finally:
        ended.set()
        driver.join()


def _has_a_ready_worker(container: str, since: float) -> bool:
    logs = run(["docker", "logs", "--since", f"{since:.3f}", container])
    return "worker_ready" in logs.stderr + logs.stdout


def _is_healthy(container: str, _: float) -> bool:
    found = run(["docker", "inspect", "-f", "{{.State.Health.Status}}", container])
    return found.stdout.strip() == "healthy"


def _fault(compose: Compose, upstream: str, faults: list[dict[str, Any]]) -> None:
    """Sets an upstream's faults from inside the container, because its control port is not published."""
    (container,) = compose.containers("simulators")
    script = (
        "import sys, urllib.request as r; "
        f"r.urlopen(r.Request('http://127.0.0.1:8100/__sim__/{upstream}/faults', data=sys.argv[1].encode(), "
        "method='PUT', headers={'Content-Type': 'application/json'}), timeout=30)"
    )
    run(["docker", "exec", container, "python", "-c", script, json.dumps(faults)])


def main() -> int:
    """Runs the check. Returns the exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="registerbro-check-") as folder:
        compose = Compose(Path(folder))
        run([sys.executable, "-m", "cli.app", "secrets", str(compose.secrets), "--demo"], cwd=PROJECT)
        try:
            terminal.say_json(check(compose), indent=None)
        except (NotKept, TookTooLong) as error:
            terminal.remark(f"compose-check: {error}")
            for line in (compose("ps") + compose("logs", "--tail", "5")).splitlines():
                terminal.remark(line)
            return 1
        finally:
            compose("down", "-v", "-t", "60")
    return 0


if __name__ == "__main__":
    sys.exit(main())
