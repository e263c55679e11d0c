"""The same promises of every register: each failure is the right error, is called again as often as the table says, and
never looks like "no data".
"""

import pytest

from config.celery import REGISTERS
from portal.reader import SectionState
from simulators import citizens
from tests.contract.conftest import Bridge
from tests.contract.told import assert_told
from workers.domain.cpr import Cpr
from workers.runtime import Services

BEHIND_DFDG = ("udb", "su", "ydelse", "dfdg")
KNOWN = citizens.EXAMPLE.cpr

ANSWERS = [
    *(({"kind": "status", "status": status}, "unavailable", 3) for status in (500, 502, 503, 504)),
    *(({"kind": "status", "status": status}, "not_authorised", 1) for status in (401, 403)),
    *(({"kind": "status", "status": status}, "bad_request", 1) for status in (400, 418, 422)),
    ({"kind": "status", "status": 429}, "rate_limited", 3),
    ({"kind": "status", "status": 412}, "request_id_used", 2),
    ({"kind": "status", "status": 204}, "invalid_response", 2),
    ({"kind": "redirect"}, "invalid_response", 2),
    ({"kind": "not_found"}, "not_found", 1),
    ({"kind": "reset"}, "unavailable", 3),
    ({"kind": "truncated"}, "unavailable", 3),
    ({"kind": "gone"}, "unavailable", 0),
    ({"kind": "wrong_content_type"}, "invalid_response", 2),
    ({"kind": "invalid_body"}, "invalid_response", 2),
    ({"kind": "invalid_encoding"}, "invalid_response", 2),
    ({"kind": "missing_field"}, "invalid_response", 2),
    ({"kind": "bomb"}, "invalid_response", 2),
    ({"kind": "wrong_person"}, "wrong_person", 1),
    ({"kind": "mixed_people"}, "wrong_person", 1),
]
FAULTS = [pytest.param(*answer, id="-".join(map(str, answer[0].values()))) for answer in ANSWERS]
"""The table of answers: what the upstream does, the reason that is kept, and the calls that reach the upstream."""

OTHERWISE = {("eindkomst", "missing_field"): ("not_authorised", 1)}
"""Where a fault means another thing at one register: a field that no report has is one that the agreement filters."""

HANGS = [({"kind": "hang_before_headers"}, "timeout", 3), ({"kind": "hang_after_headers"}, "timeout", 3)]
TOO_LONG = [{"kind": "huge"}, {"kind": "huge", "compressed": True}]

CODES = [
    *(
        (code, register, "not_authorised", 1)
        for register in BEHIND_DFDG
        for code in ("1011", "1012", "1013", "1100", "1101", "4575", "8232", "8233")
    ),
    *(("4922", register, "not_this_citizen", 1) for register in BEHIND_DFDG),
    *((code, "eindkomst", "unavailable", 3) for code in ("2000", "490", "1000")),
    ("300", "eindkomst", "not_authorised", 1),
    ("999", "eindkomst", "bad_request", 1),
]


@pytest.fixture(params=REGISTERS)
def register(request):
    return request.param


@pytest.mark.parametrize(("fault", "reason", "calls"), FAULTS)
async def test_each_failure_is_told_as_itself_and_never_looks_like_no_data(
    bridge, control, register, fault, reason, calls
):
    reason, calls = OTHERWISE.get((register, fault["kind"]), (reason, calls))
    control.fault(register, fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert control.calls(register).total == calls
    assert_told(sections)


@pytest.mark.parametrize(("fault", "reason", "calls"), HANGS)
@pytest.mark.parametrize("attempt_timeout", ["PT0.3S"])
async def test_no_answer_in_time_is_told_as_such(bridge, control, register, fault, reason, calls):
    control.fault(register, fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert control.calls(register).total == calls
    assert_told(sections)


@pytest.mark.parametrize("fault", TOO_LONG, ids=["plain", "compressed"])
@pytest.mark.parametrize("register", BEHIND_DFDG, indirect=True)
async def test_an_answer_that_is_too_long_is_refused(bridge, control, register, fault):
    control.fault(register, fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure == "too_long"
    assert control.calls(register).total == 1
    assert_told(sections)


@pytest.mark.parametrize("fault", TOO_LONG, ids=["plain", "compressed"])
@pytest.mark.parametrize("register", ["eindkomst"], indirect=True)
@pytest.mark.parametrize("own_settings", [{"EINDKOMST__MAX_BODY": "2MiB"}])
async def test_when_every_smaller_answer_is_too_long_too_the_first_of_them_ends_the_asking(
    bridge, control, register, fault
):
    control.fault(register, fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure == "too_long"
    assert control.calls(register).total < 10
    assert_told(sections)


@pytest.mark.parametrize(("kode", "register", "reason", "calls"), CODES, indirect=["register"])
async def test_each_code_of_a_register_means_what_its_table_says(bridge, control, register, kode, reason, calls):
    control.fault(register, {"kind": "fejl", "kode": kode})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert control.calls(register).total == calls
    assert_told(sections)


@pytest.mark.parametrize("kode", ["1010", "4404", "4405", "60007", "3", "4367", "1001", "1014"])
@pytest.mark.parametrize("register", BEHIND_DFDG, indirect=True)
async def test_a_code_that_means_no_data_hides_the_sections(bridge, control, register, kode):
    control.fault(register, {"kind": "fejl", "kode": kode})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}
    assert control.calls(register).total == 1


@pytest.mark.parametrize(("fault", "reason", "calls"), FAULTS)
async def test_each_failure_keeps_the_last_good_data(bridge, control, register, fault, reason, calls):
    _, before = await bridge.refresh(KNOWN)
    for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
        await bridge.services.cache.hset(key, "fresh_until", 0)
    control.fault(register, fault)
    entry, after = await bridge.refresh(KNOWN)
    assert entry.failure == OTHERWISE.get((register, fault["kind"]), (reason, calls))[0]
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}
    assert SectionState.READY in {view.state for view in after.values()}
    assert all(view.stale for view in after.values())


@pytest.mark.parametrize("retry_after", [5, 3600])
async def test_how_long_to_wait_travels_from_the_upstream_to_the_page(bridge, control, register, retry_after):
    control.fault(register, {"kind": "status", "status": 503, "retry_after": retry_after})
    _, sections = await bridge.refresh(KNOWN)
    assert {view.retry_after for view in sections.values()} <= {retry_after, retry_after - 1}


async def test_a_failure_that_passes_is_not_even_noticed(bridge, control, register):
    control.fault(register, {"kind": "status", "status": 503, "times": 2})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert SectionState.READY in {view.state for view in sections.values()}
    assert control.calls(register).total == 3


async def test_after_another_persons_answer_the_register_is_cut_off_for_everybody(bridge, control, register):
    control.fault(register, {"kind": "wrong_person"})
    await bridge.refresh(KNOWN)
    control.mend(register)
    entry, _ = await bridge.refresh(citizens.CITIZENS[1].cpr)
    assert entry.failure == "circuit_open"
    assert control.calls(register).total == 1


async def test_after_the_cut_is_lifted_only_who_caused_it_is_not_asked_about_until_an_operator_lets_them(
    bridge, control, register, settings
):
    another_process = Bridge(Services(settings), bridge.reader, bridge.register)
    other = citizens.CITIZENS[1].cpr

    async def asked(here, digits):
        """The failure that is kept, what the page shows, and how many calls the register saw."""
        control.reset()
        for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
            await bridge.services.cache.delete(key)
        entry, sections = await here.refresh(digits)
        return entry.failure, {view.state for view in sections.values()}, control.calls(register).total

    try:
        control.fault(register, {"kind": "wrong_person"})
        entry, _ = await another_process.refresh(KNOWN)
        assert entry.failure == "wrong_person"
        assert await asked(bridge, other) == ("circuit_open", {SectionState.UNAVAILABLE}, 0)
        await bridge.services.admission(register).order(None)
        for here in (bridge, another_process):
            assert await asked(here, KNOWN) == ("quarantined", {SectionState.UNAVAILABLE}, 0)
            assert_told(await here.sections(Cpr.parse(KNOWN)))
            failure, states, calls = await asked(here, other)
            assert (failure, calls) == (None, 1)
            assert SectionState.UNAVAILABLE not in states
        assert await bridge.services.quarantine.release(register, bridge.services.citizens.id_of(Cpr.parse(KNOWN)))
        for here in (bridge, another_process):
            failure, states, calls = await asked(here, KNOWN)
            assert (failure, calls) == (None, 1)
            assert SectionState.READY in states
    finally:
        await another_process.services.close()


async def test_what_was_kept_of_who_is_in_quarantine_is_shown_as_after_any_failure(bridge, control, register):
    _, before = await bridge.refresh(KNOWN)
    citizen_id = bridge.services.citizens.id_of(Cpr.parse(KNOWN))
    await bridge.services.quarantine.put(register, citizen_id, 1_700_000_000_000)
    # By now the process has to look again.
    await bridge.services.admission(register).order(None)
    for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
        await bridge.services.cache.hset(key, "fresh_until", 0)
    entry, after = await bridge.refresh(KNOWN)
    assert entry.failure == "quarantined"
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}
    assert all(view.stale for view in after.values())
    assert control.calls(register).total == 1


@pytest.mark.parametrize("own_settings", [{"OTHER_PEPPERS": "the pepper of the time before"}])
async def test_a_new_pepper_lets_nobody_out_of_quarantine(bridge, control, register):
    newest, older = bridge.services.citizens.ids_of(Cpr.parse(KNOWN))
    await bridge.services.quarantine.put(register, older, 1_700_000_000_000)
    entry, _ = await bridge.refresh(KNOWN)
    assert (entry.failure, control.calls(register).total) == ("quarantined", 0)
    assert await bridge.services.quarantine.held(register) == {newest: 1_700_000_000_000}


async def test_an_answer_with_nothing_in_it_is_no_data_and_no_failure(bridge, control, register):
    control.fault(register, {"kind": "empty"})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_a_person_whom_the_register_does_not_know_has_no_data(bridge, control, register):
    entry, sections = await bridge.refresh(citizens.STRANGER)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}
    assert control.calls(register).total == 1


async def test_an_unknown_value_leaves_out_its_own_item_alone(bridge, control, register):
    _, before = await bridge.refresh(KNOWN)
    control.fault(register, {"kind": "unknown_value"})
    await bridge.services.cache.flushall()
    _, after = await bridge.refresh(KNOWN)
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}


async def test_a_call_that_is_repeated_keeps_its_id_and_a_new_one_has_another(bridge, control, register):
    control.fault(register, {"kind": "reset", "times": 1}, {"kind": "status", "status": 503, "times": 1})
    await bridge.refresh(KNOWN)
    first, repeated, new = control.calls(register).request_ids
    assert first == repeated != new


async def test_no_call_breaks_the_contract(bridge, control, register):
    await bridge.refresh(KNOWN)
    assert [call.broke_contract for call in control.calls(register).calls] == [None]
    assert all(call.traceparent for call in control.calls(register).calls)
