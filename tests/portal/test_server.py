"""The portal as a process, over real workers, beat, Redis and simulators: pages fill, and nothing takes it down."""

import asyncio
import re
import signal

import httpx
import pytest

from config.celery import REGISTERS
from ops.local import installation, wait_for
from portal.web import signing
from simulators import citizens
from simulators.control import Control
from workers.domain.cpr import Cpr
from workers.domain.overview import UNAVAILABLE_TEXT

pytestmark = pytest.mark.xdist_group("processes")

HANGS = 10.0
"""Seconds after which a page has hung. A second is promised; a busy machine may miss that, so the figure is printed."""
PAGES = ("/", "/log-ind", "/cv", "/moedebooking", "/fejlmeld-moedebooking", "/oplysninger-om-dig")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    short = {f"{name.upper()}__RETRY_AFTER": "PT1S" for name in REGISTERS}
    with installation(tmp_path_factory.mktemp("installation"), short) as it:
        yield it.start_redis().start_simulators().start_workers().start_portal()


@pytest.fixture
def control(here):
    with Control(here.upstreams) as it:
        it.reset()
        yield it
        it.reset()


@pytest.fixture
def token(here):
    def sign(citizen=citizens.EXAMPLE, groups=(12,), **more):
        pem = (here.directory / "signing-key.pem").read_bytes()
        return signing.sign(
            pem, issuer="registerbro-demo", audience="registerbro", cpr=Cpr.parse(citizen.cpr),
            contact_groups=groups, education_order=False, **more,
        )  # fmt: skip

    return sign


@pytest.fixture
def api(here):
    with httpx.Client(base_url=here.portal_url, timeout=60) as it:
        yield it


@pytest.fixture
def browser(here):
    """A browser's cookies, without the rest of it."""
    with httpx.Client(base_url=here.portal_url, timeout=60, follow_redirects=True) as it:
        yield it


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def sections(answer):
    return {section["id"]: section for overview in answer.json()["overviews"] for section in overview["sections"]}


def log_in(browser, name="Alma Eksempel"):
    page = browser.get("/log-ind").text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
    answer = browser.post("/log-ind", data={"csrf": csrf, "side": "/", "borger": name})
    assert answer.status_code == 200
    return answer


def test_a_page_that_is_asked_for_fills_by_itself(api, token, control):
    headers = bearer(token())
    first = api.get("/v1/overview", headers=headers)
    told = api.get("/v1/overview/events", headers=headers).text
    last = api.get("/v1/overview", headers=headers)
    assert {section["state"] for section in sections(first).values()} == {"pending"}
    assert told.count("event: section") >= 7
    assert last.json()["complete"]
    assert sections(last)["completed_educations"]["state"] == "ready"


def test_the_portal_is_ready_when_every_queue_is_worked_at(api):
    wait_for(lambda: api.get("/readyz").status_code == 200, "the queues' signs of life")
    assert all(api.get("/readyz").json()["queues"].values())


def test_a_fault_report_reaches_the_vendor(api, token, control):
    taken = api.post(
        "/v1/fault-reports", json={"text": "Kalenderen er tom."}, headers={**bearer(token()), "Idempotency-Key": "one"}
    )
    assert taken.status_code == 202
    where = taken.headers["location"]
    wait_for(lambda: api.get(where, headers=bearer(token())).json()["status"] == "delivered", "the delivery")
    assert api.get(where, headers=bearer(token())).json()["case"].startswith("FM-")


def test_no_process_writes_a_cpr_number_down(here, api, token, control):
    api.get("/v1/overview", headers=bearer(token()))
    api.get(f"/v1/{citizens.EXAMPLE.cpr}", headers=bearer(token()))
    api.get("/v1/overview", headers=bearer(citizens.EXAMPLE.cpr))
    written = "".join(process.log.read_text("utf-8") for process in here.processes.values())
    assert "request_answered" in written
    assert citizens.EXAMPLE.cpr not in written


def look_at_every_page(browser):
    """Every page answers with its menu and footer. Returns »Oplysninger om dig«."""
    answers = {path: browser.get(path) for path in PAGES}
    print({path: answer.elapsed.total_seconds() for path, answer in answers.items()})
    assert {answer.status_code for answer in answers.values()} == {200}
    assert all("Oplysninger om dig" in answer.text for answer in answers.values())
    assert all("Kompetenceafklaring og sprogkort" in answer.text for answer in answers.values())
    assert max(answer.elapsed.total_seconds() for answer in answers.values()) < HANGS
    return answers["/oplysninger-om-dig"].text


@pytest.mark.parametrize("name", ["cache", "broker", "ledger"])
@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_no_page_hangs_or_fails_without_a_redis(here, browser, control, name, how):
    """§3.1: a failing register, or what stands for it, never takes down the log-in, the menu or another page."""
    server = here.redis[name]
    if how == "stopped":
        server.stop()
    else:
        server.process.signal(signal.SIGSTOP)
    try:
        log_in(browser)
        page = look_at_every_page(browser)
    finally:
        if how == "stopped":
            server.start()
        else:
            server.process.signal(signal.SIGCONT)
    if name == "cache":
        assert UNAVAILABLE_TEXT in page


def test_no_page_hangs_or_fails_while_every_upstream_is_down(here, browser, control):
    for register in REGISTERS:
        control.fault(register, {"kind": "status", "status": 503})
    with here.redis["cache"].client() as cache:
        cache.flushall()
    log_in(browser)
    browser.get("/oplysninger-om-dig/begivenheder")
    assert UNAVAILABLE_TEXT in look_at_every_page(browser)


async def test_a_portal_that_is_asked_to_end_lets_go_of_who_listens(here, token):
    """And comes back where it was, so that this is the last test of the module."""
    with here.redis["cache"].client() as cache:
        cache.flushall()
    portal = here.processes["portal"]
    async with (
        httpx.AsyncClient(base_url=here.portal_url, timeout=60) as client,
        client.stream("GET", "/v1/overview/events", headers=bearer(token())),
    ):
        portal.signal(signal.SIGTERM)
        # uvicorn ends as one does who was told to, once it has tidied up.
        assert await asyncio.to_thread(portal.popen.wait, 30) in {0, -signal.SIGTERM}
    assert "Application shutdown complete" in portal.log.read_text("utf-8")
