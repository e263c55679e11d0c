"""What eIndkomst alone says and how: over real sockets, from the simulator to the page."""

import pytest

from registerbro.pages.reader import SectionState
from registerbro.storage.coordination import partial_answers
from simulators import citizens
from tests.system.contract.told import assert_told

KNOWN = citizens.EXAMPLE.cpr


@pytest.fixture
def register():
    return "eindkomst"


@pytest.mark.parametrize(("code", "reason", "calls"), [("Server", "unavailable", 3), ("Client", "bad_request", 1)])
async def test_a_soap_fault_is_a_failure(bridge, control, code, reason, calls):
    control.fault("eindkomst", {"kind": "soap_fault", "code": code})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, control.calls("eindkomst").total) == (reason, calls)
    assert_told(sections)


async def test_an_error_counts_even_when_data_follow(bridge, control):
    control.fault("eindkomst", {"kind": "fejl", "kode": "2000", "with_data": True})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure == "unavailable"
    assert_told(sections)


@pytest.mark.parametrize(
    "fault", [{"kind": "too_much"}, {"kind": "huge", "over_months": 12}], ids=["refused", "too long"]
)
@pytest.mark.parametrize("own_settings", [{"EINDKOMST__MAX_BODY": "2MiB"}])
async def test_what_is_too_much_at_once_is_asked_for_in_pieces_and_gives_the_same_page(bridge, control, fault):
    _, whole = await bridge.refresh(KNOWN)
    control.reset()
    await bridge.services.cache.flushall()
    control.fault("eindkomst", fault)
    _, in_pieces = await bridge.refresh(KNOWN)
    assert in_pieces["employments"].items == whole["employments"].items
    assert control.calls("eindkomst").total < 40


async def test_an_advis_without_a_person_is_a_failure_and_never_no_data(bridge, control):
    entry, sections = await bridge.refresh(citizens.ADVIS_ALONE.cpr)
    assert (entry.failure, control.calls("eindkomst").total) == ("advis", 1)
    assert_told(sections)


@pytest.mark.parametrize("own_settings", [{"EINDKOMST__ADVIS_MEANS_NONE": "99, 100"}])
async def test_an_advis_that_means_none_is_no_data(bridge):
    entry, sections = await bridge.refresh(citizens.ADVIS_ALONE.cpr)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_an_advis_beside_persons_changes_nothing(bridge, control):
    control.fault("eindkomst", {"kind": "advis", "kode": "100", "with_data": True})
    _, sections = await bridge.refresh(KNOWN)
    assert len(sections["employments"].items) == 2


async def test_a_replacement_number_that_the_published_pattern_excludes_is_no_data(bridge, control):
    control.fault("eindkomst", {"kind": "strict_cpr"})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, control.calls("eindkomst").total) == (None, 1)
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_elements_and_attributes_of_no_schema_change_nothing(bridge, control):
    _, as_published = await bridge.refresh(KNOWN)
    await bridge.services.cache.flushall()
    control.fault("eindkomst", {"kind": "undeclared"})
    _, sections = await bridge.refresh(KNOWN)
    assert sections["employments"].items == as_published["employments"].items


async def test_holiday_pay_alone_is_no_job_and_no_failure(bridge):
    entry, sections = await bridge.refresh(citizens.HOLIDAY_PAY.cpr)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_one_report_that_cannot_be_read_leaves_thirty_nine_and_makes_the_register_partial(bridge):
    entry, sections = await bridge.refresh(citizens.ONE_UNREADABLE.cpr)
    assert entry.failure is None
    assert len(sections["employments"].items) == 39
    seen = await partial_answers.status(bridge.services.coordination, ["eindkomst"])
    assert seen["eindkomst"].kinds == {"forms": 1}


async def test_a_damaged_report_is_left_out_of_the_others(bridge, control):
    control.fault("eindkomst", {"kind": "damaged"})
    entry, sections = await bridge.refresh(citizens.LONG_HISTORY.cpr)
    assert entry.failure is None
    assert len(sections["employments"].items) >= 39
    assert (await partial_answers.status(bridge.services.coordination, ["eindkomst"]))["eindkomst"] is not None


SHOWN = [
    (citizens.TWO_EMPLOYERS_ONE_BUREAU, 2),
    (citizens.REVERSED, 1),
    (citizens.MANY_REPORTS, 10),
]


@pytest.mark.parametrize(("citizen", "count"), SHOWN, ids=lambda one: getattr(one, "name", None))
async def test_raw_reports_become_jobs(bridge, control, citizen, count):
    entry, sections = await bridge.refresh(citizen.cpr)
    assert entry.failure is None
    assert len(sections["employments"].items) == count
    assert control.calls("eindkomst").total == 1
