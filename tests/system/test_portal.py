"""The portal as a process, over real workers, beat, Redis and simulators: pages fill, and nothing takes it down."""

import asyncio
import itertools
import re
import signal

import httpx
import pytest

from config.celery import REGISTERS
from demo import tokens
from demo.installation import installation, wait_for
from demo.reference_portal import texts
from domain.cpr import Cpr
from domain.overview import CALENDAR, UNAVAILABLE_TEXT
from simulators import citizens

pytestmark = pytest.mark.xdist_group("processes")

HANGS = 10.0
"""Seconds after which a page has hung. A second is promised; a busy machine may miss that, so the figure is printed."""
FROM_DFDG = {
    "/kalender": ("visitering", "kontaktforloeb", "borgerindsats"),
    "/book-moeder-med-frist": ("kontaktforloeb",),
    "/jeg-soeger-job-som": ("jobsearch",),
    "/min-profil": ("visitering",),
}
"""Page of every citizen's → the registers that its data are from."""
PAGES = (
    "/", "/log-ind", "/cv", "/moedebooking", "/fejlmeld-moedebooking", "/oplysninger-om-dig", *FROM_DFDG,
)  # fmt: skip
OF_THE_PAGE = ("udb", "su", "eindkomst", "ydelse", "booking_vendor")
OF_DFDG = ("visitering", "kontaktforloeb", "jobsearch", "borgerindsats")
NOTHING = (
    texts.NOTHING, texts.CALENDAR_NOTHING.partition("{")[0], texts.BOOK_NOTHING, texts.BOOK_NO_TIMES,
    texts.HISTORY_NOTHING, texts.CV_UNKNOWN,
)  # fmt: skip
"""What pages say when it is known that there is no data, or none on the CV; Alma Eksempel has some of everything."""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    short = {f"{name.upper()}__RETRY_AFTER": "PT1S" for name in REGISTERS}
    with installation(tmp_path_factory.mktemp("installation"), short) as it:
        yield it.start_redis().start_simulators().start_workers().start_portal()


@pytest.fixture
def token(here):
    def sign(citizen=citizens.EXAMPLE, groups=(12,), **more):
        pem = (here.directory / "signing-key.pem").read_bytes()
        return tokens.sign(
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
    """Logs in; again while the list of citizens is too late for the page, as it may be on a busy machine."""
    answers = []

    def logged_in():
        if csrf := re.search(r'name="csrf" value="([^"]+)"', browser.get("/log-ind").text):
            answers.append(browser.post("/log-ind", data={"csrf": csrf[1], "side": "/", "borger": name}))
        return bool(answers) and answers[-1].url.path == "/"

    wait_for(logged_in, "the log-in")
    assert answers[-1].status_code == 200
    return answers[-1]


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
    assert api.get(where, headers=bearer(token())).json()["case"] is None
    assert control.reports()[-1]["report"]["Fejltekst"] == "Kalenderen er tom."


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


def test_whatever_is_down_every_page_is_there_and_no_failure_looks_like_no_data(here, browser, control):
    """§3.1, R8: every set of each of the two groups of upstreams, on a cache that has nothing."""
    assert set(REGISTERS) < {*OF_THE_PAGE, *OF_DFDG}
    for down in itertools.chain.from_iterable(
        itertools.combinations(group, count) for group in (OF_THE_PAGE, OF_DFDG) for count in range(len(group) + 1)
    ):
        control.reset()
        for name in down:
            control.fault(name, {"kind": "status", "status": 503})
        with here.redis["cache"].client() as cache:
            cache.flushall()
        log_in(browser)
        overview = look_at_every_page(browser)
        assert 'data-state="empty"' not in overview, down
        for path, registers in FROM_DFDG.items():
            page = settled(browser, path)
            assert not [text for text in NOTHING if text in page], (down, path)
            if set(registers) & set(down):
                assert UNAVAILABLE_TEXT in page, (down, path)
        # A register that was down before may not be asked yet, so that more may be missing than is down.
        missing = set(re.findall(r'data-lacking="(\w+)"', settled(browser, "/kalender")))
        assert {section.id for section in CALENDAR if section.register in down} <= missing, down


def test_a_booking_system_that_is_down_is_said_where_one_books_and_nowhere_else(here, browser, control):
    control.fault("kontaktforloeb", {"kind": "status", "status": 503, "operation": "offers"})
    log_in(browser)
    # As soon as the registers, which an earlier test may have taken down, answer again.
    wait_for(lambda: texts.BOOK_UNREACHABLE in settled(browser, "/book-moeder-med-frist"), "the booking system's error")
    for path in ("/kalender", "/jeg-soeger-job-som", "/min-profil"):
        wait_for(lambda path=path: UNAVAILABLE_TEXT not in settled(browser, path), path)


def settled(browser, path):
    """A part of a page, once it is no longer being fetched."""
    page, _, query = path.partition("?")
    found = []
    wait_for(
        lambda: 'data-state="pending"' not in (found.append(browser.get(f"{page}/del?{query}").text) or found[-1]), path
    )
    return found[-1]


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
