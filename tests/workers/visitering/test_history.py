"""A fetch as a look: the past that the ledger knows, and what is shown without it."""

from datetime import date, timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import ContactGroupPeriod, Normalised, UnknownValue
from registerbro.refresh.register import Fetched
from registerbro.services import Services
from registerbro.storage.ledger.contact_groups import Look
from tests.conftest import PEPPER
from workers.visitering.history import with_past

CPR = Cpr.parse("6102991234")
SEVEN = ContactGroupPeriod(group=7, start=date(2020, 1, 1), end=None)
ENDED = SEVEN.model_copy(update={"end": date(2023, 3, 12)})


async def fetched(services, *groups, day=date(2023, 3, 13), age=timedelta(0)):
    found = Normalised({"contact_groups": [*groups], "absences": []}, (UnknownValue("fravaerType", "99"),))
    return await with_past(services, CPR, found, Look(groups, day, age))


@pytest.fixture
async def services(make_settings):
    it = Services(make_settings())
    yield it
    await it.close()


async def test_what_was_seen_before_is_shown_beside_what_is_open_now(services):
    first = await fetched(services, SEVEN, day=date(2023, 3, 1), age=timedelta(minutes=1))
    assert first.normalised.sections["contact_groups"] == [SEVEN]
    second = await fetched(services)
    assert second == Fetched(
        Normalised({"contact_groups": [ENDED], "absences": []}, (UnknownValue("fravaerType", "99"),))
    )


async def test_it_is_kept_for_the_time_that_is_set(make_settings):
    services = Services(make_settings(VISITERING__HISTORY_KEPT_FOR="PT1H"))
    try:
        await fetched(services, SEVEN)
        kept = await services.contact_groups.record(services.citizens.id_of(CPR))
        left = await services.ledger.redis.pttl(f"contact_groups:{{visitering}}:{services.citizens.id_of(CPR)}")
    finally:
        await services.close()
    assert kept.history.shown() == [SEVEN]
    assert timedelta(minutes=59) < timedelta(milliseconds=left) <= timedelta(hours=1)


async def test_what_is_known_under_an_older_pepper_is_known(services, make_settings):
    await fetched(services, SEVEN, day=date(2023, 3, 1), age=timedelta(minutes=1))
    later = Services(make_settings(PEPPER="another pepper for tests", OTHER_PEPPERS=PEPPER))
    try:
        assert (await fetched(later)).normalised.sections["contact_groups"] == [ENDED]
    finally:
        await later.close()


@pytest.mark.parametrize("groups", [(), (SEVEN,)])
async def test_without_the_ledger_the_current_groups_are_shown_and_the_past_is_looked_for_again_soon(
    make_settings, logged, groups
):
    services = Services(make_settings(LEDGER_URL="redis://127.0.0.1:1/0"))
    try:
        found = await fetched(services, *groups)
    finally:
        await services.close()
    assert found.normalised.sections == {"contact_groups": [*groups], "absences": []}
    assert found.fresh_for == services.settings.visitering.retry_after < services.settings.visitering.fresh_for
    (line,) = [line for line in logged if line["event"] == "contact_groups_not_kept"]
    assert line["citizen"] == services.citizens.id_of(CPR)
