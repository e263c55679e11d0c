"""A refresh stores both sections, with the contact groups of before; a half of the answers is a failure."""

from datetime import timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import ContactGroupPeriod
from domain.rules import DEFAULT_RULES
from domain.searchable_cv import is_searchable
from domain.service_windows import danish_today
from registerbro import rules
from registerbro.services import Services
from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.storage.keys import contact_groups_key
from tests.workers.dfdg_gateway.service import UNKNOWN_PERSON
from tests.workers.visitering.conftest import ABSENCE, ABSENCES_PATH, GROUP, STATUS_PATH, status
from workers.visitering.tasks import REGISTER

NAME = "visitering"
CPR = Cpr.parse("6102991234")
SEVEN = {"KontaktgruppeType": 7, "Starttidspunkt": "2020-01-01T00:00:00+01:00"}
ENDED = """
[[target_group]]
[[target_group.group]]
code = 28

[[contact_group]]
code = 12
name = "Modtager af uddannelseshjælp"
to = 2026-06-30
"""


@pytest.fixture
async def services(service, rules_file, make_settings, monkeypatch):
    monkeypatch.setattr(rules, "LOOK_EVERY_SECONDS", 0)
    own = {"VISITERING__BASE_URL": service.url, "VISITERING__MAX_ATTEMPTS": "1", "RULES_FILE": str(rules_file)}
    it = Services(make_settings(**own))
    yield it
    await it.close()


async def refreshed(services):
    """The citizen's entry after a refresh."""
    me = await services.citizens.remember(CPR)
    await services.entries.outdate(me, NAME)
    await services.leases.acquire(me, NAME, timedelta(minutes=1), CITIZENS_WISH)
    await REGISTER.refresh(services, me)
    return (await services.entries.read(me, [NAME]))[NAME]


def groups_of(entry):
    return [ContactGroupPeriod(**one) for one in entry.sections["contact_groups"]]


def searchable_tomorrow(entry):
    """What the rule says once today, the last day on which the group was seen, is over."""
    return is_searchable(groups_of(entry), danish_today() + timedelta(days=1), DEFAULT_RULES)


async def test_both_sections_are_stored(services):
    entry = await refreshed(services)
    assert [one["title"] for one in entry.sections["absences"]] == ["Ferie"]
    assert [(one.group, one.end) for one in groups_of(entry)] == [(12, None)]


async def test_a_group_7_that_is_open_no_more_has_the_cv_closed_and_another_one_opens_it(service, services):
    service.answers[STATUS_PATH] = (200, status(SEVEN))
    assert searchable_tomorrow(await refreshed(services)) is True
    service.answers[STATUS_PATH] = (200, status())
    assert searchable_tomorrow(await refreshed(services)) is False
    service.answers[STATUS_PATH] = (200, status(GROUP))
    entry = await refreshed(services)
    assert [one.group for one in groups_of(entry)] == [7, 12]
    assert searchable_tomorrow(entry) is True


async def test_who_has_no_open_group_at_the_first_look_is_not_known_to_have_had_one(service, services):
    service.answers[STATUS_PATH] = (200, status())
    assert searchable_tomorrow(await refreshed(services)) is None


async def test_a_person_who_is_no_longer_known_has_no_open_group(service, services):
    service.answers[STATUS_PATH] = (200, status(SEVEN))
    await refreshed(services)
    service.answers = dict.fromkeys(service.answers, UNKNOWN_PERSON)
    entry = await refreshed(services)
    assert (entry.failure, entry.sections["absences"]) == (None, [])
    assert searchable_tomorrow(entry) is False


async def test_a_group_that_cannot_be_read_ends_none(service, services):
    service.answers[STATUS_PATH] = (200, status(SEVEN))
    await refreshed(services)
    service.answers[STATUS_PATH] = (200, status(GROUP, SEVEN | {"Starttidspunkt": "?"}))
    assert [(one.group, one.end) for one in groups_of(await refreshed(services))] == [(7, None), (12, None)]
    service.answers[STATUS_PATH] = (200, status(GROUP))
    assert [(one.group, one.end) for one in groups_of(await refreshed(services))] == [(7, danish_today()), (12, None)]


@pytest.mark.parametrize("path", [STATUS_PATH, ABSENCES_PATH])
async def test_a_half_that_fails_is_a_failure_and_keeps_the_data_of_before(service, services, path):
    before = await refreshed(services)
    service.answers[path] = (503, {})
    after = await refreshed(services)
    assert after.failure == "unavailable"
    assert after.sections == before.sections


async def test_absence_is_shown_when_the_ledger_does_not_keep_the_look(service, services, ledger):
    service.answers[STATUS_PATH] = (200, status())
    await ledger.hset(contact_groups_key(services.citizens.id_of(CPR)), "of another", "kind")
    entry = await refreshed(services)
    assert entry.failure is None
    assert [one["title"] for one in entry.sections["absences"]] == ["Ferie"]
    assert searchable_tomorrow(entry) is None
    assert entry.fresh_until - entry.fetched_at < services.settings.visitering.fresh_for


async def test_what_is_not_known_is_shown_and_named(service, services, rules_file):
    rules_file.write_text(ENDED, encoding="utf-8")
    service.answers[ABSENCES_PATH] = (200, {"fravaer": [ABSENCE | {"fravaerType": 99}]})
    entry = await refreshed(services)
    assert [one["title"] for one in entry.sections["absences"]] == ["Fravær"]
    assert [one.group for one in groups_of(entry)] == [12]
    found = (await unknown_values.status(services.coordination))[NAME].values
    assert found == {"fravaerType 99": 1, "kontaktgruppe 12": 1}
