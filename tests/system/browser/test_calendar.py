"""»Kalender« and »Book møder med frist« in a browser: unbroken bars, mouse, keys, no script, and a telephone."""

import re
from datetime import date, timedelta

import pytest
from playwright.sync_api import expect

from demo.reference_portal import dates, texts
from demo.reference_portal.api import CALENDAR_PARTS
from demo.reference_portal.site import today
from domain.calendar_month import Month
from domain.overview import UNAVAILABLE_TEXT
from tests.demo.reference_portal.fake_api import REGISTERS, deadline, entry, free_time, going_on, stated
from tests.system.browser.conftest import check_with_axe, sign_in

pytestmark = pytest.mark.xdist_group("browser")

PHONE = (375, 812)
MARCH, APRIL = "/kalender?maaned=2023-03", "/kalender?maaned=2023-04"
BOOK = "/book-moeder-med-frist"
TEXT = "<p>Vi aftalte:</p><ul><li>at du <strong>søger</strong></li></ul>"
STATES = ["ready", "empty", "pending", "unavailable", "some missing"]


@pytest.fixture
def here(page, url, api):
    """A browser with a citizen outside the target group: these pages are everybody's."""
    sign_in(page, url, "Karin Udenfor")
    fill(api)
    return page


def fill(api):
    api.entries = [
        entry("activity", "Praktik", "2023-03-22", "2023-04-11"),
        entry("absence", "Ferie", "2023-03-24", "2023-03-27"),
        entry("joblog", "Kok", "2023-03-08"),
        entry("meeting", "Jobsamtale", "2023-03-06", held=True, text=TEXT),
    ]
    api.deadlines = [deadline("2023-03-17")]
    api.times = [free_time("2023-03-15", 9), free_time("2023-03-15", 10), free_time("2023-03-16", 9)]


def put(api, state):
    """The state of everything; »some missing«: a part is pending, one unavailable, and the CV's status not known."""
    if state in {"pending", "unavailable"}:
        api.put_registers(state, *REGISTERS)
    elif state == "empty":
        api.entries, api.deadlines, api.job_titles = [], [], stated("empty")
    elif state == "some missing":
        api.put_calendar("pending", "meetings")
        api.put_calendar("unavailable", "absences")
        api.cv_status = stated("ready", searchable=None)


def boxes(page, name):
    """Where the pieces of a bar are drawn."""
    return [piece.bounding_box() for piece in page.locator(f".piece[data-piece='{name}']").all()]


def cell(page, day):
    return page.locator("td", has=page.locator(f"#dag-{day}")).bounding_box()


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["wide", "telephone"])
def test_an_activity_of_three_weeks_is_one_unbroken_bar_over_the_end_of_the_month(new_page, url, api, size):
    page = new_page(size)
    sign_in(page, url)
    fill(api)
    name = api.entries[0]["id"]
    page.goto(url + APRIL)
    pieces = boxes(page, name)
    assert len(pieces) == 3
    for piece, first, last in zip(
        pieces, ("2023-03-27", "2023-04-03", "2023-04-10"), ("2023-04-02", "2023-04-09", "2023-04-11"), strict=True
    ):
        begins, ends = cell(page, first), cell(page, last)
        assert piece["x"] == pytest.approx(begins["x"], abs=1)
        assert piece["x"] + piece["width"] == pytest.approx(ends["x"] + ends["width"], abs=1)
    # It is open where it goes on, and closed where it ends; and in one row nothing lies over it.
    part = "::before" if size == PHONE else None
    look = "(piece, part) => { const s = getComputedStyle(part ? piece : piece.firstElementChild, part); return [s.borderTopLeftRadius, s.borderTopRightRadius]; }"  # noqa: E501
    radii = [one.evaluate(look, part) for one in page.locator(f".piece[data-piece='{name}']").all()]
    assert [(left == "0px", right == "0px") for left, right in radii] == [(True, True), (True, True), (True, False)]
    page.goto(url + MARCH)
    activity, absence = boxes(page, name), boxes(page, api.entries[1]["id"])
    assert len(activity) == len(absence) == 2
    assert all(one["y"] + one["height"] <= other["y"] for one, other in zip(activity, absence, strict=True))


def test_the_colours_are_the_release_notes(here, url, api):
    api.entries += [entry("meeting", "I dag", today().isoformat())]
    here.goto(url + MARCH)

    def hue(name):
        colour = here.locator(f".piece.kind-{name} > *").first.evaluate("one => getComputedStyle(one).backgroundColor")
        return [int(part) for part in re.findall(r"\d+", colour)]

    red, green, blue = hue("activity")
    assert red > green > blue  # orange
    red, green, blue = hue("absence")
    assert blue > green > red  # blue
    for name in ("joblog", "meeting", "deadline"):
        red, green, blue = hue(name)
        assert green > max(red, blue)
    assert hue("meeting") == hue("deadline")
    assert sum(hue("joblog")) > sum(hue("meeting"))  # the lighter green
    here.goto(f"{url}/kalender")
    yellow = here.locator("td.today").evaluate("one => getComputedStyle(one).backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", yellow))
    assert min(red, green) > 230 > blue
    expect(here.locator("td.today")).to_have_count(1)


def test_the_arrows_turn_the_month_without_a_new_page_and_back_goes_back(here, url, api):
    here.goto(url + MARCH)
    here.evaluate("window.marked = true")
    here.get_by_role("link", name="Næste måned, april 2023").click()
    expect(here.get_by_role("heading", name="April 2023")).to_be_visible()
    expect(here.locator("#naeste")).to_be_focused()
    expect(here.locator("#meddelelser")).to_have_text("April 2023")
    assert here.url == url + APRIL
    here.get_by_role("link", name="Forrige måned, marts 2023").click()
    expect(here.get_by_role("heading", name="Marts 2023")).to_be_visible()
    here.go_back()
    expect(here.get_by_role("heading", name="April 2023")).to_be_visible()
    here.get_by_role("link", name=texts.CALENDAR_TODAY, exact=True).click()
    expect(here.locator("td.today")).to_be_visible()
    expect(here.locator("#maaned")).to_have_text(dates.month(today()).capitalize())
    assert here.evaluate("window.marked")


def test_a_grid_of_days_is_walked_with_the_keys(here, url, api):
    here.goto(f"{url}{MARCH}&dag=2023-03-08")
    day = here.locator("#dag-2023-03-08")
    expect(day).to_have_attribute("tabindex", "0")
    expect(here.locator(".month [data-date][tabindex='0']")).to_have_count(1)
    day.focus()
    for key, goal in [
        ("ArrowRight", "2023-03-09"), ("ArrowDown", "2023-03-16"), ("ArrowLeft", "2023-03-15"),
        ("ArrowUp", "2023-03-08"), ("Home", "2023-03-06"), ("End", "2023-03-12"), ("PageDown", "2023-04-12"),
        ("PageUp", "2023-03-12"), ("Shift+PageDown", "2024-03-12"), ("Shift+PageUp", "2023-03-12"),
    ]:  # fmt: skip
        here.keyboard.press(key)
        expect(here.locator(f"#dag-{goal}")).to_be_focused()
    # Over the end of what is shown, and from a month's last day to a shorter month's.
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown"):
        here.keyboard.press(key)
    expect(here.locator("#dag-2023-04-09")).to_be_focused()
    expect(here.locator("#maaned")).to_have_text("April 2023")
    here.goto(f"{url}{MARCH}&dag=2023-03-31")
    here.locator("#dag-2023-03-31").focus()
    here.keyboard.press("PageUp")
    expect(here.locator("#dag-2023-02-28")).to_be_focused()
    here.keyboard.press("Enter")
    expect(here.get_by_role("heading", name="Tirsdag den 28. februar 2023")).to_be_visible()
    expect(here.locator("#valgt")).to_be_focused()
    here.get_by_role("link", name=texts.CLOSE, exact=True).click()
    expect(here.locator("#dag-2023-02-28")).to_be_focused()


def test_a_held_meeting_opens_with_its_text_and_an_activity_does_not(here, url, api):
    here.goto(url + MARCH)
    expect(here.locator(".piece.kind-activity a")).to_have_count(0)
    here.locator(".piece.kind-meeting a").click()
    expect(here.locator("#valgt li strong")).to_have_text("søger")
    expect(here.locator("#valgt")).to_be_focused()


def test_a_deadline_leads_to_booking_and_goes_when_a_meeting_is_booked(here, url, api, axe_source):
    here.goto(url + MARCH)
    here.get_by_role("link", name=texts.DEADLINE).click()
    expect(here.locator("#valgt")).to_contain_text("fredag den 17. marts 2023")
    check_with_axe(here, axe_source)
    here.get_by_role("link", name="Book møder med frist").first.click()
    expect(here.get_by_role("heading", name=texts.BOOK, level=1)).to_be_visible()
    here.get_by_role("link", name="2 ledige tider").click()
    here.get_by_label("kl. 10.00–10.30, Jobcenter Ærø").check()
    check_with_axe(here, axe_source)
    here.get_by_role("button", name=texts.BOOK_SEND).dblclick()
    expect(here.get_by_role("heading", name=texts.BOOKED)).to_be_visible()
    assert len(api.bookings) == 1
    assert api.calls.count("POST /v1/booking/bookings") == 1
    check_with_axe(here, axe_source)
    here.get_by_role("link", name=texts.BOOKED_TO_CALENDAR).click()
    expect(here.get_by_role("heading", name="Marts 2023")).to_be_visible()
    expect(here.get_by_text(texts.DEADLINE)).to_have_count(0)


def test_a_deadline_that_has_passed_is_gone(here, url, api):
    here.goto(url + MARCH)
    expect(here.get_by_role("link", name=texts.DEADLINE)).to_be_visible()
    # The API names only those that are to be shown.
    api.deadlines = []
    here.reload()
    expect(here.locator("#kalender table")).to_be_visible()
    expect(here.get_by_text(texts.DEADLINE)).to_have_count(0)


@pytest.mark.parametrize(
    ("status", "kind", "code", "text"),
    [
        (503, "booking-system-unreachable", "4769/9018", texts.BOOK_UNREACHABLE),
        (502, "booking-system-contract", "9303/9329", texts.BOOK_CONTRACT),
    ],
)
def test_an_error_of_the_booking_system_leads_to_a_filled_report(here, url, api, axe_source, status, kind, code, text):
    here.goto(f"{url}{BOOK}?dag=2023-03-15")
    here.get_by_label("kl. 9.00–9.30, Jobcenter Ærø").check()
    api.answers_bookings_with = status, {"type": kind, "error_code": code}
    here.get_by_role("button", name=texts.BOOK_SEND).click()
    expect(here.get_by_role("alert")).to_contain_text(text)
    check_with_axe(here, axe_source)
    here.get_by_role("alert").get_by_role("link", name=texts.FAULT_REPORT).click()
    here.locator("#tekst").fill("Kan ikke booke.")
    here.get_by_role("button", name=texts.REPORT_SEND).click()
    here.wait_for_url("**/kvittering/*")
    (report,) = api.reports.values()
    assert (report["page"], report["error_code"]) == (BOOK, code)


def test_a_time_that_was_taken_is_said_and_another_can_be_booked(here, url, api, axe_source):
    here.goto(f"{url}{BOOK}?dag=2023-03-15")
    here.get_by_label("kl. 9.00–9.30, Jobcenter Ærø").check()
    api.times = api.times[1:]
    here.get_by_role("button", name=texts.BOOK_SEND).click()
    expect(here.get_by_role("alert")).to_contain_text(texts.BOOK_TAKEN)
    check_with_axe(here, axe_source)
    here.get_by_label("kl. 10.00–10.30, Jobcenter Ærø").check()
    here.get_by_role("button", name=texts.BOOK_SEND).click()
    expect(here.get_by_role("heading", name=texts.BOOKED)).to_be_visible()


@pytest.mark.parametrize("failure", ["pending", "unavailable"])
@pytest.mark.parametrize(
    ("path", "part"),
    [(MARCH, "kalender"), (BOOK, "booking"), ("/jeg-soeger-job-som", "historik"), ("/min-profil", "cv")],
)
def test_each_part_fills_by_itself(here, url, api, path, part, failure):
    api.put_registers(failure, *REGISTERS)
    here.goto(url + path)
    here.evaluate("window.marked = true")
    expect(here.locator(f"#{part}")).to_have_attribute("data-state", failure)
    # A calendar says it of each of its parts.
    count = len(CALENDAR_PARTS) if part == "kalender" else 1
    expect(here.get_by_text(UNAVAILABLE_TEXT)).to_have_count(count if failure == "unavailable" else 0)
    api.fill()
    expect(here.locator(f"#{part}")).to_have_attribute("data-state", "ready", timeout=30_000)
    expect(here.get_by_text(UNAVAILABLE_TEXT)).to_have_count(0)
    assert here.evaluate("window.marked")


def test_a_missing_part_of_the_calendar_fills_while_the_rest_is_used_and_the_focus_stays(here, url, api):
    api.put_calendar("pending", "absences")
    api.put_calendar("unavailable", "joblog")
    here.goto(url + MARCH)
    lines = here.locator(".lacking li")
    expect(lines).to_have_text([texts.CALENDAR_PART_PENDING.format(part="Fravær"), f"Joblog: {UNAVAILABLE_TEXT}"])
    expect(here.locator(".piece.kind-meeting")).to_be_visible()
    expect(here.locator(".piece.kind-absence")).to_have_count(0)
    focused = here.locator(".piece.kind-meeting a")
    focused.focus()
    api.put_calendar("ready", "absences")
    expect(here.locator(".piece.kind-absence").first).to_be_visible()
    expect(focused).to_be_focused()
    expect(lines).to_have_text([f"Joblog: {UNAVAILABLE_TEXT}"])
    expect(here.locator("#meddelelser")).to_have_text(f"Marts 2023. Joblog: {UNAVAILABLE_TEXT}")
    api.put_calendar("ready", "joblog")
    expect(lines).to_have_count(0)
    expect(here.locator("#meddelelser")).to_have_text("Marts 2023")


def test_what_has_no_known_end_is_unbroken_to_the_end_of_every_month(here, url, api):
    api.entries = [going_on("absence", "Sygdom", "2023-03-22")]
    for month, weeks in ((MARCH, 2), (APRIL, 5)):
        here.goto(url + month)
        pieces = boxes(here, api.entries[0]["id"])
        assert len(pieces) == weeks
        (last,) = (
            here.locator(".month tbody tr")
            .last.locator("td")
            .last.evaluate_all("cells => cells.map(cell => cell.getBoundingClientRect().right)")
        )
        assert pieces[-1]["x"] + pieces[-1]["width"] == pytest.approx(last, abs=1)


def test_times_that_are_slow_come_without_a_new_page(here, url, api):
    api.times_take_seconds = 1.5
    here.goto(f"{url}{BOOK}?maaned=2023-03")
    expect(here.locator(".skeleton")).to_be_visible()
    expect(here.get_by_role("link", name="2 ledige tider")).to_be_visible(timeout=30_000)


def test_all_of_it_works_without_a_script(new_page, url, api):
    page = new_page(script=False)
    sign_in(page, url)
    fill(api)
    page.goto(url + APRIL)
    page.get_by_role("link", name="Forrige måned, marts 2023").click()
    expect(page.get_by_role("heading", name="Marts 2023")).to_be_visible()
    page.locator("#dag-2023-03-24").click()
    expect(page.locator("#valgt li")).to_have_count(2)
    page.get_by_role("link", name=texts.DEADLINE).click()
    page.locator("#valgt").get_by_role("link", name=texts.DEADLINE_LINK).click()
    page.get_by_role("link", name="1 ledig tid").click()
    page.get_by_label("kl. 9.00–9.30, Jobcenter Ærø").check()
    page.get_by_role("button", name=texts.BOOK_SEND).click()
    expect(page.get_by_role("heading", name=texts.BOOKED)).to_be_visible()


def test_on_a_telephone_a_month_fits_and_says_below_what_is_on(new_page, url, api):
    page = new_page(PHONE, has_touch=True)
    sign_in(page, url)
    fill(api)
    page.goto(url + MARCH)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for day in page.locator(".month .date").all()[:7]:
        box = day.bounding_box()
        assert box["width"] >= 36
        assert box["height"] >= 36
    expect(page.locator(".agenda").get_by_text("Indsats: Praktik")).to_be_visible()
    page.locator("#dag-2023-03-08").tap()
    expect(page.locator("#valgt").get_by_text("Joblog: Kok")).to_be_visible()
    expect(page.locator("#valgt")).to_be_in_viewport()


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["wide", "telephone"])
@pytest.mark.parametrize("state", STATES)
def test_nobody_is_kept_out_of_these_pages_in_any_state(new_page, url, api, axe_source, size, state):
    page = new_page(size)
    sign_in(page, url)
    fill(api)
    this_month = Month.of(today())
    api.entries += [entry("absence", "Sygdom", this_month.first.isoformat(), this_month.last.isoformat())]
    put(api, state)
    paths = [MARCH, f"{MARCH}&dag=2023-03-24", "/kalender", BOOK, f"{BOOK}?dag=2023-03-15", "/jeg-soeger-job-som",
             "/min-profil"]  # fmt: skip
    for path in paths:
        page.goto(url + path)
        check_with_axe(page, axe_source)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"


def test_what_holds_more_than_a_week_has_room_for_is_shown_whole(here, url, api):
    day = date(2023, 3, 8)
    api.entries = [entry("joblog", f"Job nr. {n}", day.isoformat()) for n in range(8)]
    api.entries += [entry("absence", "Ferie", day.isoformat(), (day + timedelta(days=9)).isoformat())]
    here.goto(url + MARCH)
    shown = [one.bounding_box() for one in here.locator("tr", has_text="Job nr. 0").locator(".piece").all()]
    assert len(shown) == 9
    ordered = sorted(box["y"] for box in shown if box["x"] == pytest.approx(shown[0]["x"], abs=5))
    assert ordered == sorted(set(ordered))
