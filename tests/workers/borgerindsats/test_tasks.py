"""A refresh stores both sections, and a half of the answers is a failure that keeps what was there."""

import pytest

from registerbro.services import Services
from registerbro.storage.coordination import partial_answers
from tests.workers.borgerindsats.conftest import ACTIVITIES_PATH, ACTIVITY, JOBLOG_PATH, activities
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, refreshed
from workers.borgerindsats.tasks import REGISTER

NAME = "borgerindsats"


@pytest.fixture
async def services(service, make_settings):
    it = Services(make_settings(BORGERINDSATS__BASE_URL=service.url, BORGERINDSATS__MAX_ATTEMPTS="1"))
    yield it
    await it.close()


async def test_both_sections_are_stored(services):
    entry = await refreshed(services, REGISTER)
    assert [one["title"] for one in entry.sections["activities"]] == ["Praktik"]
    assert [(one["title"], one["start"], one["end"]) for one in entry.sections["joblog"]] == [
        ("Søgt job", "2023-03-08", "2023-03-08")
    ]


@pytest.mark.parametrize("path", [ACTIVITIES_PATH, JOBLOG_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services, REGISTER)
    service.answers[path] = (503, {})
    after = await refreshed(services, REGISTER)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_a_person_who_is_unknown_to_the_service_has_no_data(service, services):
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services, REGISTER)
    assert (entry.sections, entry.failure) == ({"activities": [], "joblog": []}, None)


async def test_an_activity_that_cannot_be_read_is_told_to_operators_and_the_others_are_shown(service, services):
    service.answers[ACTIVITIES_PATH] = (200, activities(ACTIVITY, ACTIVITY | {"startdato": "snarest"}))
    assert len((await refreshed(services, REGISTER)).sections["activities"]) == 1
    assert (await partial_answers.status(services.coordination, [NAME]))[NAME].kinds == {"startdato": 1}
