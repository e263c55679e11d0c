"""The whole of it in a browser: real API, workers, beat, Redis and simulators behind the page."""

import re

import pytest
from playwright.sync_api import expect

from config.celery import REGISTERS
from demo.installation import installation, wait_for
from domain.overview import SECTIONS, UNAVAILABLE_TEXT
from registerbro.storage.keys import ACTIVE_KEY, running_key
from simulators.control import Control
from tests.system.browser.conftest import check_with_axe, sign_in

pytestmark = pytest.mark.xdist_group("processes")

ABOUT_YOU = "/oplysninger-om-dig"
PATIENCE_MS = 60_000
"""What takes a second here takes longer where everything runs on two cores."""
SHORT = {
    **{f"{name.upper()}__RETRY_AFTER": "PT1S" for name in REGISTERS},
    **{f"{name.upper()}__FRESH_FOR": "PT1S" for name in REGISTERS},
    **{f"{name.upper()}__ADMISSION__OPEN_FOR": "PT0.5S" for name in REGISTERS},
    **{f"{name.upper()}__ADMISSION__OPEN_AT_MOST": "PT1S" for name in REGISTERS},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with installation(tmp_path_factory.mktemp("installation"), SHORT) as it:
        yield it.start_redis().start_simulators().start_workers().start_portal()


@pytest.fixture
def control(whole):
    with Control(whole.upstreams) as it:
        it.reset()
        with whole.redis["broker"].client() as broker, whole.redis["cache"].client() as cache:
            # Nothing that an earlier test has asked for comes in between.
            broker.delete(ACTIVE_KEY)
            wait_for(lambda: not any(broker.zcard(running_key(name)) for name in REGISTERS), "the schedule's end")
            cache.flushall()
        yield it
        it.reset()


def section(page, name):
    return page.locator(f"#afsnit-{name}")


def is_filled(page, *names):
    for name in names or [section.id for section in SECTIONS]:
        expect(section(page, name)).not_to_have_attribute("data-state", "pending", timeout=PATIENCE_MS)


def never_reloaded(page):
    """Marks the document; returns a check that it is still the same one."""
    page.evaluate("document.documentElement.dataset.first = 'yes'")
    return lambda: expect(page.locator("html")).to_have_attribute("data-first", "yes")


def test_the_page_opens_at_once_and_fills_as_the_registers_answer(page, whole, control, axe_source):
    control.fault("eindkomst", {"kind": "latency", "median": 1.5, "p99": 2})
    sign_in(page, whole.portal_url, goal=ABOUT_YOU)
    still_the_same = never_reloaded(page)
    expect(section(page, "employments")).to_have_attribute("data-state", "pending")
    is_filled(page)
    expect(section(page, "employments")).to_have_attribute("data-state", "ready")
    expect(page.get_by_text(UNAVAILABLE_TEXT)).to_have_count(0)
    still_the_same()
    check_with_axe(page, axe_source)


def test_one_register_that_is_down_is_said_in_its_own_section_and_comes_back_without_a_reload(page, whole, control):
    control.fault("ydelse", {"kind": "status", "status": 503})
    sign_in(page, whole.portal_url, goal=ABOUT_YOU)
    still_the_same = never_reloaded(page)
    is_filled(page)
    expect(section(page, "benefits")).to_have_attribute("data-state", "unavailable")
    expect(page.get_by_text(UNAVAILABLE_TEXT)).to_have_count(1)
    control.mend("ydelse")
    expect(section(page, "benefits")).to_have_attribute("data-state", "ready", timeout=PATIENCE_MS)
    still_the_same()


def test_old_data_say_from_when_they_are_while_their_register_is_down(page, whole, control):
    sign_in(page, whole.portal_url, goal=ABOUT_YOU)
    is_filled(page)
    control.fault("su", {"kind": "gone"})
    page.wait_for_function("() => new Promise((after) => setTimeout(() => after(true), 1500))")
    page.reload()
    is_filled(page)
    expect(section(page, "su_attempts")).to_have_attribute("data-state", "ready")
    page.get_by_role("button", name=re.compile("SU-forsøg")).click()
    expect(section(page, "su_attempts")).to_contain_text(re.compile(r"Hentet .*kl\. \d\d\.\d\d"))
    expect(page.get_by_text(UNAVAILABLE_TEXT)).to_have_count(0)


def test_a_report_of_500_characters_goes_from_the_form_to_the_vendor(page, whole, control):
    sign_in(page, whole.portal_url, goal="/fejlmeld-moedebooking")
    page.locator("textarea").fill("æ" * 500)
    expect(page.get_by_text("Der kan ikke indtastes flere tegn").first).to_be_visible()
    page.get_by_role("main").locator("form button").first.click()
    expect(page.get_by_text(re.compile("[0-9a-f]{8}-[0-9a-f]{4}")).first).to_be_visible()
    for _ in range(60):
        if control.calls("booking_vendor").total:
            break
        page.wait_for_timeout(250)
    assert control.calls("booking_vendor").total == 1


def test_who_dismissed_the_banner_is_left_alone_after_the_next_log_in(new_page, whole, control):
    first = new_page()
    sign_in(first, whole.portal_url)
    first.get_by_role("button", name="Vis ikke denne besked igen").click()
    expect(first.get_by_text("Gå til Oplysninger om dig")).to_have_count(0)
    second = new_page()
    sign_in(second, whole.portal_url)
    expect(second.get_by_role("link", name="Oplysninger om dig").first).to_be_visible()
    expect(second.get_by_text("Gå til Oplysninger om dig")).to_have_count(0)


@pytest.mark.parametrize("server", ["cache", "broker", "ledger"])
def test_without_a_redis_every_page_is_there_and_the_overviews_say_so(page, whole, control, server):
    """§3.1."""
    whole.redis[server].stop()
    try:
        sign_in(page, whole.portal_url)
        for path in ("/", "/cv", "/moedebooking", "/fejlmeld-moedebooking", ABOUT_YOU):
            assert page.goto(whole.portal_url + path).status == 200
            expect(page.get_by_role("navigation").get_by_text("Oplysninger om dig").first).to_be_visible()
        if server != "ledger":
            expect(page.get_by_text(UNAVAILABLE_TEXT).first).to_be_visible()
    finally:
        whole.redis[server].start()
