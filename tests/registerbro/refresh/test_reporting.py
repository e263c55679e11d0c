"""Contact groups of tokens that no table knows: counted at each request, and named once."""

from datetime import date

import pytest

from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import UnknownValue
from registerbro.refresh import reporting
from registerbro.refresh.reporting import CONTACT_GROUP, UnknownContactGroups, report_unknown_values
from registerbro.storage.coordination import unknown_values
from registerbro.storage.coordination.unknown_values import PORTAL
from registerbro.telemetry.metrics import UNKNOWN_VALUES

TODAY = date(2026, 11, 30)


def citizen(*groups):
    return Citizen(Cpr.parse("6102991234"), frozenset(groups), education_order=False)


@pytest.fixture
async def reporter(services):
    it = UnknownContactGroups(services, services.rules)
    yield it
    await it.close()


async def recorded(services, reporter):
    await reporter.close()
    found = await unknown_values.status(services.coordination)
    return found[PORTAL].values if PORTAL in found else {}


async def test_a_known_group_is_nothing_to_report(services, reporter, logged):
    reporter.report(citizen(1, 7, 12, 28), TODAY)
    reporter.report(citizen(), TODAY)
    assert (await recorded(services, reporter), logged) == ({}, [])


async def test_an_unknown_group_is_counted_each_time_and_named_and_recorded_once(services, reporter, logged):
    counter = UNKNOWN_VALUES.labels(PORTAL, CONTACT_GROUP)
    before = counter._value.get()
    for _ in range(5):
        reporter.report(citizen(12, 40), TODAY)
    reporter.report(citizen(41), TODAY)
    assert counter._value.get() == before + 6
    assert [(line["event"], line["value"]) for line in logged] == [
        ("unknown_contact_group", "40"), ("unknown_contact_group", "41"),
    ]  # fmt: skip
    assert await recorded(services, reporter) == {"contact_group 40": 1, "contact_group 41": 1}


async def test_after_an_hour_it_is_recorded_again_and_not_named_again(services, reporter, logged, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    reporter.report(citizen(40), TODAY)
    now[0] += 3600
    reporter.report(citizen(40), TODAY)
    assert await recorded(services, reporter) == {"contact_group 40": 2}
    assert len(logged) == 1


@pytest.mark.parametrize("group", [6102991234, -12, 10_000])
async def test_a_number_that_is_no_contact_group_is_not_shown(services, reporter, logged, group):
    reporter.report(citizen(group), TODAY)
    assert await recorded(services, reporter) == {"contact_group ?": 1}
    assert str(abs(group)) not in str(logged)


async def test_without_the_coordination_a_request_goes_on(services, reporter, empty_redis, logged):
    empty_redis["broker"].process.kill()
    try:
        reporter.report(citizen(40), TODAY)
        await reporter.close()
    finally:
        empty_redis["broker"].start()
    assert "unknown_contact_group" in [line["event"] for line in logged]


async def test_however_many_there_are_the_process_remembers_a_bounded_number(services, reporter):
    for group in range(100, 100 + 2 * reporting.MOST_NAMED):
        reporter.report(citizen(group), TODAY)
    assert len(services.named_values) <= reporting.MOST_NAMED
    assert len(reporter._record_at) <= reporting.MOST_NAMED


async def test_a_value_of_many_answers_is_counted_with_each_and_named_once_in_a_process(services, logged):
    counter = UNKNOWN_VALUES.labels("visitering", "kontaktgruppe")
    before = counter._value.get()
    for _ in range(3):
        await report_unknown_values(services, "visitering", (UnknownValue("kontaktgruppe", "2"),))
    await report_unknown_values(services, "ydelse", (UnknownValue("ydelsestype", "2"),))
    assert counter._value.get() == before + 3
    assert [(line["event"], line["register"]) for line in logged] == [
        ("unknown_value_left_out", "visitering"), ("unknown_value_left_out", "ydelse"),
    ]  # fmt: skip
    assert (await unknown_values.status(services.coordination))["visitering"].values == {"kontaktgruppe 2": 3}


async def test_of_an_answer_full_of_them_the_next_answer_names_the_next(services, logged):
    unknown = tuple(UnknownValue("type", f"TYPE {number}") for number in range(25))
    for _ in range(3):
        await report_unknown_values(services, "udb", unknown)
    named = [line["value"] for line in logged if line["event"] == "unknown_value_left_out"]
    assert named == [f"TYPE {number}" for number in range(25)]
    assert [line["more"] for line in logged if line["event"] == "unknown_values_left_out"] == [15, 5]
