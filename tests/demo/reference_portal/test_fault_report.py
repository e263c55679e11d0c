"""»Fejlmeld mødebooking« without a script: the server's own check, the receipt, and a text that is never lost (R9)."""

import json
import re
import uuid

import pytest
from lxml import html

from demo.reference_portal import texts
from domain import fault_report

PATH = "/fejlmeld-moedebooking"


@pytest.fixture
async def citizen(visitor):
    await visitor.log_in()
    return visitor


async def blank(citizen, path=PATH):
    page = html.fromstring((await citizen.get(path)).text)
    return dict(page.get_element_by_id("fejlmelding").form_values())


async def sent(citizen, text, **more):
    """Hands in a text with a form of its own; the answer, and the form as it was."""
    form = await blank(citizen)
    return await citizen.post(PATH, **(form | {"tekst": text} | more)), form


def kept(answer):
    """What the form holds after it came back."""
    form = dict(html.fromstring(answer.text).get_element_by_id("fejlmelding").form_values())
    # HTML's rule for a textarea, which this parser does not know: the first line break is not the text's.
    return form | {"tekst": form["tekst"].removeprefix("\n")}


async def test_a_report_ends_in_a_receipt_with_its_number_and_state(citizen, api):
    answer, form = await sent(citizen, "  Kalenderen viser\r\ningen tider 😀 \n")
    report = api.reports[form["noegle"]]
    assert report["text"] == "Kalenderen viser\ningen tider 😀"
    assert report["page"] == "/moedebooking"
    assert answer.url.path == f"{PATH}/kvittering/{report['id']}"
    assert report["id"] in answer.text
    assert texts.RECEIPT_STATES["accepted"] in answer.text


async def test_a_receipt_that_is_loaded_again_hands_nothing_in(citizen, api):
    answer, _ = await sent(citizen, "Fejl")
    await citizen.get(answer.url.path)
    assert api.calls.count("POST /v1/fault-reports") == 1


async def test_a_double_click_is_one_report(citizen, api):
    form = await blank(citizen) | {"tekst": "Fejl"}
    first, second = await citizen.post(PATH, **form), await citizen.post(PATH, **form)
    assert first.url == second.url
    assert len(api.reports) == 1


async def test_every_form_has_a_key_of_its_own(citizen, api):
    keys = {(await blank(citizen))["noegle"] for _ in range(3)}
    assert len(keys) == 3
    assert all(uuid.UUID(key) for key in keys)


async def test_the_page_and_the_error_code_go_with_the_report(citizen, api):
    form = await blank(citizen, f"{PATH}?fejlkode=4769&side=/kalender") | {"tekst": "Fejl"}
    await citizen.post(PATH, **form)
    (report,) = api.reports.values()
    assert (report["page"], report["error_code"]) == ("/kalender", "4769")


def cases(project):
    found = json.loads((project / "tests" / "domain" / "fault_report_cases.json").read_text(encoding="utf-8"))["cases"]
    whole = lambda t: t if isinstance(t, str) else t.get("prefix", "") + t["repeat"] * t["times"] + t["suffix"]  # noqa: E731
    # A form carries no half characters: a browser puts a whole one in their place.
    half = re.compile("[\ud800-\udfff]")
    return [(whole(one["text"]), one["verdict"]) for one in found if not half.search(whole(one["text"]))]


async def test_the_servers_check_comes_to_the_verdicts_of_the_rule(citizen, api, project):
    said = {"empty": texts.REPORT_EMPTY, "control_character": texts.REPORT_CHARACTERS}
    tried = set()
    for text, verdict in cases(project):
        answer, form = await sent(citizen, text)
        tried.add(verdict)
        if verdict == "ok":
            assert api.reports[form["noegle"]]["text"] == fault_report.clean(text)
            continue
        assert answer.status_code == 422
        assert form["noegle"] not in api.reports
        if verdict == "too_long":
            length = fault_report.length(fault_report.clean(text))
            expected = texts.REPORT_TOO_LONG.format(length=length, limit=500, excess=length - 500)
        else:
            expected = said[verdict]
        assert expected in answer.text
    assert tried == {"ok", "empty", "too_long", "control_character"}


async def test_a_text_that_is_too_long_stays_whole(citizen, api):
    text = "é" * 499 + "😀"
    answer, form = await sent(citizen, text)
    assert answer.status_code == 422
    assert "Teksten er 501 tegn. Der er plads til 500, så 1 tegn er for meget." in answer.text
    assert kept(answer) == form | {"tekst": text}
    field = html.fromstring(answer.text).get_element_by_id("tekst")
    assert field.get("aria-invalid") == "true"
    assert "tekst-fejl" in field.get("aria-describedby").split()


@pytest.mark.parametrize("failure", ["refuse", "hang", "500", "nonsense", "garbage"])
async def test_a_failed_hand_in_keeps_the_text_and_the_key(citizen, api, failure, monkeypatch):
    monkeypatch.setattr("demo.reference_portal.api.HAND_IN_WITHIN_SECONDS", 0.5)
    form = await blank(citizen)
    api.failing = failure
    answer = await citizen.post(PATH, **(form | {"tekst": "<b>Fejl</b>"}))
    assert answer.status_code == 200
    assert texts.REPORT_NOT_NOW in answer.text
    assert kept(answer) == form | {"tekst": "<b>Fejl</b>"}
    api.failing = None
    assert (await citizen.post(PATH, **kept(answer))).url.path.startswith(f"{PATH}/kvittering/")
    assert list(api.reports) == [form["noegle"]]


@pytest.mark.parametrize(
    ("status", "facts", "text"),
    [
        (503, {"type": "reports-not-possible"}, texts.REPORT_NOT_NOW),
        (429, {"type": "rate-limited"}, texts.REPORT_TOO_MANY),
        (401, {"type": "unauthorised"}, texts.REPORT_NOT_NOW),
        (422, {"type": "fault-report-invalid-characters"}, texts.REPORT_CHARACTERS),
        (422, {"type": "fault-report-empty"}, texts.REPORT_EMPTY),
        (422, {"type": "fault-report-too-long", "length": 501, "limit": 500, "excess": 1}, "så 1 tegn er for meget"),
        (422, {"type": "something-new"}, texts.REPORT_NOT_NOW),
    ],
    ids=lambda one: one["type"] if isinstance(one, dict) else None,
)
async def test_every_refusal_of_the_api_has_a_text_and_loses_nothing(citizen, api, status, facts, text):
    api.answers_reports_with = (status, facts)
    answer, form = await sent(citizen, "Fejl")
    assert answer.status_code in {200, 422}
    assert text in answer.text
    assert kept(answer) == form | {"tekst": "Fejl"}


async def test_another_text_with_a_used_key_gets_a_key_of_its_own(citizen, api):
    form = await blank(citizen) | {"tekst": "Den ene"}
    await citizen.post(PATH, **form)
    answer = await citizen.post(PATH, **(form | {"tekst": "Den anden"}))
    assert texts.REPORT_KEY_USED in answer.text
    assert kept(answer)["noegle"] != form["noegle"]
    await citizen.post(PATH, **kept(answer))
    assert sorted(report["text"] for report in api.reports.values()) == ["Den anden", "Den ene"]


async def test_a_form_that_is_older_than_the_session_keeps_its_text_and_is_not_sent(citizen, api):
    answer, form = await sent(citizen, "Fejl", csrf="of another session")
    assert texts.REPORT_STALE in answer.text
    assert api.reports == {}
    assert kept(answer)["tekst"] == "Fejl"
    assert kept(answer)["csrf"] == form["csrf"]
    assert kept(answer)["noegle"] == form["noegle"]


async def test_a_text_beyond_all_measure_is_refused_in_words(citizen, api):
    answer, _ = await sent(citizen, "a" * 300_000)
    assert answer.status_code == 422
    assert texts.REPORT_BODY_TOO_LARGE.format(limit=500) in answer.text


async def test_a_receipt_without_the_api_has_the_number_all_the_same(citizen, api):
    answer, _ = await sent(citizen, "Fejl")
    api.failing = "500"
    again = await citizen.get(answer.url.path)
    assert again.status_code == 200
    assert texts.RECEIPT_STATE_UNKNOWN in again.text
    assert answer.url.path.rsplit("/", 1)[1] in again.text


async def test_somebody_elses_receipt_is_not_there(citizen, api):
    assert (await citizen.get(f"{PATH}/kvittering/{uuid.uuid4()}")).status_code == 404


@pytest.mark.parametrize("state", ["sending", "unknown_outcome", "delivered", "rejected", "gave_up"])
async def test_every_state_of_a_report_has_words(citizen, api, state):
    answer, form = await sent(citizen, "Fejl")
    api.reports[form["noegle"]] |= {"status": state, "case": "FM-2023-000123"}
    text = (await citizen.get(answer.url.path)).text
    assert texts.RECEIPT_STATES[state] in text
    assert "FM-2023-000123" in text


async def test_no_number_of_the_citizen_is_anywhere_on_the_way(citizen, api):
    answer, _ = await sent(citizen, "Fejl")
    assert not re.search(r"610299-?1234", answer.text + str(answer.url) + str(dict(answer.headers)))


async def test_a_text_outlives_the_session_that_it_was_begun_in(citizen, api):
    form = await blank(citizen) | {"tekst": "Fejl"}
    citizen.http.cookies.clear()
    answer = await citizen.http.post(PATH, data=form)
    assert texts.REPORT_LOGGED_OUT in answer.text
    assert kept(answer)["tekst"] == "Fejl"
    assert api.reports == {}
    await citizen.log_in()
    # The form is of the session before, and is asked for once more.
    answer = await citizen.http.post(PATH, data=kept(answer))
    assert texts.REPORT_STALE in answer.text
    assert (await citizen.http.post(PATH, data=kept(answer))).url.path.startswith(f"{PATH}/kvittering/")
    assert list(api.reports) == [form["noegle"]]


async def test_nobody_hands_in_a_report_without_a_log_in(visitor, api):
    answer = await visitor.post(PATH, tekst="Fejl")
    assert answer.url.path == "/log-ind"
    assert api.reports == {}
