"""A real browser in front of the portal: signing in, and looking at a page as people with disabilities meet it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from demo.tokens import jwks
from simulators.simulation import Simulation
from tests.demo.reference_portal.fake_api import FakeApi
from tests.demo.reference_portal.serving import Served, settings

PATIENCE_MS = 30_000
"""For how long a busy machine's page is waited for."""
expect.set_options(timeout=PATIENCE_MS)

DESKTOP, PHONE = (1280, 900), (390, 844)
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
"""axe's rules for WCAG 2.1, levels A and AA."""

TRIES_TO_LOG_IN = 10

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Without one the tests are skipped, except where everything has to be there.

    For a module at a time: while it is open its event loop runs in this thread, and no asynchronous test can.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        why = "there is no Chromium on this machine: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, which tests in containers are.
        it = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield it
        it.close()


@pytest.fixture(scope="session")
def axe_source(project: Path) -> str:
    """axe-core's script. It comes with `make`, as the design system does."""
    path = project / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.fail("axe-core is missing: make node_modules/.ready")
    return path.read_text(encoding="utf-8")


@pytest.fixture
def new_page(browser: Browser) -> Iterator[NewPage]:
    """Opens pages, each in a browser profile of its own; `size`, and `script=False` for one without JavaScript.

    What the policy of a page forbids, and what goes wrong in its scripts, fails the test at its end.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def open_one(size: tuple[int, int] = DESKTOP, *, script: bool = True, **more: Any) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, java_script_enabled=script, locale="da-DK", **more
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def page(new_page: NewPage) -> Page:
    """A page of a desktop's width."""
    return new_page()


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    """The upstreams, which is where a log-in finds who there is."""
    with Simulation() as running:
        yield running


@pytest.fixture(scope="module")
def served(simulation: Simulation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, FakeApi]]:
    """The portal in front of an API whose answers are the test's."""
    key = tmp_path_factory.mktemp("portal") / "key.pem"
    here = settings("http://127.0.0.1:1", simulation.urls["control"], key)
    with FakeApi(jwks(key.read_bytes())) as api, Served(settings(api.url, here.control_url, key)) as portal:
        yield portal, api


@pytest.fixture
def api(served: tuple[Served, FakeApi]) -> FakeApi:
    """The API, with data in every section."""
    served[1].reset()
    return served[1]


@pytest.fixture
def url(served: tuple[Served, FakeApi], api: FakeApi) -> str:
    """Where the portal is."""
    return served[0].url


def sign_in(page: Page, url: str, name: str = "Alma Eksempel", goal: str = "/") -> None:
    """Logs a constructed citizen in, as one would, and goes on to `goal`."""
    page.goto(f"{url}/log-ind?side={goal}")
    button = page.get_by_role("button", name=f"Log ind som {name}", exact=True)
    for _ in range(TRIES_TO_LOG_IN):
        if button.count():
            break
        # On a busy machine the list may be too late for the page, which then says so and comes without it.
        page.reload()
    button.click()
    page.wait_for_url(url + goal)


def check_with_axe(page: Page, source: str) -> None:
    """Fails with what axe-core finds on the page as it stands, at WCAG 2.1 AA."""
    # Not as a script of the page, which its policy forbids, but from outside.
    page.evaluate(source)
    found = page.evaluate("(rules) => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES)
    # All of it, whatever pytest would shorten.
    wrong = [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']]}" for one in found["violations"]
    ]
    if wrong:
        raise AssertionError("\n".join(wrong))
