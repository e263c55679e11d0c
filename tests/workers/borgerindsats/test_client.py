"""How the service is asked: two questions about one person, and what their answers come to together."""

import pytest

from domain.cpr import Cpr
from registerbro.upstreams.errors import InvalidResponse, UpstreamUnavailable, WrongPerson
from tests.workers.borgerindsats.conftest import ACTIVITIES_PATH, ACTIVITY, ENTRY, JOBLOG_PATH, activities, joblog
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, asking
from workers.borgerindsats import client

CPR = Cpr.parse("6102991234")
OTHER = {"civilRegistrationIdentifier": "6203991234"}


@pytest.fixture
async def upstream(service):
    async with asking(service, ACTIVITIES_PATH) as it:
        yield it


async def test_both_questions_are_asked_about_the_person_in_the_header(service, upstream):
    listed, logged = await client.fetch(upstream, CPR, JOBLOG_PATH)
    assert sorted(service.asked) == [("GET", ACTIVITIES_PATH, CPR.digits), ("GET", JOBLOG_PATH, CPR.digits)]
    assert listed.aktiviteter.opsummering.aktivitet[0].navn == "Praktik"
    assert len(logged.jobsoegningslogning[0].joblog_opgaver.joblogopgave) == 1


@pytest.mark.parametrize(("path", "place"), [(ACTIVITIES_PATH, 0), (JOBLOG_PATH, 1)])
async def test_a_person_who_is_unknown_to_one_of_them_is_so_there_alone(service, upstream, path, place):
    service.answers[path] = UNKNOWN_PERSON
    answers = await client.fetch(upstream, CPR, JOBLOG_PATH)
    assert answers[place] is None
    assert answers[1 - place] is not None


async def test_an_empty_object_says_that_there_are_no_activities(service, upstream):
    service.answers[ACTIVITIES_PATH] = (200, {})
    listed, _ = await client.fetch(upstream, CPR, JOBLOG_PATH)
    assert listed.aktiviteter is None


@pytest.mark.parametrize(
    ("path", "answer", "error"),
    [
        (ACTIVITIES_PATH, (503, {}), UpstreamUnavailable),
        (JOBLOG_PATH, (503, {}), UpstreamUnavailable),
        (ACTIVITIES_PATH, (200, {"fejl": [{"tekst": "Ukendt fejl"}]}), InvalidResponse),
        (ACTIVITIES_PATH, (200, []), InvalidResponse),
        (JOBLOG_PATH, (200, {}), InvalidResponse),
        (ACTIVITIES_PATH, (200, activities(ACTIVITY, ACTIVITY | OTHER)), WrongPerson),
        (JOBLOG_PATH, (200, joblog(ENTRY, ENTRY | OTHER)), WrongPerson),
        (ACTIVITIES_PATH, (200, OTHER), WrongPerson),
    ],
)
async def test_one_that_fails_fails_the_fetch(service, upstream, path, answer, error):
    service.answers[path] = answer
    with pytest.raises(error):
        await client.fetch(upstream, CPR, JOBLOG_PATH)
