"""A refresh stores both sections, and a half of the answers is a failure that keeps what was there."""

import pytest

from registerbro.services import Services
from registerbro.storage.coordination import unknown_values
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON, refreshed
from tests.workers.kontaktforloeb.conftest import DEADLINE, DEADLINES_PATH, MEETINGS_PATH, STATUS
from workers.kontaktforloeb.tasks import REGISTER

NAME = "kontaktforloeb"


@pytest.fixture
async def services(service, make_settings):
    it = Services(make_settings(KONTAKTFORLOEB__BASE_URL=service.url, KONTAKTFORLOEB__MAX_ATTEMPTS="1"))
    yield it
    await it.close()


async def test_both_sections_are_stored(services):
    entry = await refreshed(services, REGISTER)
    assert [one["title"] for one in entry.sections["meetings"]] == ["Jobsamtale"]
    assert [one["id"] for one in entry.sections["deadlines"]] == ["7-2023-03-17"]


@pytest.mark.parametrize("path", [MEETINGS_PATH, DEADLINES_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services, REGISTER)
    service.answers[path] = (503, {})
    after = await refreshed(services, REGISTER)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_a_person_who_is_unknown_to_the_service_has_no_data(service, services):
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services, REGISTER)
    assert (entry.sections, entry.failure) == ({"meetings": [], "deadlines": []}, None)


async def test_deadlines_of_unknown_statuses_alone_are_a_failure_that_names_them(service, services):
    strange = STATUS | {"Frister": {"Frist": [DEADLINE | {"FriststatusType": 9}]}}
    service.answers[DEADLINES_PATH] = (200, strange)
    assert (await refreshed(services, REGISTER)).failure == "invalid_response"
    assert (await unknown_values.status(services.coordination))[NAME].values == {"FriststatusType 9": 1}
