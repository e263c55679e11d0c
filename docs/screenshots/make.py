"""Screenshots for docs/portal.md and the README, taken from a fresh demo: `python docs/screenshots/make.py URL`."""

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from demo.reference_portal import texts

SIZES = {"wide": (1280, 900), "telephone": (390, 844)}
READY = "Alma Eksempel"
DOWN = {"wide": "Esther Ydelse", "telephone": "Per Forsørget"}
"""Citizens whose first visit meets a register that is down: of others the page would show the kept data."""
BROKEN, PART = "eindkomst", "visitering"
"""The register that is down for a section of the page, and the one for a part of the calendar."""
PART_DOWN = {"wide": "Thea Åbenende", "telephone": "Karin Udenfor"}
"""Citizens of whose calendar the other parts have something."""
FILLED_WITHIN_MS = 30_000
REPORT = "Kalenderen viser ingen ledige tider i uge 12, og siden siger fejl 4769. "


def main() -> int:
    """Takes them all. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the demo's portal is")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    url, folder = arguments.url.rstrip("/"), arguments.folder
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        print("there is no Chromium on this machine: apt-get install chromium", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        for name, (width, height) in SIZES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height}, locale="da-DK", color_scheme="light"
            )
            page = context.new_page()

            def take(what: str, page: Page = page, name: str = name) -> None:
                path = folder / f"{what}-{name}.png"
                page.screenshot(path=path, full_page=True)
                print(path)

            _ready(page, url, take)
            _timeline(page, take)
            with _down(page, url, BROKEN):
                _unavailable(page, url, DOWN[name], take)
            with _down(page, url, PART):
                _part_down(page, url, PART_DOWN[name], take)
            _full(page, url, take)
            _calendar(page, url, take)
            _booking(page, url, take)
            context.close()
        browser.close()
    return 0


def _ready(page: Page, url: str, take: Callable[[str], None]) -> None:
    _open(page, url, READY)
    for button in page.locator(".accordion-button").all():
        button.click()
    _calm(page)
    take("ready")


def _timeline(page: Page, take: Callable[[str], None]) -> None:
    page.get_by_role("link", name=texts.TIMELINE_SHOW).click()
    expect(page.locator("#tidslinje .timeline-picture").first).to_be_visible()
    # The sections beneath it are closed.
    _calm(page)
    take("timeline")


def _unavailable(page: Page, url: str, name: str, take: Callable[[str], None]) -> None:
    _open(page, url, name)
    expect(page.get_by_text(texts.UNAVAILABLE).first).to_be_visible(timeout=FILLED_WITHIN_MS)
    for button in page.locator(".accordion-button").all():
        button.click()
    _calm(page)
    take("register-down")


def _full(page: Page, url: str, take: Callable[[str], None]) -> None:
    page.goto(f"{url}/fejlmeld-moedebooking")
    page.locator("#tekst").fill((REPORT * 7)[:500])
    expect(page.get_by_text(texts.COUNTER_FULL)).to_be_visible()
    take("report-full")


def _calendar(page: Page, url: str, take: Callable[[str], None]) -> None:
    _log_in(page, url, READY, "/kalender")
    expect(page.locator(".month")).to_be_visible(timeout=FILLED_WITHIN_MS)
    _calm(page)
    take("calendar")


def _part_down(page: Page, url: str, name: str, take: Callable[[str], None]) -> None:
    _log_in(page, url, name, "/kalender")
    expect(page.get_by_text(texts.UNAVAILABLE).first).to_be_visible(timeout=FILLED_WITHIN_MS)
    _calm(page)
    take("calendar-part-down")


def _booking(page: Page, url: str, take: Callable[[str], None]) -> None:
    _log_in(page, url, READY, "/book-moeder-med-frist")
    expect(page.locator(".month")).to_be_visible(timeout=FILLED_WITHIN_MS)
    page.locator(".month a.date").first.click()
    expect(page.locator(".booking-form")).to_be_visible()
    page.locator(".booking-form label").first.click()
    _calm(page)
    take("booking")


def _calm(page: Page) -> None:
    """Nothing has the focus, and nothing is pointed at."""
    page.evaluate("document.activeElement.blur()")
    page.mouse.move(0, 0)


def _log_in(page: Page, url: str, name: str, goal: str) -> None:
    page.goto(f"{url}/log-ind?side={goal}")
    for _ in range(10):
        if page.locator(".people").count():
            break
        # A busy machine's list came too late, and the page says so.
        page.reload()
    page.get_by_role("button", name=f"{texts.LOG_IN_AS} {name}", exact=True).click()


def _open(page: Page, url: str, name: str) -> None:
    _log_in(page, url, name, "/oplysninger-om-dig")
    expect(page.get_by_role("heading", name=texts.ABOUT_YOU, level=1)).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0, timeout=FILLED_WITHIN_MS)


@contextmanager
def _down(page: Page, url: str, register: str) -> Iterator[None]:
    """The register is down for as long as this lasts."""
    _switch(page, url, register, "down")
    try:
        yield
    finally:
        _switch(page, url, register, "up")


def _switch(page: Page, url: str, register: str, condition: str) -> None:
    page.goto(f"{url}/kontrol")
    row = page.locator(f"#{register}")
    row.get_by_role("button", name=texts.CONTROL_ACTIONS[condition]).click()
    expect(row.locator(".condition")).to_have_text(texts.CONTROL_STATES[condition])


if __name__ == "__main__":
    sys.exit(main())
