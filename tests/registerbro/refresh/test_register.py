"""Carrying out a refresh: however the fetch ends, the entry says so, and what could not be said is asked for again."""

import asyncio
from datetime import timedelta

import pytest

from domain.cpr import Cpr
from domain.overview import LeftOut, Normalised, SuAttempts, UnknownValue
from redis_admission import Override, OverrideOrder
from registerbro.refresh.register import Fetched, Register
from registerbro.refresh.unknown_values import NothingKnown
from registerbro.services import Services
from registerbro.storage.coordination import partial_answers, unknown_values
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.upstreams.errors import UpstreamTimeout

CPR = Cpr.parse("6102991234")
MINUTE = timedelta(minutes=1)
DATA = Fetched(Normalised({"su_attempts": [SuAttempts(count=2)]}))


@pytest.fixture
async def me(services):
    citizen_id = await services.citizens.remember(CPR)
    await services.leases.acquire(citizen_id, "su", MINUTE, CITIZENS_WISH)
    return citizen_id


def fetching(result, calls=None):
    """A register whose fetch gives `result`, or raises it."""

    async def fetch(services, cpr):
        assert cpr == CPR
        (calls if calls is not None else []).append(cpr)
        if isinstance(result, BaseException):
            raise result
        return result

    return Register("su", fetch)


async def entry(services, me):
    return (await services.entries.read(me, ["su"]))["su"]


async def still_wanted(services, me):
    return await services.coordination.zscore("wanted:{su}", me) is not None


async def test_what_was_fetched_is_stored_and_the_wish_is_settled(services, me):
    await fetching(DATA).refresh(services, me)
    assert (await entry(services, me)).sections == {"su_attempts": [{"count": 2}]}
    assert not await still_wanted(services, me)


async def asked(fetch, services, citizen_ids):
    """How many commands Redis answers while these citizens are refreshed at a time."""
    for citizen_id in citizen_ids:
        await services.leases.acquire(citizen_id, "su", MINUTE, CITIZENS_WISH)
    servers = (services.coordination, services.cache)
    before = [client.answers for client in servers]
    await asyncio.gather(*(Register("su", fetch).refresh(services, citizen_id) for citizen_id in citizen_ids))
    return [client.answers - count for client, count in zip(servers, before, strict=True)]


async def test_a_refresh_is_six_commands_and_so_are_many_at_a_time(services, me):
    others = [await services.citizens.remember(Cpr.parse(f"61029912{number}")) for number in range(40, 60)]

    async def fetch(services, cpr):
        admission = services.admission("su")
        await admission.record(await admission.enter(is_retry=False), None, timedelta(0))
        return DATA

    await Register("su", fetch).refresh(services, me)
    assert await asked(fetch, services, others[:1]) == [4, 2]
    assert await asked(fetch, services, others[1:]) == [4, 2]
    for citizen_id in others:
        assert (await entry(services, citizen_id)).fresh
        assert not await still_wanted(services, citizen_id)


CUT_OFF = OverrideOrder(Override.FORCED_OPEN, "somebody", 0, "another person's answer")


async def test_an_answer_whose_call_ended_when_its_register_was_cut_off_is_not_stored(services, me, make_settings):
    other = Services(make_settings())

    async def fetch(services, cpr):
        admission = services.admission("su")
        permit = await admission.enter(is_retry=False)
        await other.admission("su").set_override(CUT_OFF)
        await admission.record(permit, None, timedelta(0))
        return DATA

    await Register("su", fetch).refresh(services, me)
    await other.close()
    found = await entry(services, me)
    assert (found.sections, found.failure) == (None, "circuit_open")
    assert not await still_wanted(services, me)


async def test_an_answer_that_is_stored_when_its_register_is_cut_off_is_discarded(services, me, make_settings, logged):
    """The other process finds it out after the call has ended, and before the lease has."""
    other = Services(make_settings())

    async def fetch(services, cpr):
        admission = services.admission("su")
        await admission.record(await admission.enter(is_retry=False), None, timedelta(0))
        await other.admission("su").set_override(CUT_OFF)
        return DATA

    await Register("su", fetch).refresh(services, me)
    await other.close()
    found = await entry(services, me)
    assert (found.sections, found.failure) == (None, None)
    assert not await still_wanted(services, me)
    told = [(line["event"], line.get("outcome")) for line in logged if line["event"] != "breaker_changed"]
    assert told == [("entry_discarded", None), ("refresh_ended", "taken_back")]


async def test_an_answer_after_the_cut_was_lifted_is_stored(services, me):
    await services.admission("su").set_override(CUT_OFF)
    await services.admission("su").set_override(None)
    await fetching(DATA).refresh(services, me)
    assert (await entry(services, me)).sections == {"su_attempts": [{"count": 2}]}


async def test_a_failed_fetch_is_a_failure_of_the_entry(services, me):
    await fetching(UpstreamTimeout()).refresh(services, me)
    assert (await entry(services, me)).failure == "timeout"
    assert not await still_wanted(services, me)


@pytest.mark.parametrize(
    "defect",
    [ZeroDivisionError(), Fetched(Normalised({})), Fetched(Normalised({"other": []}))],
    ids=["a crash", "a section is missing", "another register's section"],
)
async def test_our_own_defect_is_a_failure_and_never_no_data(services, me, defect):
    await fetching(defect).refresh(services, me)
    found = await entry(services, me)
    assert (found.sections, found.failure) == (None, "internal")


async def test_a_citizen_who_is_no_longer_known_is_not_asked_about(services, me):
    await services.cache.flushall()
    calls = []
    await fetching(DATA, calls).refresh(services, me)
    assert ((await entry(services, me)).failure, calls) == ("citizen_unknown", [])


async def test_what_became_fresh_in_the_meantime_is_not_fetched_again(services, me):
    calls = []
    await fetching(DATA, calls).refresh(services, me)
    await services.leases.acquire(me, "su", MINUTE, CITIZENS_WISH)
    await fetching(DATA, calls).refresh(services, me)
    assert len(calls) == 1
    assert not await still_wanted(services, me)


async def test_of_two_deliveries_at_once_one_fetches(services, me):
    calls = []
    register = fetching(DATA, calls)
    await asyncio.gather(*(register.refresh(services, me) for _ in range(10)))
    assert len(calls) == 1


async def test_what_is_cancelled_is_handed_back_and_sent_again_at_the_next_sweep(services, me):
    began = asyncio.Event()

    async def fetch(services, cpr):
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Register("su", fetch).refresh(services, me))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    assert (await services.leases.overdue("su", MINUTE)).again == (me,)


async def test_what_cannot_be_stored_stays_wanted(services, me, empty_redis):
    empty_redis["cache"].process.kill()
    try:
        await fetching(DATA).refresh(services, me)
    finally:
        empty_redis["cache"].start()
    assert await still_wanted(services, me)


async def test_without_the_coordination_nothing_is_fetched_and_nothing_is_raised(services, me, empty_redis):
    calls = []
    empty_redis["broker"].process.kill()
    try:
        await fetching(DATA, calls).refresh(services, me)
        await fetching(DATA, calls).sweep(services)
    finally:
        empty_redis["broker"].start()
    assert calls == []


async def test_data_with_a_shorter_life_are_asked_for_again_sooner(services, me):
    await fetching(Fetched(DATA.normalised, fresh_for=timedelta(minutes=15))).refresh(services, me)
    fields = await services.cache.hgetall(f"entry:{{{me}}}:su")
    assert int(fields[b"fresh_until"]) - int(fields[b"fetched_at"]) == 15 * 60 * 1000


async def test_a_value_that_was_left_out_is_counted(services, me):
    from registerbro.telemetry.metrics import UNKNOWN_VALUES

    counter = UNKNOWN_VALUES.labels("su", "uddannelsestype")
    before = counter._value.get()
    unknown = (UnknownValue("uddannelsestype", "FRITID"),)
    await fetching(Fetched(Normalised(DATA.normalised.sections, unknown))).refresh(services, me)
    assert counter._value.get() == before + 1


async def test_an_answer_of_which_only_unknown_values_are_left_is_a_failure_and_names_them(services, me):
    await fetching(NothingKnown((UnknownValue("uddannelsestype", "FRITID"),))).refresh(services, me)
    found = await entry(services, me)
    assert (found.sections, found.failure) == (None, "invalid_response")
    assert list((await unknown_values.status(services.coordination))["su"].values) == ["uddannelsestype FRITID"]


async def test_of_an_answer_full_of_unknown_values_ten_are_named_each_once_and_the_others_counted(services, me, logged):
    from registerbro.telemetry.metrics import UNKNOWN_VALUES

    counter = UNKNOWN_VALUES.labels("su", "uddannelsestype")
    before = counter._value.get()
    unknown = tuple(UnknownValue("uddannelsestype", f"TYPE {n}") for n in range(500)) * 2
    await fetching(Fetched(Normalised(DATA.normalised.sections, unknown))).refresh(services, me)
    assert counter._value.get() == before + 1000
    named = [line["value"] for line in logged if line["event"] == "unknown_value_left_out"]
    assert named == [f"TYPE {n}" for n in range(10)]
    assert [line["more"] for line in logged if line["event"] == "unknown_values_left_out"] == [490]


def without(*left_out):
    """The data, from an answer of which these had to be left out."""
    return Fetched(Normalised(DATA.normalised.sections, left_out=left_out))


SOME = without(LeftOut("period", "report 3"), LeftOut("income_type", "report 9"), LeftOut("period", "report 17"))


async def partial(services):
    return (await partial_answers.status(services.coordination, ["su"]))["su"]


async def test_an_answer_of_which_items_were_left_out_is_stored_as_any_other(services, me):
    await fetching(SOME).refresh(services, me)
    assert (await entry(services, me)).sections == {"su_attempts": [{"count": 2}]}
    assert (await entry(services, me)).failure is None
    assert not await still_wanted(services, me)


async def test_items_that_were_left_out_are_counted_by_kind(services, me):
    from registerbro.telemetry.metrics import ITEMS_LEFT_OUT

    counters = [ITEMS_LEFT_OUT.labels("su", kind) for kind in ("period", "income_type")]
    before = [counter._value.get() for counter in counters]
    await fetching(SOME).refresh(services, me)
    assert [counter._value.get() for counter in counters] == [before[0] + 2, before[1] + 1]


async def test_items_that_were_left_out_are_one_line_that_says_where_they_stood(services, me, logged):
    await fetching(SOME).refresh(services, me)
    (line,) = (line for line in logged if line["event"] == "items_left_out")
    assert line == {
        "event": "items_left_out", "log_level": "warning", "register": "su", "citizen": me, "number": 3,
        "kinds": {"period": 2, "income_type": 1},
        "places": {"period": ["report 3", "report 17"], "income_type": ["report 9"]},
    }  # fmt: skip


async def test_of_thousands_of_items_the_line_and_the_note_are_as_short_as_of_a_few(services, me, logged):
    await fetching(without(*(LeftOut("period", f"report {n}") for n in range(50_000)))).refresh(services, me)
    (line,) = (line for line in logged if line["event"] == "items_left_out")
    assert (line["number"], line["kinds"]) == (50_000, {"period": 50_000})
    assert line["places"] == {"period": ["report 0", "report 1", "report 2"]}
    assert len(await services.coordination.hgetall("partial:su")) == 3
    assert (await partial(services)).items == 50_000


async def test_after_an_answer_with_items_left_out_the_register_is_partial_for_an_hour(services, me):
    assert await partial(services) is None
    await fetching(SOME).refresh(services, me)
    found = await partial(services)
    assert (found.items, found.kinds, found.since) == (3, {"income_type": 1, "period": 2}, found.last)
    assert 3_500_000 < await services.coordination.pttl("partial:su") <= 3_600_000


async def test_what_is_noted_of_a_partial_register_holds_nothing_of_the_citizen(services, me):
    await fetching(SOME).refresh(services, me)
    noted = await services.coordination.hgetall("partial:su")
    assert set(noted) == {b"since", b"last", b"kind:period", b"kind:income_type"}
    assert all(value.isdigit() for value in noted.values())


async def test_a_whole_answer_leaves_what_is_noted_as_it_is(services, me):
    await fetching(SOME).refresh(services, me)
    before = await partial(services)
    await services.entries.outdate(me, "su")
    await services.leases.acquire(me, "su", MINUTE, CITIZENS_WISH)
    await fetching(DATA).refresh(services, me)
    assert await partial(services) == before


async def test_an_answer_that_is_whole_says_nothing(services, me, logged):
    await fetching(DATA).refresh(services, me)
    assert await partial(services) is None
    assert [line for line in logged if line["event"] == "items_left_out"] == []


async def test_what_cannot_be_noted_fails_no_refresh_and_one_line_says_so(services, me, logged):
    await services.coordination.set("partial:su", "not a hash")
    await fetching(SOME).refresh(services, me)
    assert (await entry(services, me)).sections == {"su_attempts": [{"count": 2}]}
    assert not await still_wanted(services, me)
    assert [line["register"] for line in logged if line["event"] == "partial_answer_not_noted"] == ["su"]


async def test_an_answer_with_items_left_out_is_stored_though_the_coordination_is_gone(services, me, empty_redis):
    async def fetch(services, cpr):
        empty_redis["broker"].process.kill()
        return SOME

    try:
        await Register("su", fetch).refresh(services, me)
    finally:
        empty_redis["broker"].start()
    assert (await entry(services, me)).sections == {"su_attempts": [{"count": 2}]}


@pytest.mark.parametrize("argument", ["6102991234", "", None, 7])
async def test_a_task_whose_argument_is_no_citizen_id_is_refused(app, argument, logged):
    await app.tasks["su.refresh"].run(argument)
    assert [line["event"] for line in logged] == ["task_refused"]


def test_a_register_without_a_queue_cannot_be_made():
    with pytest.raises(ValueError, match="has no queue"):
        Register("nemid", None)
