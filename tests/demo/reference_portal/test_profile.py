"""»Jeg søger job som« and »Min profil« as HTML, in every state (§2.1, §2.2, §3.4)."""

import re

import pytest
from lxml import html

from demo.reference_portal import texts
from domain.overview import UNAVAILABLE_TEXT
from tests.demo.reference_portal.fake_api import stated

HISTORY, PROFILE = "/jeg-soeger-job-som", "/min-profil"


@pytest.fixture
async def citizen(visitor):
    await visitor.log_in("Karin Udenfor")
    return visitor


async def main(citizen, path):
    answer = await citizen.get(path)
    assert answer.status_code == 200
    page = html.fromstring(answer.text)
    return page.get_element_by_id("main-content", page)


def words(element):
    return re.sub(r"\s+", " ", element.text_content()).strip()


@pytest.mark.parametrize("path", [HISTORY, f"{HISTORY}/del"])
async def test_a_title_whose_date_was_lost_has_the_date_ukendt(citizen, api, path):
    rows = (await main(citizen, path)).xpath(".//tbody/tr")
    assert [[words(cell) for cell in row.xpath("td")] for row in rows] == [
        ["Butiksassistent", "16. januar 2023", "–"],
        ["Lagermedarbejder", "2. august 2021", "30. november 2022"],
        ["Tømrer", "Ukendt", "–"],
    ]


@pytest.mark.parametrize(
    ("searchable", "says", "not_says"),
    [(True, texts.CV_SEARCHABLE, texts.CV_NOT_SEARCHABLE), (False, texts.CV_NOT_SEARCHABLE, texts.CV_SEARCHABLE)],
)
@pytest.mark.parametrize("path", [PROFILE, f"{PROFILE}/del"])
async def test_the_profile_says_whether_the_cv_is_searchable(citizen, api, path, searchable, says, not_says):
    api.cv_status = stated("ready", searchable=searchable)
    text = words(await main(citizen, path))
    assert says in text
    assert not_says not in text


@pytest.mark.parametrize("path", [PROFILE, f"{PROFILE}/del"])
async def test_a_status_that_is_not_known_is_ukendt_and_says_why(citizen, api, path):
    api.cv_status = stated("ready", searchable=None)
    text = words(await main(citizen, path))
    assert "Ukendt" in text
    assert "Vi ved ikke, om dit CV kan findes" in text
    assert not [said for said in (UNAVAILABLE_TEXT, texts.CV_SEARCHABLE, texts.CV_NOT_SEARCHABLE) if said in text]


NOTHING = {HISTORY: texts.HISTORY_NOTHING, PROFILE: texts.CV_UNKNOWN}
"""What is said only of what is known to be nothing, or not to be known."""


def put(api, state, **more):
    api.job_titles, api.cv_status = stated(state, **more), stated(state, **more)


@pytest.mark.parametrize("path", [HISTORY, PROFILE])
async def test_what_cannot_be_fetched_says_the_text_of_r8_and_never_that_there_is_nothing(citizen, api, path):
    put(api, "unavailable")
    for part in (path, f"{path}/del"):
        text = words(await main(citizen, part))
        assert text.count(UNAVAILABLE_TEXT) == 1
        assert NOTHING[path] not in text


@pytest.mark.parametrize("path", [HISTORY, PROFILE])
async def test_what_is_being_fetched_is_a_skeleton(citizen, api, path):
    put(api, "pending")
    page = await main(citizen, path)
    assert page.find_class("skeleton")
    assert page.xpath(".//noscript//a/@href") == [path]
    assert NOTHING[path] not in words(page)


async def test_only_a_history_that_is_known_to_be_empty_says_so(citizen, api):
    put(api, "empty")
    text = words(await main(citizen, HISTORY))
    assert texts.HISTORY_NOTHING in text
    assert UNAVAILABLE_TEXT not in text


@pytest.mark.parametrize(
    "nonsense",
    [{"state": "perhaps"}, {"items": [{"title": 1}], "searchable": "maybe"}, {"items": None, "searchable": 17},
     {"state": "empty", "items": [{"title": "Kok", "registered": None, "ended": None}]},
     {"state": "empty", "items": 0, "searchable": True}, {"state": "pending", "items": [1], "searchable": False}],
)  # fmt: skip
@pytest.mark.parametrize("path", [HISTORY, PROFILE])
async def test_what_makes_no_sense_is_unavailable(citizen, api, path, nonsense):
    put(api, **({"state": "ready", "items": [], "searchable": None} | nonsense))
    assert UNAVAILABLE_TEXT in words(await main(citizen, path))


async def test_a_history_that_is_ready_without_a_title_is_unavailable(citizen, api):
    api.job_titles = stated("ready", items=[])
    text = words(await main(citizen, HISTORY))
    assert UNAVAILABLE_TEXT in text
    assert texts.HISTORY_NOTHING not in text


@pytest.mark.parametrize("path", [HISTORY, PROFILE])
async def test_the_source_is_named(citizen, api, path):
    assert "Kilde: Det fælles Datagrundlag (DFDG)" in words(await main(citizen, path))
