"""A refresh stores both sections, and a half of the answers is a failure that keeps what was there."""

from datetime import timedelta

import pytest

from domain.cpr import Cpr
from registerbro.services import Services
from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.leases import CITIZENS_WISH
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON
from tests.workers.kontaktforloeb.conftest import DEADLINE, DEADLINES_PATH, MEETINGS_PATH, STATUS
from workers.kontaktforloeb.tasks import REGISTER

NAME = "kontaktforloeb"


@pytest.fixture
async def services(service, make_settings):
    it = Services(make_settings(KONTAKTFORLOEB__BASE_URL=service.url, KONTAKTFORLOEB__MAX_ATTEMPTS="1"))
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
    assert [one["title"] for one in entry.sections["meetings"]] == ["Jobsamtale"]
    assert [one["id"] for one in entry.sections["deadlines"]] == ["7-2023-03-17"]


@pytest.mark.parametrize("path", [MEETINGS_PATH, DEADLINES_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services)
    service.answers[path] = (503, {})
    after = await refreshed(services)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_a_person_who_is_unknown_to_the_service_has_no_data(service, services):
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services)
    assert (entry.sections, entry.failure) == ({"meetings": [], "deadlines": []}, None)


async def test_deadlines_of_unknown_statuses_alone_are_a_failure_that_names_them(service, services):
    strange = STATUS | {"Frister": {"Frist": [DEADLINE | {"FriststatusType": 9}]}}
    service.answers[DEADLINES_PATH] = (200, strange)
    assert (await refreshed(services)).failure == "invalid_response"
    assert (await unknown_values.status(services.coordination))[NAME].values == {"FriststatusType 9": 1}
