"""The timeline of »Oplysninger om dig« in a browser: read, used and printed, on any screen, also without a script."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from demo.reference_portal import texts
from domain.overview import UNAVAILABLE_TEXT
from domain.service_windows import danish_today
from tests.demo.reference_portal.fake_api import ITEMS, jobs
from tests.system.browser.conftest import DESKTOP, PHONE, check_with_axe, sign_in

PAGE = "/oplysninger-om-dig"
TIMELINE = f"{PAGE}?vis=tidslinje"
NARROW = (320, 640)
PAPER = (718, 1000)
"""A page of A4 with its margins, at 96 px an inch."""
SIZES = {"wide": DESKTOP, "tablet": (768, 900), "telephone": PHONE, "narrow": NARROW}
pytestmark = pytest.mark.xdist_group("browser")


def day(days):
    """So many days from today."""
    return (danish_today() + timedelta(days=days)).isoformat()


def job(employer, start, end):
    return {"employer": employer, "start": day(start), "end": None if end is None else day(end)}


def years_of_jobs(count):
    """So many jobs of 200 days, each of which the next overlaps."""
    return [job(f"Arbejdsgiver nr. {n} ApS", -120 * n - 200, -120 * n) for n in range(count)]


STATES = {
    "none": lambda api: api.empty(),
    "one": lambda api: (api.empty(), api.ready("employments", [job("Føtex", -900, -400)])),
    "all": lambda api: None,
    "sixty": lambda api: api.ready("employments", years_of_jobs(60)),
    "open": lambda api: api.ready("employments", [job("Netto", -300, None), job("Irma", -2000, -1900)]),
    "a day": lambda api: api.ready("employments", [job("En dag ApS", -3650, -3650), job("I DAG A/S", 0, 0)]),
    "overlap": lambda api: api.ready("employments", [job(f"Job {n}", -800 + n, -100 + n) for n in range(6)]),
    "wide words": lambda api: api.ready("employments", [job("WWW MMM ÆÆÆ " * 5, -90 * n, -80 * n) for n in range(9)]),
    "old": lambda api: api.ready("benefits", ITEMS["benefits"], stale=True),
    "pending": lambda api: api.pending(),
    "unavailable": lambda api: api.unavailable(retry_after=60),
    "mixed": lambda api: (api.pending("fgu", "benefits"), api.unavailable("stu", "employments", retry_after=60)),
}  # fmt: skip
AT_EVERY_SIZE = {"all", "sixty", "wide words"}
"""The states in which the width decides; the others are tried on the widest screen and on the narrowest."""


def lane(page, name):
    return page.locator(f"#tidslinje [data-lane={name}]")


def bar(page, name):
    return page.locator(f"#tidslinje-{name}")


def is_no_wider_than_the_screen(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def opened(new_page, url, size=DESKTOP, **more):
    page = new_page(size, **more)
    # The address with its question comes second, since the log-in leads to paths alone.
    sign_in(page, url)
    page.goto(url + TIMELINE)
    return page


@pytest.mark.parametrize(
    ("state", "size"),
    [(state, size) for state in STATES for size in SIZES if state in AT_EVERY_SIZE or size in {"wide", "narrow"}],
)
def test_nobody_is_kept_out_of_the_timeline_in_any_state(new_page, url, api, axe_source, state, size):
    STATES[state](api)
    page = opened(new_page, url, SIZES[size])
    check_with_axe(page, axe_source)
    assert is_no_wider_than_the_screen(page)
    # Nor does a lane scroll, or a mark leave its picture, or a label lie over another of its row.
    wrong = page.evaluate(
        """() => {
          const wrong = [];
          const parts = ['label', 'solid', 'hatched', 'faded'].map((part) => `.timeline-${part}`).join(', ');
          for (const picture of document.querySelectorAll('.timeline-picture')) {
            const frame = picture.getBoundingClientRect();
            const rows = new Map();
            for (const bar of picture.querySelectorAll('a')) {
              const hit = bar.querySelector('.timeline-hit').getBoundingClientRect();
              if (hit.left < frame.left - 1 || hit.right > frame.right + 1) wrong.push(['outside', bar.id]);
              if (hit.width < 24 || hit.height < 24) wrong.push(['small', bar.id]);
              for (const part of bar.querySelectorAll(parts)) {
                const box = part.getBoundingClientRect();
                if (!box.width && !box.height) continue;
                if (box.left < hit.left - 1 || box.right > hit.right + 1) wrong.push([part.className.baseVal, bar.id]);
              }
              const row = rows.get(hit.top) ?? [];
              if (row.some((other) => other.left < hit.right && hit.left < other.right)) wrong.push(['over', bar.id]);
              rows.set(hit.top, [...row, hit]);
            }
          }
          return wrong;
        }"""
    )
    assert wrong == []


def test_none_one_and_sixty_items_are_as_many_bars(new_page, url, api):
    page = opened(new_page, url)
    for count in (0, 1, 60):
        api.empty()
        api.ready("employments", years_of_jobs(count))
        page.goto(url + TIMELINE)
        expect(page.locator("#tidslinje .timeline-picture a")).to_have_count(count)
        expect(page.locator("#ingen")).to_be_visible(visible=count == 0)
        expect(page.get_by_role("heading", name=texts.TIMELINE, exact=True)).to_have_count(1 if count else 0)


@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_period_of_a_day_is_seen_and_an_open_end_goes_on_after_today(new_page, url, api, size):
    api.ready("employments", [job("En dag ApS", -3000, -3000), job("Netto", -300, None)])
    page = opened(new_page, url, SIZES[size])
    edges = bar(page, "employments-1").locator(".timeline-edge")
    expect(edges).to_have_count(2)
    assert edges.first.evaluate("it => parseFloat(getComputedStyle(it).strokeWidth)") >= 3
    expect(bar(page, "employments-2").locator(".timeline-edge")).to_have_count(1)
    today = lane(page, "employment").locator("line.timeline-today").bounding_box()
    faded = bar(page, "employments-2").locator(".timeline-faded").bounding_box()
    solid = bar(page, "employments-2").locator(".timeline-solid").bounding_box()
    assert solid["x"] < today["x"] < faded["x"] + faded["width"]
    assert faded["width"] >= 10
    expect(lane(page, "employment").get_by_text(texts.TIMELINE_TODAY, exact=True)).to_be_visible()


def test_jobs_at_the_same_time_are_beneath_each_other(new_page, url, api):
    api.ready("employments", [job("Netto", -700, -100), job("Irma", -600, -200), job("Føtex", -2500, -2400)])
    page = opened(new_page, url)
    tops = [bar(page, f"employments-{n}").locator(".timeline-hit").bounding_box()["y"] for n in (1, 2, 3)]
    assert tops[0] != tops[1]
    assert tops[2] in tops[:2]


def test_a_lane_names_its_gaps(new_page, url, api):
    page = opened(new_page, url)
    (gap,) = lane(page, "employment").locator(".timeline-gap").all()
    name = texts.TIMELINE_GAP.format(days="1. juni 2020 – 31. januar 2021")
    expect(page.get_by_role("listitem", name=name)).to_have_count(1)
    left, right = (bar(page, f"employments-{n}").locator(".timeline-solid").bounding_box() for n in (2, 1))
    box = gap.bounding_box()
    assert abs(box["x"] - (left["x"] + left["width"])) < 3
    assert abs(box["x"] + box["width"] - right["x"]) < 3


@pytest.mark.parametrize("number", [2, 5])
def test_a_bar_opens_its_details_and_the_way_back_leads_to_the_timeline(new_page, url, api, number):
    api.ready("employments", jobs(6))
    page = opened(new_page, url)
    row = page.locator(f"#post-employments-{number}")
    expect(row).to_be_hidden()
    bar(page, f"employments-{number}").click()
    expect(row).to_be_visible()
    expect(row).to_be_focused()
    expect(row).to_contain_text(f"Job nr. {7 - number}")
    expect(page).to_have_url(re.compile(rf"vis=tidslinje#post-employments-{number}$"))
    page.go_back()
    expect(page).to_have_url(url + TIMELINE)
    expect(bar(page, f"employments-{number}")).to_be_visible()
    # And an address that was kept leads there at once.
    page.goto(f"{url}{TIMELINE}#post-employments-{number}")
    page.reload()
    expect(row).to_be_visible()


def test_what_has_no_bar_opens_its_section(new_page, url, api):
    page = opened(new_page, url)
    page.get_by_role("link", name=texts.SU_ATTEMPTS.format(count=2)).click()
    expect(page.locator("#afsnit-su_attempts .accordion-button")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#afsnit-su_attempts .accordion-button")).to_be_focused()


def test_the_timeline_works_by_keyboard(new_page, url, api):
    page = opened(new_page, url, NARROW)
    page.goto(url + PAGE)
    page.get_by_role("link", name=texts.TIMELINE_SHOW).press("Enter")
    page.wait_for_url(url + TIMELINE)
    page.get_by_role("link", name=texts.TIMELINE_HIDE).focus()
    goals = []
    for _ in range(len([one for items in ITEMS.values() for one in items])):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        goals.append(focused.get_attribute("data-goal"))
        if focused.locator(".timeline-hit").count():
            assert focused.locator(".timeline-hit").evaluate("it => getComputedStyle(it).stroke") != "none"
    assert sorted(goals) == sorted(
        page.locator("#tidslinje [data-goal]").evaluate_all("all => all.map((one) => one.dataset.goal)")
    )
    page.keyboard.press("Enter")
    expect(page.locator(f"#{goals[-1]}")).to_be_focused()


def test_without_a_script_a_bar_leads_to_its_row_also_to_one_that_was_hidden(new_page, url, api):
    api.ready("employments", jobs(5))
    page = new_page(PHONE, script=False)
    sign_in(page, url, goal=PAGE)
    page.get_by_role("link", name=texts.TIMELINE_SHOW).click()
    expect(page.locator("#post-employments-5")).to_be_hidden()
    page.get_by_role("link", name="Job nr. 1, Periode").click()
    expect(page.locator("#post-employments-5")).to_be_in_viewport()
    expect(page.locator("#tidslinje")).to_be_visible()
    page.get_by_role("link", name="Job nr. 5, Periode").click()
    expect(page.locator("#post-employments-1")).to_be_in_viewport()


def test_the_timeline_fills_as_the_registers_answer_and_says_what_cannot_be_fetched(new_page, url, api):
    api.pending("employments", "benefits")
    page = opened(new_page, url)
    expect(lane(page, "employment")).to_contain_text(texts.PENDING)
    page.evaluate("window.marked = true")
    # The focus stays where it is while the picture is drawn anew.
    bar(page, "completed_educations-1").focus()
    api.ready("employments", ITEMS["employments"])
    expect(bar(page, "employments-1")).to_be_visible()
    expect(bar(page, "completed_educations-1")).to_be_focused()
    api.unavailable("benefits", retry_after=60)
    expect(lane(page, "benefits")).to_contain_text(UNAVAILABLE_TEXT)
    expect(lane(page, "benefits").locator(".timeline-picture")).to_have_count(0)
    expect(page.get_by_role("status")).to_contain_text("Kunne ikke hentes:")
    assert page.evaluate("window.marked")


def test_a_timeline_that_turns_out_to_be_empty_goes(new_page, url, api):
    api.pending()
    page = opened(new_page, url)
    expect(lane(page, "benefits")).to_be_visible()
    api.empty()
    expect(page.get_by_text(texts.NOTHING)).to_be_visible()
    expect(page.locator("#tidslinje")).to_be_hidden()
    expect(page.get_by_role("link", name=texts.TIMELINE_HIDE)).to_be_hidden()


def test_on_paper_the_lanes_fit_labels_are_not_the_short_ones_and_the_sections_are_open(new_page, url, api):
    name = "Bageriet på det gamle Hjørne ApS"
    api.ready("employments", [job(name, -1500, -300)])
    page = opened(new_page, url, PAPER)
    expect(bar(page, "employments-1").get_by_text(name, exact=True)).to_be_hidden()
    page.emulate_media(media="print")
    expect(bar(page, "employments-1").get_by_text(name, exact=True)).to_be_visible()
    assert is_no_wider_than_the_screen(page)
    expect(page.get_by_role("link", name=texts.TIMELINE_HIDE)).to_be_hidden()
    # What a click would open is there, since paper has no clicks.
    expect(page.locator("#post-employments-1")).to_be_visible()
    # A browser prints without backgrounds: what is drawn is no background.
    assert page.pdf(format="A4", print_background=False).startswith(b"%PDF")
    fill = bar(page, "employments-1").locator(".timeline-solid").evaluate("it => getComputedStyle(it).fill")
    assert fill not in {"none", "rgb(255, 255, 255)"}


def test_without_colours_lanes_and_marks_can_be_told_apart(new_page, url, api):
    """Each lane has its heading, and each kind of mark a form of its own that the legend explains."""
    page = opened(new_page, url)
    for name, heading in texts.TIMELINE_LANES.items():
        expect(lane(page, name).get_by_role("heading", name=heading)).to_be_visible()
        expect(lane(page, name).get_by_role("list", name=heading)).to_be_visible()
    for words in texts.TIMELINE_SIGNS.values():
        expect(page.locator(".timeline-legend").get_by_text(words, exact=True)).to_be_visible()
    forms = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.timeline-picture a')].map((bar) => [
          bar.dataset.extent,
          ['solid', 'hatched', 'faded', 'edge'].map((one) => bar.querySelectorAll(`.timeline-${one}`).length).join(' '),
        ]))"""
    )
    assert forms == {"days": "1 0 0 2", "year": "0 1 0 0", "since-year": "1 1 1 0", "open-end": "1 0 1 1"}
