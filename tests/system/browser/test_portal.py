"""The portal around the page: log-in, banner, menu, control page, in a browser."""

import itertools

import pytest
from playwright.sync_api import expect

from demo.reference_portal import texts
from tests.system.browser.conftest import PHONE, check_with_axe, sign_in

pytestmark = pytest.mark.xdist_group("browser")


def test_the_banner_leads_to_the_page(page, url, api):
    sign_in(page, url)
    page.get_by_role("link", name=texts.BANNER_LINK).click()
    expect(page.get_by_role("heading", name=texts.ABOUT_YOU, level=1)).to_be_visible()


def test_a_dismissed_banner_stays_away_after_a_new_log_in(new_page, url, api):
    page = new_page()
    sign_in(page, url)
    page.get_by_role("button", name=texts.BANNER_DISMISS).click()
    expect(page.locator("#banner")).to_have_count(0)
    page.get_by_role("button", name=texts.LOG_OUT).click()
    expect(page.get_by_text(texts.LOGGED_OUT)).to_be_visible()
    sign_in(page, url)
    expect(page.locator("#banner")).to_have_count(0)
    # On another machine too, and for nobody else.
    other = new_page()
    sign_in(other, url)
    expect(other.locator("#banner")).to_have_count(0)
    sign_in(other, url, "Mia Firejob")
    expect(other.locator("#banner")).to_have_count(1)


def test_a_citizen_outside_the_target_group_meets_neither_banner_nor_page(page, url, api):
    sign_in(page, url, "Karin Udenfor")
    expect(page.locator("#banner")).to_have_count(0)
    expect(page.get_by_role("link", name=texts.ABOUT_YOU)).to_have_count(0)
    page.goto(f"{url}/oplysninger-om-dig")
    expect(page.get_by_role("heading", name=texts.NOT_FOUND)).to_be_visible()
    assert not any("overview" in call for call in api.calls)


def test_the_menu_of_a_telephone_opens_and_closes_by_keyboard(new_page, url, api):
    page = new_page(PHONE)
    sign_in(page, url)
    page.get_by_role("button", name=texts.MENU, exact=True).press("Enter")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("link", name=texts.ABOUT_YOU)).to_be_visible()
    expect(page.get_by_role("button", name=texts.CLOSE_MENU)).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.get_by_role("button", name=texts.MENU, exact=True)).to_be_focused()


def test_the_control_page_takes_a_register_down_and_mends_it(page, url, api, simulation):
    page.goto(f"{url}/kontrol")
    row = page.locator("#eindkomst")
    for action, state in (("down", "Nede"), ("slow", "Langsom"), ("up", "I gang")):
        row.get_by_role("button", name=texts.CONTROL_ACTIONS[action]).click()
        expect(row.locator(".condition")).to_have_text(state)
    # What happens elsewhere is seen while one looks.
    simulation.control.fault("eindkomst", {"kind": "status", "status": 503})
    expect(row.locator(".condition")).to_have_text("Nede")
    simulation.control.mend()
    expect(row.locator(".condition")).to_have_text("I gang")


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["wide", "telephone"])
def test_nobody_is_kept_out_of_any_other_page(new_page, url, api, axe_source, size):
    page = new_page(size)
    for path in ("/", "/log-ind", "/nothing"):
        page.goto(url + path)
        check_with_axe(page, axe_source)
    sign_in(page, url)
    for path in ("/", "/kontrol", *texts.PAGES):
        page.goto(url + path)
        check_with_axe(page, axe_source)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
    if size == PHONE:
        page.get_by_role("button", name=texts.MENU, exact=True).click()
        expect(page.get_by_role("button", name=texts.CLOSE_MENU)).to_be_visible()
        check_with_axe(page, axe_source)


def test_headings_come_in_order_on_every_page(page, url, api):
    sign_in(page, url)
    for path in ("/", "/oplysninger-om-dig", "/fejlmeld-moedebooking", "/kontrol", "/cv"):
        page.goto(url + path)
        levels = page.evaluate(
            """[...document.querySelectorAll('main :is(h1,h2,h3,h4)')]
                .filter(h => h.checkVisibility()).map(h => +h.tagName[1])"""
        )
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
