"""How the service is asked: two questions about one person, and what their answers come to together."""

import pytest

from domain.cpr import Cpr
from registerbro.upstreams.errors import InvalidResponse, UpstreamUnavailable, WrongPerson
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, asking
from tests.workers.kontaktforloeb.conftest import DEADLINES_PATH, MEETINGS_PATH, STATUS
from workers.kontaktforloeb import client

CPR = Cpr.parse("6102991234")
OTHER = {"civilRegistrationIdentifier": "6203991234"}


@pytest.fixture
async def upstream(service):
    async with asking(service, MEETINGS_PATH) as it:
        yield it


async def test_both_questions_are_asked_about_the_person_in_the_header(service, upstream):
    meetings, status = await client.fetch(upstream, CPR, DEADLINES_PATH)
    assert sorted(service.asked) == [("GET", DEADLINES_PATH, CPR.digits), ("GET", MEETINGS_PATH, CPR.digits)]
    assert meetings.indkaldelser[0].samtale_type == 7
    assert status.frister.frist[0].friststatus_type == 1


@pytest.mark.parametrize(("path", "place"), [(MEETINGS_PATH, 0), (DEADLINES_PATH, 1)])
async def test_a_person_who_is_unknown_to_one_of_them_is_so_there_alone(service, upstream, path, place):
    service.answers[path] = UNKNOWN_PERSON
    answers = await client.fetch(upstream, CPR, DEADLINES_PATH)
    assert answers[place] is None
    assert answers[1 - place] is not None


@pytest.mark.parametrize("path", [MEETINGS_PATH, DEADLINES_PATH])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, {}), UpstreamUnavailable),
        ((200, {}), InvalidResponse),
        ((200, {"fejl": [{"kode": "4711"}]}), InvalidResponse),
        ((200, {"indkaldelser": [], "deltager": OTHER, **STATUS}), WrongPerson),
    ],
)
async def test_one_that_fails_fails_the_fetch(service, upstream, path, answer, error):
    service.answers[path] = answer
    with pytest.raises(error):
        await client.fetch(upstream, CPR, DEADLINES_PATH)
