"""How the service is asked: two questions about one person, and what their answers come to together."""

import pytest

from domain.cpr import Cpr
from registerbro.upstreams.errors import InvalidResponse, UpstreamUnavailable, WrongPerson
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, asking
from tests.workers.jobsearch.conftest import CURRENT_PATH, HISTORY_PATH, KOK, TJENER
from workers.jobsearch import client

CPR = Cpr.parse("6102991234")
OTHER = {"civilRegistrationIdentifier": "6203991234"}


@pytest.fixture
async def upstream(service):
    async with asking(service, CURRENT_PATH) as it:
        yield it


async def test_both_questions_are_asked_about_the_person_in_the_header(service, upstream):
    current, former = await client.fetch(upstream, CPR, HISTORY_PATH)
    assert sorted(service.asked) == [("GET", CURRENT_PATH, CPR.digits), ("GET", HISTORY_PATH, CPR.digits)]
    assert [one.concept_uri_da for one in current.joboensker] == [KOK]
    assert [one.concept_uri_da for one in former.joboensker] == [TJENER, KOK]


@pytest.mark.parametrize(("path", "place"), [(CURRENT_PATH, 0), (HISTORY_PATH, 1)])
async def test_a_person_who_is_unknown_to_one_of_them_is_so_there_alone(service, upstream, path, place):
    service.answers[path] = UNKNOWN_PERSON
    answers = await client.fetch(upstream, CPR, HISTORY_PATH)
    assert answers[place] is None
    assert answers[1 - place] is not None


@pytest.mark.parametrize("path", [CURRENT_PATH, HISTORY_PATH])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, {}), UpstreamUnavailable),
        ((200, {}), InvalidResponse),
        ((200, {"joboensker": [], "andre": [OTHER]}), WrongPerson),
    ],
)
async def test_one_that_fails_fails_the_fetch(service, upstream, path, answer, error):
    service.answers[path] = answer
    with pytest.raises(error):
        await client.fetch(upstream, CPR, HISTORY_PATH)
