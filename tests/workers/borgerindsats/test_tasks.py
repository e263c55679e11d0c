"""A refresh stores both sections, and a half of the answers is a failure that keeps what was there."""

from datetime import timedelta

import pytest

from domain.cpr import Cpr
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers
from registerbro.storage.coordination.leases import CITIZENS_WISH
from tests.workers.borgerindsats.conftest import ACTIVITIES_PATH, ACTIVITY, JOBLOG_PATH, activities
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON
from workers.borgerindsats.tasks import REGISTER

NAME = "borgerindsats"


@pytest.fixture
async def services(service, make_settings):
    it = Services(make_settings(BORGERINDSATS__BASE_URL=service.url, BORGERINDSATS__MAX_ATTEMPTS="1"))
    yield it
    await it.close()


async def refreshed(services):
    """The citizen's entry after a refresh."""
    me = await services.citizens.remember(Cpr.parse("6102991234"))
    await services.entries.outdate(me, NAME)
    await services.leases.acquire(me, NAME, timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    return (await services.entries.read(me, [NAME]))[NAME]


async def test_both_sections_are_stored(services):
    entry = await refreshed(services)
    assert [one["title"] for one in entry.sections["activities"]] == ["Praktik"]
    assert [(one["title"], one["start"], one["end"]) for one in entry.sections["joblog"]] == [
        ("Søgt job", "2023-03-08", "2023-03-08")
    ]


@pytest.mark.parametrize("path", [ACTIVITIES_PATH, JOBLOG_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services)
    service.answers[path] = (503, {})
    after = await refreshed(services)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_a_person_who_is_unknown_to_the_service_has_no_data(service, services):
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services)
    assert (entry.sections, entry.failure) == ({"activities": [], "joblog": []}, None)


async def test_an_activity_that_cannot_be_read_is_told_to_operators_and_the_others_are_shown(service, services):
    service.answers[ACTIVITIES_PATH] = (200, activities(ACTIVITY, ACTIVITY | {"startdato": "snarest"}))
    assert len((await refreshed(services)).sections["activities"]) == 1
    assert (await partial_answers.status(services.coordination, [NAME]))[NAME].kinds == {"startdato": 1}
