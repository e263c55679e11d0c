"""The same promises of every register: each failure is the right error, is called again as often as the table says, and
never looks like "no data".
"""

import pytest

from config.celery import REGISTERS, SUBSCRIBED
from domain.cpr import Cpr
from registerbro.pages.reader import SectionState
from registerbro.services import Services
from simulators import citizens
from tests.system.contract.conftest import SECOND, Bridge
from tests.system.contract.told import assert_told

BEHIND_DFDG = ("udb", "su", "ydelse", *SECOND)
QUESTIONS = [*((name, None) for name in REGISTERS), *SECOND.items()]
OF_DFDG = [*((name, None) for name in BEHIND_DFDG), *SECOND.items()]
OF_SERVICES = [*((name, None) for name in SECOND), *SECOND.items()]
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

ALIKE = frozenset({"status", "redirect", "not_found", "reset", "wrong_content_type"})


def remembered(fault):
    """Whether the register remembers the request id of a write that fails so, whose outcome is unknown here."""
    return fault["kind"] in {"redirect", "reset", "wrong_content_type"} or fault.get("status", 0) >= 500


SUBSCRIBING = [
    pytest.param(fault, reason, 4 if remembered(fault) else calls, id="-".join(map(str, fault.values())))
    for fault, reason, calls in ANSWERS
    if fault["kind"] in ALIKE and fault.get("status") not in {204, 412}
]
"""The failures that a subscription can end in, too. To a write, 204 is a receipt, and a second 412 says it is there; a
write that was received is refused when its id is repeated, is made once more with another, and refused again."""

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


SECTIONS_OF = {
    ("visitering", None): {"contact_groups"},
    ("visitering", "absences"): {"absences"},
    ("kontaktforloeb", None): {"meetings"},
    ("kontaktforloeb", "deadlines"): {"deadlines"},
    ("jobsearch", None): {"job_titles"},
    ("jobsearch", "history"): {"job_titles"},
    ("borgerindsats", None): {"activities"},
    ("borgerindsats", "joblog"): {"joblog"},
}
"""What each question of a service fills."""


def everywhere(register, fault):
    """The fault at every question of a register."""
    second = SECOND.get(register)
    return [fault] if second is None else [fault, fault | {"operation": second}]


EVERY_QUESTION = pytest.mark.parametrize(("register", "operation"), QUESTIONS)


@pytest.fixture(params=REGISTERS)
def register(request):
    return request.param


@pytest.fixture(params=[None], ids=[""])
def operation(request):
    """The question that is tried: a register's only one or its first, unless a test says another."""
    return request.param


@pytest.fixture
def breaks(control, register, operation):
    """Sets faults of the question that is tried."""

    def breaks(*faults):
        # A port is gone for every question.
        alike = ({} if fault["kind"] == "gone" or operation is None else {"operation": operation} for fault in faults)
        control.fault(register, *(fault | more for fault, more in zip(faults, alike, strict=True)))

    return breaks


@pytest.fixture
def asked(control, register, operation):
    """How often the question that is tried has been asked."""
    return lambda: sum(call.operation == operation for call in control.calls(register).calls)


@EVERY_QUESTION
@pytest.mark.parametrize(("fault", "reason", "calls"), FAULTS)
async def test_each_failure_is_told_as_itself_and_never_looks_like_no_data(
    bridge, breaks, asked, register, fault, reason, calls
):
    reason, calls = OTHERWISE.get((register, fault["kind"]), (reason, calls))
    breaks(fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert asked() == calls
    assert_told(sections)


@pytest.mark.parametrize(("fault", "reason", "calls"), SUBSCRIBING)
@pytest.mark.parametrize("register", SUBSCRIBED, indirect=True)
async def test_each_failure_of_a_subscription_is_told_as_itself_and_never_looks_like_no_data(
    bridge, control, register, fault, reason, calls
):
    control.fault(register, fault | {"operation": "subscribe"})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    received = control.calls(register)
    assert (received.total, len(received.writes)) == (0, calls)
    assert_told(sections)


@pytest.mark.parametrize(("fault", "reason", "calls"), HANGS)
@pytest.mark.parametrize("attempt_timeout", ["PT0.3S"])
@EVERY_QUESTION
async def test_no_answer_in_time_is_told_as_such(bridge, breaks, asked, fault, reason, calls):
    breaks(fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert asked() == calls
    assert_told(sections)


@pytest.mark.parametrize("fault", TOO_LONG, ids=["plain", "compressed"])
@pytest.mark.parametrize(("register", "operation"), OF_DFDG)
async def test_an_answer_that_is_too_long_is_refused(bridge, breaks, asked, fault):
    breaks(fault)
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure == "too_long"
    assert asked() == 1
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
async def test_each_code_of_a_register_means_what_its_table_says(bridge, breaks, asked, kode, reason, calls):
    breaks({"kind": "fejl", "kode": kode})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == (reason, None)
    assert asked() == calls
    assert_told(sections)


@pytest.mark.parametrize("kode", ["1010", "4404", "4405", "60007", "3", "4367", "1001", "1014"])
@pytest.mark.parametrize("register", BEHIND_DFDG, indirect=True)
async def test_a_code_that_means_no_data_hides_the_sections(bridge, control, register, kode):
    control.fault(register, *everywhere(register, {"kind": "fejl", "kode": kode}))
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}
    assert [call.operation for call in control.calls(register).calls].count(None) == 1


@pytest.mark.parametrize(("register", "operation"), OF_SERVICES)
async def test_where_one_question_has_no_data_of_the_person_the_other_ones_are_shown(
    bridge, breaks, register, operation
):
    _, before = await bridge.refresh(KNOWN)
    await bridge.services.cache.flushall()
    await bridge.services.ledger.redis.flushall()
    breaks({"kind": "not_found", "kode": "1010"})
    entry, after = await bridge.refresh(KNOWN)
    own = SECTIONS_OF[register, operation]
    assert entry.failure is None
    assert {name for name, view in after.items() if view.items == before[name].items} == after.keys() - own
    assert all(len(after[name].items) < len(before[name].items) for name in own)


@EVERY_QUESTION
@pytest.mark.parametrize(("fault", "reason", "calls"), FAULTS)
async def test_each_failure_keeps_the_last_good_data(bridge, breaks, register, fault, reason, calls):
    _, before = await bridge.refresh(KNOWN)
    for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
        await bridge.services.cache.hset(key, "fresh_until", 0)
    breaks(fault)
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


@EVERY_QUESTION
async def test_a_failure_that_passes_is_not_even_noticed(bridge, breaks, asked):
    breaks({"kind": "status", "status": 503, "times": 2})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert SectionState.READY in {view.state for view in sections.values()}
    assert asked() == 3


@EVERY_QUESTION
async def test_after_another_persons_answer_the_register_is_cut_off_for_everybody(
    bridge, control, breaks, asked, register
):
    breaks({"kind": "wrong_person"})
    await bridge.refresh(KNOWN)
    control.mend(register)
    entry, _ = await bridge.refresh(citizens.CITIZENS[1].cpr)
    assert entry.failure == "circuit_open"
    assert asked() == 1


async def test_after_the_cut_is_lifted_only_who_caused_it_is_not_asked_about_until_an_operator_lets_them(
    bridge, control, asked, register, settings
):
    another_process = Bridge(Services(settings), bridge.reader, bridge.register)
    other = citizens.CITIZENS[1].cpr

    async def came_of(here, digits):
        """The failure that is kept, what the page shows, and how many calls the register saw."""
        control.reset()
        for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
            await bridge.services.cache.delete(key)
        entry, sections = await here.refresh(digits)
        return entry.failure, {view.state for view in sections.values()}, asked()

    try:
        control.fault(register, {"kind": "wrong_person"})
        entry, _ = await another_process.refresh(KNOWN)
        assert entry.failure == "wrong_person"
        assert await came_of(bridge, other) == ("circuit_open", {SectionState.UNAVAILABLE}, 0)
        await bridge.services.admission(register).set_override(None)
        for here in (bridge, another_process):
            assert await came_of(here, KNOWN) == ("quarantined", {SectionState.UNAVAILABLE}, 0)
            assert_told(await here.sections(Cpr.parse(KNOWN)))
            failure, states, calls = await came_of(here, other)
            assert (failure, calls) == (None, 1)
            assert SectionState.UNAVAILABLE not in states
        assert await bridge.services.quarantine.release(register, bridge.services.citizens.id_of(Cpr.parse(KNOWN)))
        for here in (bridge, another_process):
            failure, states, calls = await came_of(here, KNOWN)
            assert (failure, calls) == (None, 1)
            assert SectionState.READY in states
    finally:
        await another_process.services.close()


async def test_what_was_kept_of_who_is_in_quarantine_is_shown_as_after_any_failure(bridge, asked, register):
    _, before = await bridge.refresh(KNOWN)
    citizen_id = bridge.services.citizens.id_of(Cpr.parse(KNOWN))
    await bridge.services.quarantine.put(register, citizen_id, 1_700_000_000_000)
    # By now the process has to look again.
    await bridge.services.admission(register).set_override(None)
    for key in [key async for key in bridge.services.cache.scan_iter("entry:*")]:
        await bridge.services.cache.hset(key, "fresh_until", 0)
    entry, after = await bridge.refresh(KNOWN)
    assert entry.failure == "quarantined"
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}
    assert all(view.stale for view in after.values())
    assert asked() == 1


@pytest.mark.parametrize("own_settings", [{"OTHER_PEPPERS": "the pepper of the time before"}])
async def test_a_new_pepper_lets_nobody_out_of_quarantine(bridge, control, register):
    newest, older = bridge.services.citizens.ids_of(Cpr.parse(KNOWN))
    await bridge.services.quarantine.put(register, older, 1_700_000_000_000)
    entry, _ = await bridge.refresh(KNOWN)
    assert (entry.failure, control.calls(register).total) == ("quarantined", 0)
    assert await bridge.services.quarantine.held(register) == {newest: 1_700_000_000_000}


async def test_an_answer_with_nothing_in_it_is_no_data_and_no_failure(bridge, control, register):
    control.fault(register, *everywhere(register, {"kind": "empty"}))
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_a_person_whom_the_register_does_not_know_has_no_data(bridge, control, asked, register):
    entry, sections = await bridge.refresh(citizens.STRANGER)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}
    # Where a citizen is subscribed first, that is refused, and no question is asked.
    assert (asked(), len(control.calls(register).writes)) == ((0, 1) if register in SUBSCRIBED else (1, 0))


@pytest.mark.parametrize(
    ("register", "operation"), [("udb", None), ("su", None), ("eindkomst", None), ("kontaktforloeb", "deadlines")]
)
async def test_an_unknown_value_leaves_out_its_own_item_alone(bridge, breaks):
    _, before = await bridge.refresh(KNOWN)
    breaks({"kind": "unknown_value"})
    await bridge.services.cache.flushall()
    _, after = await bridge.refresh(KNOWN)
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}


@pytest.mark.parametrize("register", ["ydelse"], indirect=True)
async def test_a_benefit_of_an_unknown_type_is_shown_as_that_beside_the_others(bridge, control, register):
    _, before = await bridge.refresh(KNOWN)
    control.fault(register, {"kind": "unknown_value"})
    await bridge.services.cache.flushall()
    _, after = await bridge.refresh(KNOWN)
    (unknown,) = [item for item in after["benefits"].items if item not in before["benefits"].items]
    assert unknown["type"] == "Ukendt ydelse"
    assert len(after["benefits"].items) == len(before["benefits"].items) + 1


@pytest.mark.parametrize(
    ("register", "operation", "section", "field", "shown"),
    [
        ("visitering", None, "contact_groups", "group", 999),
        ("visitering", "absences", "absences", "title", "Fravær"),
        ("kontaktforloeb", None, "meetings", "title", "Samtale"),
    ],
)
async def test_an_unknown_value_of_what_concerns_the_citizen_all_the_same_is_shown_as_that(
    bridge, breaks, section, field, shown
):
    _, before = await bridge.refresh(KNOWN)
    breaks({"kind": "unknown_value"})
    await bridge.services.cache.flushall()
    _, after = await bridge.refresh(KNOWN)
    (unknown,) = [item for item in after[section].items if item not in before[section].items]
    assert unknown[field] == shown
    assert len(after[section].items) == len(before[section].items) + 1


@pytest.mark.parametrize(("register", "operation"), OF_SERVICES)
async def test_an_item_that_cannot_be_read_leaves_out_itself_alone(bridge, breaks):
    _, before = await bridge.refresh(KNOWN)
    breaks({"kind": "damaged"})
    await bridge.services.cache.flushall()
    entry, after = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {name: view.items for name, view in after.items()} == {name: view.items for name, view in before.items()}


@EVERY_QUESTION
async def test_each_call_has_a_request_id_of_its_own(bridge, control, breaks, asked, register):
    breaks({"kind": "reset", "times": 1}, {"kind": "status", "status": 503, "times": 1})
    await bridge.refresh(KNOWN)
    ids = control.calls(register).request_ids
    assert (asked(), len(set(ids))) == (3, len(ids))


async def test_no_call_breaks_the_contract_and_every_question_is_asked_once(bridge, control, register):
    await bridge.refresh(KNOWN)
    calls = control.calls(register).calls
    assert {call.broke_contract for call in calls} == {None}
    assert all(call.traceparent for call in calls)
    questions = {None, SECOND[register]} if register in SECOND else {None}
    assert ({call.operation for call in calls}, len(calls)) == (questions, len(questions))
