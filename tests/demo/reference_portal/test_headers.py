"""What a browser is told, and which forms are taken: policy, caching, and forms of other sites."""

import dataclasses
import re

import httpx
import pytest

from demo.reference_portal import texts

PAGES = ["/", "/log-ind", "/oplysninger-om-dig", "/oplysninger-om-dig/afsnit/fgu", "/oplysninger-om-dig/begivenheder",
         "/fejlmeld-moedebooking", "/kontrol", "/cv", "/kalender", "/kalender/del", "/book-moeder-med-frist",
         "/book-moeder-med-frist/del", "/jeg-soeger-job-som", "/min-profil", "/nothing"]  # fmt: skip
FORMS = ["/log-ind", "/log-ud", "/banner/fjern", "/oplysninger-om-dig/igen", "/kontrol", "/book-moeder-med-frist"]


@pytest.fixture
async def citizen(visitor):
    await visitor.log_in()
    return visitor


@pytest.mark.parametrize("path", PAGES)
async def test_every_answer_has_its_headers_and_is_kept_nowhere(citizen, api, path):
    headers = (await citizen.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_has_a_script_or_a_style_of_its_own(citizen, api, path):
    text = (await citizen.get(path)).text
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", text) == []


async def test_behind_tls_a_browser_is_told_to_stay_there(visit, web_settings):
    visitor = visit(dataclasses.replace(web_settings, secure=True))
    answer = await visitor.get("/log-ind")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert "Velkommen, Alma Eksempel" in (await visitor.log_in()).text
    assert [cookie.name for cookie in visitor.http.cookies.jar] == ["__Host-session"]


async def test_style_sheets_and_scripts_are_kept_under_paths_that_change_with_them(visitor):
    page = (await visitor.get("/")).text
    found = re.findall(r'(?:src|href)="(/static/[^"#]+)', page)
    assert any("dkfds-11.2" in path for path in found)
    for path in found:
        answer = await visitor.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        if path.endswith("js"):
            assert "javascript" in answer.headers["content-type"]


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["", "guessed"])
async def test_a_form_without_the_sessions_token_does_nothing(citizen, api, simulation, path, token):
    api.calls.clear()
    fields = {"csrf": token, "skift": "udb:down", "borger": "Mia Firejob"}
    answer = await citizen.http.post(path, data=fields)
    assert answer.status_code == 403
    assert texts.REFUSED in answer.text
    assert api.calls == []
    assert "Alma Eksempel" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://portal.test"},
    ],
)
@pytest.mark.parametrize("path", [*FORMS, "/fejlmeld-moedebooking"])
async def test_a_form_of_another_site_does_nothing_even_with_the_token(citizen, api, path, headers):
    token = await citizen.csrf()
    api.calls.clear()
    answer = await citizen.post(path, csrf=token, headers=headers, skift="udb:down", borger="Mia Firejob", tekst="Fejl")
    assert answer.status_code == 403
    assert api.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://portal.test"},
        {"Origin": "http://portal.test"},
        # A browser that was told to send no referrer.
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        {},
    ],
)
async def test_a_form_of_ours_is_taken(citizen, api, headers):
    assert (await citizen.post("/banner/fjern", headers=headers)).status_code == 200
    assert api.dismissed


async def test_a_token_of_another_visit_is_worth_nothing(visit, web_settings, api):
    one, other = visit(web_settings), visit(web_settings)
    await one.log_in()
    await other.log_in("Mia Firejob")
    stolen = await one.csrf()
    assert (await other.post("/banner/fjern", csrf=stolen)).status_code == 403
    assert api.dismissed == set()


async def test_a_form_token_from_before_the_log_in_is_worth_nothing_after(visitor, api):
    before = await visitor.csrf()
    await visitor.log_in()
    assert (await visitor.post("/banner/fjern", csrf=before)).status_code == 403


async def test_what_is_no_form_is_refused(citizen, api):
    token = await citizen.csrf()
    for content, kind in (
        (b'{"csrf": "x"}', "application/json"),
        (f"csrf={token}&".encode() + b"a=1&" * 50, "application/x-www-form-urlencoded"),
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b"x" * 300_000, "application/x-www-form-urlencoded"),
    ):
        answer = await citizen.http.post("/banner/fjern", content=content, headers={"Content-Type": kind})
        assert answer.status_code == 403
    assert api.dismissed == set()


async def test_nothing_of_a_citizen_is_logged(citizen, api, capsys, caplog):
    for failure in (None, "500", "nonsense", "refuse"):
        api.failing = failure
        for path in PAGES:
            await citizen.get(path)
        await citizen.post("/fejlmeld-moedebooking", tekst="Min hemmelige fejl")
    written = "".join(capsys.readouterr()) + caplog.text
    assert "page_not_read" in written
    for secret in ("6102991234", "610299-1234", "Alma", "hemmelige", "eyJ"):
        assert secret not in written


HOSTS = ["evil.example", "evil.example/x?", "evil.example#", "[", "a b"]
"""What a request may name as its host: another site, and what changes or breaks an address that is made with it."""


@pytest.mark.parametrize("host", HOSTS)
async def test_no_slash_too_many_leads_to_the_host_that_a_request_names(visitor, host):
    for path in ("/cv/", "/nothing/", "/log-ind/", "//evil.example/", "/static/"):
        answer = await visitor.http.get(f"http://portal.test{path}", headers={"Host": host}, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == (404, None)


@pytest.mark.parametrize("host", HOSTS)
async def test_no_page_depends_on_the_host_that_a_request_names(visitor, host):
    for headers in ({"Host": host}, {"X-Forwarded-Host": host}, {"Forwarded": f"host={host}"}):
        answer = await visitor.http.get("/cv", headers=headers, follow_redirects=False)
        assert answer.headers["location"] == "/log-ind?side=/cv"
        page = await visitor.http.get("/kompetenceafklaring-og-sprogkort", headers=headers)
        assert page.status_code == 200
        assert "evil" not in page.text


def copied(visitor, visit, web_settings):
    """Another browser, with a copy of this one's cookie."""
    other = visit(web_settings)
    other.http.cookies = httpx.Cookies(visitor.http.cookies)
    return other


async def test_a_cookie_that_was_copied_before_the_log_out_is_refused_after_it(visit, web_settings):
    visitor = visit(web_settings)
    await visitor.log_in()
    before = copied(visitor, visit, web_settings)
    assert "Alma Eksempel" in (await before.get("/")).text
    await visitor.post("/log-ud")
    assert (await before.get("/kalender")).url.path == "/log-ind"
    assert "Alma Eksempel" not in (await before.get("/")).text
    assert "Alma Eksempel" in (await visitor.log_in()).text


async def test_a_new_log_in_ends_the_session_before_it(visit, web_settings):
    visitor = visit(web_settings)
    await visitor.log_in()
    before = copied(visitor, visit, web_settings)
    await visitor.log_in("Karin Udenfor")
    assert (await before.get("/kalender")).url.path == "/log-ind"
