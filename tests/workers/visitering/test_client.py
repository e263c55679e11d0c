"""How the service is asked: two questions about one person, and what their answers come to together."""

import pytest

from domain.cpr import Cpr
from registerbro.upstreams.errors import InvalidResponse, UpstreamUnavailable, WrongPerson
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, asking
from tests.workers.visitering.conftest import ABSENCES_PATH, STATUS_PATH, status
from workers.visitering import client

CPR = Cpr.parse("6102991234")
OTHER = {"civilRegistrationIdentifier": "6203991234"}


@pytest.fixture
async def upstream(service):
    async with asking(service, STATUS_PATH) as it:
        yield it


async def test_both_questions_are_asked_about_the_person_in_the_header(service, upstream):
    groups, absences = await client.fetch(upstream, CPR, ABSENCES_PATH)
    assert sorted(service.asked) == [("GET", ABSENCES_PATH, CPR.digits), ("GET", STATUS_PATH, CPR.digits)]
    assert groups.kontaktgrupper[0].kontaktgruppe_type == 12
    assert absences.fravaer[0].fravaer_type == 10


@pytest.mark.parametrize(("path", "place"), [(STATUS_PATH, 0), (ABSENCES_PATH, 1)])
async def test_a_person_who_is_unknown_to_one_of_them_is_so_there_alone(service, upstream, path, place):
    service.answers[path] = UNKNOWN_PERSON
    answers = await client.fetch(upstream, CPR, ABSENCES_PATH)
    assert answers[place] is None
    assert answers[1 - place] is not None


@pytest.mark.parametrize("path", [STATUS_PATH, ABSENCES_PATH])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, {}), UpstreamUnavailable),
        ((200, {}), InvalidResponse),
        ((200, {"fejl": [{"kode": "4711"}]}), InvalidResponse),
        ((200, {"fravaer": [], "myndighed": OTHER, **status()}), WrongPerson),
    ],
)
async def test_one_that_fails_fails_the_fetch(service, upstream, path, answer, error):
    service.answers[path] = answer
    with pytest.raises(error):
        await client.fetch(upstream, CPR, ABSENCES_PATH)
