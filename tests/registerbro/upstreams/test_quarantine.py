"""Quarantine over a real ledger: known before each call, nearly always from memory, and never taken for granted."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

import pytest

from config.settings import AdmissionSettings
from redis_admission import Override, OverrideOrder
from registerbro.storage.ledger.overrides import Overrides
from registerbro.storage.ledger.quarantine import Entry, Quarantine
from registerbro.upstreams import errors, quarantine
from registerbro.upstreams.admission import UpstreamAdmission
from registerbro.upstreams.quarantine import KNOWN_FOR, Watch

ME, OTHER, MY_OLDER_ID = "a" * 52, "b" * 52, "c" * 52
AT = 1_700_000_000_000
QUICK = timedelta(milliseconds=10)
PATIENCE = 30
"""Seconds after which a test that would wait for ever fails instead."""


@pytest.fixture(autouse=True)
def patient_admission(monkeypatch):
    """A busy machine's Redis is no Redis that is away."""
    monkeypatch.setattr("registerbro.upstreams.admission.REDIS_TIMEOUT", 20.0)
    monkeypatch.setattr(quarantine, "READ_WITHIN", 20.0)


class Counting(Quarantine):
    """The ledger's, which counts how often it is read."""

    def __init__(self, redis):
        super().__init__(redis)
        self.reads = 0

    async def held(self, upstream):
        self.reads += 1
        return await super().held(upstream)


@pytest.fixture
def kept(ledger):
    return Counting(ledger)


@pytest.fixture
def clock():
    """Seconds, which only a test moves on: a list of one."""
    return [1000.0]


@pytest.fixture
def watch(kept, clock):
    return Watch(kept, "udb", lambda: clock[0])


@pytest.fixture
def make_guard(coordination, ledger):
    """Makes what a process has for one upstream; several are several processes."""

    def make(**settings):
        watch = Watch(Quarantine(ledger), "udb")
        attempt = timedelta(seconds=5)
        return UpstreamAdmission.of(
            "udb", AdmissionSettings(**settings), coordination, Overrides(ledger), attempt=attempt, watch=watch
        )

    return make


async def call(guard, citizen_ids=(), error=None):
    with quarantine.about(citizen_ids):
        permit = await guard.enter(is_retry=False)
        await guard.record(permit, error, QUICK)


async def is_held(guard, citizen_ids=(ME,)):
    """Whether a call about this citizen is refused for quarantine."""
    try:
        await call(guard, citizen_ids)
    except errors.Quarantined:
        return True
    return False


# --- What the ledger has ----------------------------------------------------------------------------------------------


async def test_who_is_in_is_told_by_register_with_the_longest_held_first(kept):
    await kept.put("su", ME, AT)
    await kept.put("udb", ME, AT + 2)
    await kept.put("udb", OTHER, AT + 1)
    now = datetime.fromtimestamp(AT / 1000, UTC)
    millisecond = timedelta(milliseconds=1)
    assert await kept.entries(["udb", "su", "ydelse"]) == [
        Entry("udb", OTHER, now + millisecond),
        Entry("udb", ME, now + 2 * millisecond),
        Entry("su", ME, now),
    ]
    assert await kept.count(["udb", "su", "ydelse"]) == {"udb": 2, "su": 1, "ydelse": 0}


async def test_who_is_in_stays_in_since_the_first_time(kept):
    await kept.put("udb", ME, AT)
    await kept.put("udb", ME, AT + 1)
    assert await kept.held("udb") == {ME: AT}


async def test_a_release_is_of_one_citizen_at_one_register(kept):
    for upstream, who in (("udb", ME), ("udb", OTHER), ("su", ME)):
        await kept.put(upstream, who, AT)
    assert await kept.release("udb", ME)
    assert not await kept.release("udb", ME)
    assert (await kept.held("udb"), await kept.held("su")) == ({OTHER: AT}, {ME: AT})


async def test_of_a_citizen_who_is_erased_nothing_is_left(kept, ledger):
    for upstream, who in (("udb", ME), ("udb", MY_OLDER_ID), ("su", MY_OLDER_ID), ("udb", OTHER)):
        await kept.put(upstream, who, AT)
    assert await kept.erase((ME, MY_OLDER_ID), ["udb", "su", "ydelse"]) == 2
    assert (await kept.held("udb"), await kept.held("su")) == ({OTHER: AT}, {})
    assert not await ledger.exists("quarantine:su")


# --- What a process knows ---------------------------------------------------------------------------------------------


async def test_nobody_in_quarantine_costs_the_ledger_one_read_a_second(watch, kept, clock):
    for _ in range(100):
        await watch.check((ME,), 1)
    assert kept.reads == 1
    clock[0] += KNOWN_FOR
    await watch.check((ME,), 1)
    assert kept.reads == 1
    clock[0] += 0.001
    await watch.check((ME,), 1)
    assert kept.reads == 2


async def test_calls_that_begin_together_read_it_once(watch, kept):
    await asyncio.gather(*(watch.check((ME,), 1) for _ in range(50)))
    assert kept.reads == 1


async def test_in_another_generation_it_is_read_anew_at_once(watch, kept):
    await watch.check((ME,), 1)
    await kept.put("udb", ME, AT)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME,), 2)
    await watch.check((OTHER,), 2)
    assert not await kept.held("su")


@pytest.mark.parametrize("generation", [1, None])
async def test_who_was_let_go_is_asked_about_at_once(watch, kept, generation):
    await kept.put("udb", ME, AT)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME,), generation)
    await kept.release("udb", ME)
    await watch.check((ME,), generation)


async def test_a_process_that_put_somebody_in_knows_it_at_once(watch, kept):
    await watch.check((ME,), 1)
    await watch.put(ME, AT)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME,), 1)
    assert await kept.held("udb") == {ME: AT}


async def test_by_an_older_id_a_citizen_is_found_and_has_the_newest_from_then_on(watch, kept):
    await kept.put("udb", MY_OLDER_ID, AT)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME, MY_OLDER_ID), 1)
    assert await kept.held("udb") == {ME: AT}
    with pytest.raises(errors.Quarantined):
        await watch.check((ME,), 1)


@pytest.fixture
def silent_ledger(empty_redis):
    """Ends the ledger, until the test is over."""
    ended = []

    def end():
        ended.append(empty_redis["ledger"].process)
        empty_redis["ledger"].process.kill()

    yield end
    if ended:
        empty_redis["ledger"].start()


async def test_without_the_ledger_what_is_known_in_this_generation_still_holds(watch, kept, clock, silent_ledger):
    await kept.put("udb", ME, AT)
    await watch.check((OTHER,), 1)
    silent_ledger()
    clock[0] += 3600
    await watch.check((OTHER,), 1)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME,), 1)


@pytest.mark.parametrize(("before", "now"), [(1, 2), (1, None), (None, None), ("never", 1)])
async def test_without_the_ledger_what_is_not_known_leads_to_no_call(watch, clock, silent_ledger, logged, before, now):
    if before != "never":
        await watch.check((OTHER,), before)
    silent_ledger()
    clock[0] += KNOWN_FOR + 1
    with pytest.raises(errors.QuarantineUnknown):
        await watch.check((OTHER,), now)
    assert [(line["event"], line["log_level"]) for line in logged] == [("quarantine_not_known", "error")]


async def test_a_frozen_ledger_is_not_waited_for(watch, empty_redis, monkeypatch):
    monkeypatch.setattr(quarantine, "READ_WITHIN", 0.05)
    empty_redis["ledger"].process.signal(signal.SIGSTOP)
    try:
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(errors.QuarantineUnknown):
                await watch.check((ME,), 1)
    finally:
        empty_redis["ledger"].process.signal(signal.SIGCONT)


async def test_who_cannot_be_written_down_is_told_of_and_written_as_soon_as_the_ledger_is_back(
    watch, kept, empty_redis, logged, monkeypatch
):
    monkeypatch.setattr(quarantine, "WRITE_AGAIN_AFTER", 0.01)
    await watch.check((ME,), 1)
    empty_redis["ledger"].process.kill()
    try:
        await watch.put(ME, AT)
        await watch.put(OTHER, AT + 1)
        with pytest.raises(errors.Quarantined):
            await watch.check((ME,), 1)
    finally:
        empty_redis["ledger"].start()
    async with asyncio.timeout(PATIENCE):
        await watch._writing
    assert await kept.held("udb") == {ME: AT, OTHER: AT + 1}
    told = [(line["log_level"], line["citizen"]) for line in logged if line["event"] == "quarantine_not_on_ledger"]
    assert told == [("critical", ME), ("critical", OTHER)]
    assert logged[-1]["event"] == "quarantine_on_ledger_again"


# --- At the door ------------------------------------------------------------------------------------------------------


async def lifted(guard):
    await guard.set_override(None)


async def test_who_caused_it_is_not_asked_about_after_the_cut_is_lifted_and_everybody_else_is(make_guard, kept):
    one, other = make_guard(), make_guard()
    await call(other, (ME,))
    await call(one, (ME, MY_OLDER_ID), errors.WrongPerson())
    for guard in (one, other):
        with pytest.raises(errors.CircuitOpen):
            await call(guard, (OTHER,))
    await lifted(make_guard())
    for guard in (one, other, make_guard()):
        assert await is_held(guard)
        await call(guard, (OTHER,))
        await call(guard)
    assert list(await kept.held("udb")) == [ME]


async def test_an_answer_about_another_upstreams_citizen_is_no_matter_here(make_guard, kept):
    await kept.put("su", ME, AT)
    assert not await is_held(make_guard())


async def test_without_a_citizen_nobody_is_put_in(make_guard, kept):
    guard = make_guard()
    await call(guard, (), errors.WrongPerson())
    assert await kept.held("udb") == {}
    with pytest.raises(errors.CircuitOpen):
        await call(guard)


@pytest.mark.parametrize("error", [errors.InvalidResponse(), errors.UpstreamTimeout(), errors.NotAuthorised(), None])
async def test_no_other_end_of_a_call_puts_anybody_in(make_guard, kept, error):
    await call(make_guard(), (ME,), error)
    assert await kept.held("udb") == {}


async def test_that_somebody_is_in_quarantine_takes_no_place_and_says_nothing_of_the_upstream(make_guard, kept):
    await kept.put("udb", ME, AT)
    guard = make_guard(max_in_flight=1)
    for _ in range(20):
        assert await is_held(guard)
    seen = await guard.status()
    assert (seen["in_flight"], seen["calls"], seen.get("state")) == ("0", "0", "closed")
    await call(guard, (OTHER,))


async def test_a_probe_that_is_about_somebody_in_quarantine_leaves_its_place_to_another(make_guard, kept):
    guard = make_guard(probes=1, consecutive_failures=1, open_for=timedelta(milliseconds=1))
    await call(guard, (OTHER,), errors.UpstreamTimeout())
    await kept.put("udb", ME, AT)
    await asyncio.sleep(0.01)
    assert await is_held(guard)
    await call(guard, (OTHER,))
    assert (await guard.status())["state"] == "closed"


async def test_it_outlives_an_empty_coordination_and_an_override_of_another_sort(make_guard, coordination):
    guard = make_guard()
    await call(guard, (ME,), errors.WrongPerson())
    await coordination.flushall()
    with pytest.raises(errors.CircuitOpen):
        await call(guard, (ME,))
    await guard.set_override(OverrideOrder(Override.DISABLED, "me", AT, "why"))
    assert await is_held(guard)
    await coordination.flushall()
    assert await is_held(guard)
    assert await is_held(make_guard())


async def test_without_the_coordination_the_ledger_is_asked(make_guard, kept, empty_redis):
    guard = make_guard()
    await kept.put("udb", ME, AT)
    empty_redis["broker"].process.kill()
    try:
        assert await is_held(guard)
        await call(guard, (OTHER,))
    finally:
        empty_redis["broker"].start()


async def test_when_it_cannot_be_known_no_place_is_kept(make_guard, silent_ledger):
    guard = make_guard()
    await call(guard)
    silent_ledger()
    for _ in range(3):
        with pytest.raises(errors.QuarantineUnknown):
            await call(guard, (ME,))
    assert (await guard.status())["in_flight"] == "0"
    await call(guard)


def test_a_block_is_about_nobody_but_its_own_citizen():
    with quarantine.about((ME,)):
        with quarantine.about((OTHER, MY_OLDER_ID)):
            assert quarantine.concerned() == (OTHER, MY_OLDER_ID)
        assert quarantine.concerned() == (ME,)
    assert quarantine.concerned() == ()


def test_only_of_those_in_quarantine_others_may_still_be_asked_about():
    assert [kind.of_all for kind in (errors.Quarantined, errors.QuarantineUnknown, errors.CircuitOpen)] == [
        False, True, True,
    ]  # fmt: skip


async def test_a_citizen_gets_the_newest_id_and_loses_the_old_one_in_one_transaction(kept, ledger):
    """A process that ends in between would leave them with neither, or with both."""
    await kept.put("udb", MY_OLDER_ID, AT)
    before = (await ledger.info("commandstats")).get("cmdstat_multi", {"calls": 0})["calls"]
    await kept.rename("udb", MY_OLDER_ID, ME, AT)
    assert (await ledger.info("commandstats"))["cmdstat_multi"]["calls"] == before + 1
    assert await kept.held("udb") == {ME: AT}


async def test_a_rename_that_the_ledger_does_not_take_is_told_of_with_its_failure(watch, kept, logged, monkeypatch):
    async def gone(*_):
        raise ConnectionError

    await kept.put("udb", MY_OLDER_ID, AT)
    monkeypatch.setattr(kept, "rename", gone)
    with pytest.raises(errors.Quarantined):
        await watch.check((ME, MY_OLDER_ID), 1)
    told = {"upstream": "udb", "detail": "ConnectionError"}
    assert logged == [{"event": "quarantine_not_renamed", "log_level": "warning"} | told]


async def test_an_entry_that_the_ledger_does_not_take_is_told_of_with_its_failure(watch, silent_ledger, logged):
    silent_ledger()
    await watch.put(ME, AT)
    told = {"upstream": "udb", "citizen": ME, "detail": "ConnectionError"}
    assert logged == [{"event": "quarantine_not_on_ledger", "log_level": "critical"} | told]
    watch._writing.cancel()


async def test_a_fetch_that_is_cancelled_while_the_ledger_is_slow_puts_its_citizen_in_all_the_same(
    make_guard, kept, monkeypatch
):
    guard, begun = make_guard(), asyncio.Event()

    async def slow(*_):
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(guard.controller._overrides, "put", slow)
    fetching = asyncio.create_task(call(guard, (ME,), errors.WrongPerson()))
    await begun.wait()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert list(await kept.held("udb")) == [ME]
