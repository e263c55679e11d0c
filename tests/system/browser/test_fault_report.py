"""The counter of »Fejlmeld mødebooking« in a browser: it agrees with the API, and takes no more at the limit (R9)."""

import pytest
from playwright.sync_api import expect

from demo.reference_portal import texts
from domain import fault_report
from tests.system.browser.conftest import PHONE, check_with_axe, sign_in

PATH = "/fejlmeld-moedebooking"
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def form(page, url):
    sign_in(page, url, goal=PATH)
    return page


def field(page):
    return page.locator("#tekst")


def paste(page, text):
    """As from the clipboard: in one piece, where the caret is, over what is selected."""
    field(page).focus()
    page.keyboard.insert_text(text)


def left(page, count):
    expect(page.locator("#taeller")).to_have_text(texts.COUNTER_LEFT.format(left=count))


def full(page, *, left_out=0):
    more = f". {texts.COUNTER_LEFT_OUT.format(count=left_out)}" if left_out else ""
    expect(page.locator("#fyldt")).to_have_text(texts.COUNTER_FULL + more)


def test_an_empty_field_has_all_of_it_left(form, api):
    left(form, 500)
    expect(form.locator("#fyldt")).to_be_empty()


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("a" * 499, 499),
        ("a" * 500, 500),
        ("æøå", 3),
        ("😀" * 3, 6),
        ("en\nto\n\ntre", 10),
        ("  foran og bagefter \n ", 17),
        ("👩‍👩‍👧", 8),
        ("e\u0301", 2),
    ],
    ids=["499", "500", "danish", "emoji", "line breaks", "white space", "family", "combining"],
)
def test_the_counter_agrees_with_the_rule_and_with_the_api(form, api, text, counted):
    paste(form, text)
    assert fault_report.length(fault_report.clean(text)) == counted
    left(form, 500 - counted)
    form.get_by_role("button", name=texts.REPORT_SEND).click()
    form.wait_for_url("**/kvittering/*")
    (report,) = api.reports.values()
    assert report["text"] == fault_report.clean(text)


def test_at_500_no_more_is_taken_and_the_page_says_so(form, api):
    paste(form, "a" * 499)
    expect(form.locator("#fyldt")).to_be_empty()
    form.keyboard.press("b")
    full(form)
    left(form, 0)
    for key in ("c", "Space", "Enter"):
        form.keyboard.press(key)
    assert field(form).input_value() == "a" * 499 + "b"
    full(form)
    form.keyboard.press("Backspace")
    left(form, 1)
    expect(form.locator("#fyldt")).to_be_empty()


def test_what_the_page_says_is_read_aloud(form, api):
    said = form.locator("#fyldt")
    expect(said).to_have_attribute("aria-live", "polite")
    # Said anew each time that something is not taken: a live region speaks when it changes.
    paste(form, "a" * 500)
    full(form)
    form.evaluate("""() => {
        window.spoken = [];
        const region = document.getElementById("fyldt");
        new MutationObserver(() => window.spoken.push(region.textContent)).observe(region, { childList: true });
    }""")
    form.keyboard.press("c")
    form.wait_for_function("window.spoken.length > 0")
    assert form.evaluate("window.spoken.at(-1)") == texts.COUNTER_FULL
    aloud = form.locator("#taeller-oplaest")
    expect(aloud).to_have_attribute("aria-live", "polite")
    expect(aloud).to_have_text(texts.COUNTER_LEFT.format(left=0))


def test_of_a_paste_of_600_500_are_taken_and_the_rest_is_named(form, api):
    paste(form, "a" * 500 + "b" * 100)
    assert field(form).input_value() == "a" * 500
    full(form, left_out=100)
    left(form, 0)


def test_a_paste_into_the_middle_keeps_what_was_there(form, api):
    paste(form, "begin" + "e" * 485)
    for _ in range(485):
        form.keyboard.press("ArrowLeft")
    paste(form, "1234567890XYZ")
    assert field(form).input_value() == "begin1234567890" + "e" * 485
    full(form, left_out=3)
    assert field(form).evaluate("field => field.selectionStart") == 15


def test_a_paste_over_a_selection_takes_as_much_as_was_selected(form, api):
    paste(form, "a" * 500)
    field(form).evaluate("field => field.setSelectionRange(0, 10)")
    paste(form, "b" * 12)
    assert field(form).input_value() == "b" * 10 + "a" * 490
    full(form, left_out=2)


def test_no_character_is_cut_in_half(form, api):
    paste(form, "a" * 499)
    paste(form, "😀")
    assert field(form).input_value() == "a" * 499
    full(form, left_out=2)
    left(form, 1)


def test_a_line_break_at_the_end_of_a_full_paste_costs_nothing(form, api):
    paste(form, "a" * 500 + "\n")
    full(form)
    left(form, 0)
    form.get_by_role("button", name=texts.REPORT_SEND).click()
    form.wait_for_url("**/kvittering/*")
    (report,) = api.reports.values()
    assert report["text"] == "a" * 500


def test_a_text_that_came_back_too_long_can_be_shortened(form, api):
    field(form).evaluate("field => { field.value = 'a'.repeat(510); }")
    form.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(form.get_by_text("så 10 tegn er for meget")).to_be_visible()
    expect(form.locator("#taeller")).to_have_text(texts.COUNTER_EXCESS.format(excess=10))
    field(form).focus()
    form.keyboard.press("Control+End")
    form.keyboard.press("b")
    assert field(form).input_value() == "a" * 510
    for _ in range(10):
        form.keyboard.press("Backspace")
    left(form, 0)


def test_a_failed_hand_in_keeps_what_was_written(form, api):
    api.failing = "500"
    paste(form, "Kalenderen\ner tom")
    form.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(form.get_by_role("alert")).to_contain_text(texts.REPORT_NOT_NOW)
    assert field(form).input_value() == "Kalenderen\ner tom"
    left(form, 500 - 17)
    api.failing = None
    form.get_by_role("button", name=texts.REPORT_SEND).click()
    form.wait_for_url("**/kvittering/*")
    assert len(api.reports) == 1


def test_without_a_script_the_server_says_the_same(new_page, url, api):
    page = new_page(PHONE, script=False)
    sign_in(page, url, goal=PATH)
    field(page).fill("a" * 600)
    page.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(page.get_by_text(texts.REPORT_TOO_LONG.format(length=600, limit=500, excess=100))).to_be_visible()
    assert field(page).input_value() == "a" * 600
    field(page).fill("Fejl")
    page.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(page.get_by_role("heading", name=texts.RECEIPT)).to_be_visible()


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["wide", "telephone"])
def test_nobody_is_kept_out_of_the_form_in_any_state(new_page, url, api, axe_source, size):
    page = new_page(size)
    sign_in(page, url, goal=PATH)
    check_with_axe(page, axe_source)
    page.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(page.get_by_text(texts.REPORT_EMPTY)).to_be_visible()
    check_with_axe(page, axe_source)
    paste(page, "a" * 600)
    full(page, left_out=100)
    check_with_axe(page, axe_source)
    api.failing = "500"
    page.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(page.get_by_role("alert")).to_be_visible()
    check_with_axe(page, axe_source)
    api.failing = None
    page.get_by_role("button", name=texts.REPORT_SEND).click()
    expect(page.get_by_role("heading", name=texts.RECEIPT)).to_be_visible()
    check_with_axe(page, axe_source)
