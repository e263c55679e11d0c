"""»Oplysninger om dig« in a browser: it fills, fails and recovers while it is open, by mouse and by keyboard alike."""

import re

import pytest
from playwright.sync_api import expect

from demo.reference_portal import texts
from domain.overview import SECTIONS, UNAVAILABLE_TEXT
from tests.demo.reference_portal.fake_api import ITEMS, jobs
from tests.system.browser.conftest import PHONE, check_with_axe, sign_in

PAGE = "/oplysninger-om-dig"
EVERY = [section.id for section in SECTIONS]
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def here(page, url):
    """The page's browser, with Alma Eksempel logged in."""
    sign_in(page, url)
    return page


def section(page, name):
    return page.locator(f"#afsnit-{name}")


def button(page, name):
    return section(page, name).get_by_role("button")


def never_reloaded(page):
    """Marks the page as it is; the answer says whether it is still that one."""
    page.evaluate("window.marked = true")
    return lambda: page.evaluate("window.marked === true")


def test_each_element_opens_and_closes_with_a_click(here, url, api):
    here.goto(url + PAGE)
    expect(here.get_by_text("Htx")).to_be_hidden()
    button(here, "completed_educations").click()
    expect(here.get_by_text("Htx")).to_be_visible()
    expect(button(here, "completed_educations")).to_have_attribute("aria-expanded", "true")
    button(here, "completed_educations").click()
    expect(here.get_by_text("Htx")).to_be_hidden()


def test_vis_alle_shows_the_rest_where_one_is(here, url, api):
    api.ready("employments", jobs(4))
    here.goto(url + PAGE)
    same = never_reloaded(here)
    button(here, "employments").click()
    shown = section(here, "employments").locator("tbody tr:visible")
    expect(shown).to_have_count(3)
    section(here, "employments").get_by_role("link", name="Vis alle").click()
    expect(shown).to_have_count(4)
    expect(shown.nth(3)).to_be_focused()
    expect(section(here, "employments").get_by_role("link")).to_have_count(0)
    assert same()


def test_three_jobs_have_no_vis_alle(here, url, api):
    api.ready("employments", jobs(3))
    here.goto(url + PAGE)
    button(here, "employments").click()
    expect(section(here, "employments").locator("tbody tr:visible")).to_have_count(3)
    expect(here.get_by_role("link", name="Vis alle")).to_have_count(0)


def test_the_page_fills_as_the_registers_answer_without_a_reload(here, url, api):
    api.pending()
    here.goto(url + PAGE)
    same = never_reloaded(here)
    expect(here.locator(".skeleton")).to_have_count(len(EVERY))
    api.ready("employments", ITEMS["employments"])
    expect(button(here, "employments")).to_be_visible()
    expect(here.locator(".skeleton")).to_have_count(len(EVERY) - 1)
    for name in EVERY:
        api.ready(name, ITEMS[name])
    expect(here.locator(".skeleton")).to_have_count(0)
    button(here, "employments").click()
    expect(here.get_by_text("Føtex Ærøskøbing")).to_be_visible()
    expect(here.get_by_role("status")).to_contain_text("Hentet:")
    assert same()


def test_a_register_that_fails_while_the_page_is_open_is_said_to(here, url, api):
    api.pending("employments", "benefits")
    here.goto(url + PAGE)
    api.unavailable("employments", retry_after=60)
    expect(section(here, "employments")).to_contain_text(UNAVAILABLE_TEXT)
    expect(section(here, "benefits").locator(".skeleton")).to_be_visible()
    expect(here.get_by_role("status")).to_contain_text(f"Kunne ikke hentes: {texts.SECTIONS['employments']}.")
    api.ready("benefits", ITEMS["benefits"])
    expect(button(here, "benefits")).to_be_visible()
    expect(here.get_by_role("button", name="Prøv igen")).to_be_visible()


def test_a_register_that_recovers_is_seen_without_a_reload(here, url, api):
    api.unavailable("employments")
    here.goto(url + PAGE)
    same = never_reloaded(here)
    expect(section(here, "employments")).to_contain_text(UNAVAILABLE_TEXT)
    expect(here.get_by_role("button", name="Prøv igen")).to_be_visible()
    api.ready("employments", ITEMS["employments"])
    expect(button(here, "employments")).to_be_visible()
    expect(here.get_by_text(UNAVAILABLE_TEXT)).to_have_count(0)
    expect(here.get_by_role("button", name="Prøv igen")).to_be_hidden()
    assert same()


@pytest.mark.parametrize("failure", ["refuse", "hang", "500"])
def test_an_api_that_recovers_is_seen_without_a_reload(here, url, api, failure):
    api.failing = failure
    here.goto(url + PAGE)
    same = never_reloaded(here)
    expect(here.get_by_text(UNAVAILABLE_TEXT)).to_have_count(len(EVERY))
    api.failing = None
    expect(here.get_by_text(UNAVAILABLE_TEXT)).to_have_count(0, timeout=30_000)
    assert same()


def test_an_api_that_dies_while_sections_are_being_fetched_leaves_none_of_them_hanging(here, url, api):
    api.pending("benefits")
    here.goto(url + PAGE)
    expect(section(here, "benefits").locator(".skeleton")).to_be_visible()
    api.failing = "500"
    api.end_streams()
    expect(section(here, "benefits")).to_contain_text(UNAVAILABLE_TEXT)
    api.failing = None
    api.ready("benefits", ITEMS["benefits"])
    expect(button(here, "benefits")).to_be_visible(timeout=30_000)


def test_a_section_that_turns_out_to_be_empty_goes_and_its_overview_with_it(here, url, api):
    api.pending("benefits", "stu")
    here.goto(url + PAGE)
    expect(here.get_by_role("heading", name=texts.OVERVIEWS["benefits"])).to_be_visible()
    api.empty("benefits", "stu")
    expect(here.get_by_role("heading", name=texts.OVERVIEWS["benefits"])).to_be_hidden()
    expect(here.get_by_role("heading", name=texts.OVERVIEWS["education"])).to_be_visible()
    expect(section(here, "stu")).to_be_hidden()


def test_a_page_that_turns_out_to_be_empty_says_so(here, url, api):
    api.pending()
    here.goto(url + PAGE)
    expect(here.get_by_text(texts.NOTHING)).to_be_hidden()
    api.empty()
    expect(here.get_by_text(texts.NOTHING)).to_be_visible()
    expect(here.locator("main h2:visible")).to_have_count(0)


def test_the_focus_and_what_is_open_stay_when_a_section_is_filled_anew(here, url, api):
    api.ready("employments", jobs(4), stale=True)
    here.goto(url + PAGE)
    button(here, "employments").press("Enter")
    expect(section(here, "employments")).to_contain_text("Hentet")
    section(here, "employments").get_by_role("link", name="Vis alle").press("Enter")
    button(here, "employments").focus()
    api.ready("employments", jobs(5))
    expect(section(here, "employments")).not_to_contain_text("Hentet")
    expect(button(here, "employments")).to_be_focused()
    expect(button(here, "employments")).to_have_attribute("aria-expanded", "true")
    expect(section(here, "employments").locator("tbody tr:visible")).to_have_count(5)


def test_the_focus_is_not_lost_when_its_section_goes(here, url, api):
    api.ready("employments", jobs(2), stale=True)
    here.goto(url + PAGE)
    button(here, "employments").focus()
    api.empty("employments")
    expect(section(here, "employments")).to_be_hidden()
    assert here.evaluate("document.activeElement !== document.body")


def test_an_open_page_that_has_everything_asks_no_more(here, url, api):
    here.goto(url + PAGE)
    expect(button(here, "fgu")).to_be_visible()
    here.wait_for_load_state("networkidle")
    assert "GET /v1/overview/events" not in api.calls


def test_a_session_that_ends_leads_to_the_log_in(here, url, api):
    api.pending("benefits")
    here.goto(url + PAGE)
    here.context.clear_cookies()
    api.ready("benefits", ITEMS["benefits"])
    here.wait_for_url(re.compile(r"/log-ind\?side="))


def test_names_with_markup_are_text_and_run_nothing(page, url, api):
    api.ready(
        "employments",
        [{"employer": "<script>alert('job')</script><img src=x onerror=alert(1)>", "start": "2020-01-01", "end": None}],
    )
    said = []
    page.on("dialog", lambda dialog: said.append(dialog.dismiss()))
    sign_in(page, url, "Håkon Ærlig-Øst <b>", PAGE)
    button(page, "employments").click()
    expect(page.get_by_text("<script>alert('job')</script>")).to_be_visible()
    # And when it comes as a part of the page.
    api.pending("employments")
    page.reload()
    api.ready("employments", [{"employer": "<img src=x onerror=alert(2)>", "start": "2020-01-01", "end": None}])
    button(page, "employments").click()
    expect(page.get_by_text("<img src=x onerror=alert(2)>")).to_be_visible()
    assert said == []


def test_everything_works_by_keyboard(page, url, api):
    api.ready("employments", jobs(4))
    page.goto(f"{url}/log-ind?side={PAGE}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=texts.SKIP_LINK)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main-content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Log ind som Alma Eksempel")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(url + PAGE)
    page.locator("#main-content").focus()
    opened = 0
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.get_attribute("class") == "accordion-button":
            page.keyboard.press("Space" if opened % 2 else "Enter")
            expect(focused).to_have_attribute("aria-expanded", "true")
            opened += 1
        elif focused.inner_text().startswith("Vis alle"):
            page.keyboard.press("Enter")
            expect(section(page, "employments").locator("tbody tr:visible")).to_have_count(4)
        if opened == len(EVERY):
            break
    assert opened == len(EVERY)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


# Without JavaScript.


def test_without_a_script_everything_can_be_read_and_fills_by_a_reload(new_page, url, api):
    api.pending("benefits")
    api.ready("employments", jobs(4))
    page = new_page(PHONE, script=False)
    sign_in(page, url, goal=PAGE)
    expect(page.get_by_text("Htx")).to_be_visible()
    expect(page.get_by_text("Job nr. 1", exact=True)).to_be_hidden()
    section(page, "employments").get_by_role("link", name="Vis alle").click()
    expect(page.get_by_text("Job nr. 1", exact=True)).to_be_visible()
    api.ready("benefits", ITEMS["benefits"])
    page.get_by_role("link", name=texts.UPDATE).click()
    expect(page.get_by_text("Uddannelseshjælp")).to_be_visible()
    # The menu stands open where its button would do nothing.
    page.get_by_role("link", name="CV").first.click()
    expect(page.get_by_role("heading", name="CV")).to_be_visible()


# For everybody: WCAG 2.1 AA, on a wide screen and on a telephone.

STATES = {
    "ready": lambda api: api.ready("employments", jobs(5)),
    "old": lambda api: [api.ready(name, ITEMS[name], stale=True) for name in EVERY],
    "pending": lambda api: api.pending(),
    "unavailable": lambda api: api.unavailable(retry_after=60),
    "empty": lambda api: api.empty(),
    "mixed": lambda api: (api.pending("fgu"), api.unavailable("stu", retry_after=60), api.empty("benefits")),
}


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["wide", "telephone"])
@pytest.mark.parametrize("state", STATES)
def test_nobody_is_kept_out_of_the_page_in_any_state(new_page, url, api, axe_source, state, size):
    STATES[state](api)
    page = new_page(size)
    sign_in(page, url, goal=PAGE)
    check_with_axe(page, axe_source)
    for each in page.locator(".accordion-button").all():
        each.click()
    check_with_axe(page, axe_source)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the screen"


def test_axe_finds_what_is_wrong(here, url, api, axe_source):
    """The check itself: it sees a name that is missing, and a contrast that does not hold."""
    here.goto(url + PAGE)
    here.evaluate("document.querySelector('.accordion-title').textContent = ''")
    here.evaluate("document.querySelector('.font-lead').style.color = '#bbbbbb'")
    with pytest.raises(AssertionError, match=r"(?s)button-name.*color-contrast"):
        check_with_axe(here, axe_source)
