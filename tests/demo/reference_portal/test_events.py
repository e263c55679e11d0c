"""The page's events on a real connection: they come as the API sends them, and end with whoever listens."""

import json
import re
import time

import httpx
import pytest

from demo.reference_portal import api as web_api
from tests.demo.reference_portal.serving import Served

PATH = "/oplysninger-om-dig/begivenheder"
WITHIN_SECONDS = 10.0


@pytest.fixture
def portal(web_settings):
    with Served(web_settings) as running:
        yield running


@pytest.fixture
def browser(portal):
    with httpx.Client(base_url=portal.url, follow_redirects=True, timeout=WITHIN_SECONDS, trust_env=False) as http:
        log_in(http)
        yield http


def log_in(http):
    """As often as it takes: on a busy machine the list of citizens may be too late for the page."""
    until(lambda: (found := form(http)) and http.post("/log-ind", data=found).url.path != "/log-ind", "the log-in")


def form(http):
    token = re.search(r'name="csrf" value="([^"]+)"', http.get("/log-ind").text)
    return token and {"csrf": token[1], "borger": "Alma Eksempel"}


def until(condition, what):
    ends = time.monotonic() + WITHIN_SECONDS
    while not condition():
        assert time.monotonic() < ends, what
        time.sleep(0.01)


def events(lines):
    """The events of a stream: their names and what they carry."""
    name = None
    for line in lines:
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, json.loads(line.removeprefix("data:"))


def test_a_section_is_told_of_when_it_lands_and_the_end_when_all_have(browser, api):
    api.pending("employments", "benefits")
    with browser.stream("GET", PATH) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        # Or nginx, which gathers an answer before it passes it on, holds all of them back.
        assert response.headers["x-accel-buffering"] == "no"
        seen = events(response.iter_lines())
        assert {next(seen)[1]["id"] for _ in range(5)} == set(api.sections) - {"employments", "benefits"}
        api.ready("employments", [{"employer": "Føtex", "start": "2020-01-01", "end": None}])
        name, told = next(seen)
        assert (name, told["id"]) == ("section", "employments")
        api.unavailable("benefits")
        name, told = next(seen)
        assert (name, told["id"]) == ("section", "benefits")
        assert told["mark"].startswith("unavailable")
        assert list(seen) == [("settled", {})]


def test_no_data_of_a_citizen_are_in_an_event(browser, api):
    text = browser.get(PATH).text
    assert "Føtex" not in text
    assert all(set(data) <= {"id", "mark"} for _, data in events(text.splitlines()))


def test_the_apis_stream_ends_when_the_browser_is_gone(browser, api):
    api.pending("benefits")
    with browser.stream("GET", PATH) as response:
        next(events(response.iter_lines()))
        until(lambda: api.listening == 1, "nobody listens to the API")
    until(lambda: api.listening == 0, "the API's stream goes on without a listener")


@pytest.mark.parametrize("failure", ["refuse", "hang", "500", "nonsense", "garbage", "outside"])
def test_without_the_api_the_stream_says_that_it_broke_off(browser, api, failure):
    api.failing = failure
    answer = browser.get(PATH)
    assert answer.status_code == 200
    assert list(events(answer.text.splitlines())) == [("broken", {})]


def test_the_portal_ends_while_somebody_listens(web_settings, api):
    api.pending("benefits")
    with (
        Served(web_settings) as portal,
        httpx.Client(base_url=portal.url, follow_redirects=True, trust_env=False) as http,
    ):
        log_in(http)
        with http.stream("GET", PATH) as response:
            next(events(response.iter_lines()))
            portal.__exit__()
            assert not portal.running
    until(lambda: api.listening == 0, "the API's stream goes on without a listener")


def test_an_api_that_ends_is_said_to_the_browser(browser, api):
    """The browser looks for itself then, and listens again."""
    api.last_event = "closing"
    assert list(events(browser.get(PATH).text.splitlines()))[-1] == ("closing", {})


def test_events_end_although_the_api_keeps_its_connection_alive(browser, api, monkeypatch):
    """What is sent so that a connection stays open is no event."""
    monkeypatch.setattr(web_api, "EVENTS_FOR_SECONDS", 0.5)
    api.pending("benefits")
    api.keeps_alive = True
    seen = list(events(browser.get(PATH).text.splitlines()))
    assert seen[-1] == ("broken", {})
    assert "section" in {name for name, _ in seen}
    until(lambda: api.listening == 0, "the API's stream goes on without a listener")


@pytest.mark.parametrize("path", ["/", "/log-ind", "/oplysninger-om-dig", "/fejlmeld-moedebooking"])
def test_head_is_get_without_its_body(browser, path):
    got, head = browser.get(path), browser.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


def test_head_of_events_does_not_wait_for_any(browser, api):
    api.pending("benefits")
    head = browser.head(PATH)
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    until(lambda: api.listening == 0, "the API's stream goes on without a listener")
