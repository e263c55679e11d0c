"""Fault reports when the ledger's clock is set: none waits for it, none ends by it, none is sent twice for it."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.settings import BookingVendorSettings
from redis_admission.clock import LATE
from registerbro.fault_reports.model import Content, State, TooManyReports
from registerbro.fault_reports.outbox import UNWATCHED, Outbox
from registerbro.storage.ledger.connection import Ledger
from registerbro.storage.sealing.sealer import Sealer
from tests.registerbro.fault_reports.conftest import ME
from tests.support import examples

LEASE = timedelta(seconds=15)
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
LONGEST_WAIT, TURN = 3 * HOUR, HOUR // 6


class World:
    """The ledger's clock, which may be set, and the time that passes, which beat's rounds see."""

    def __init__(self, ledger):
        self._ledger = ledger
        self.server, self.passed = 1_678_695_300_000, 0
        self.watching = self.process()
        self._keys = iter(range(10**6))

    def process(self):
        return Outbox(
            self._ledger,
            Sealer([b"k" * 32]),
            lambda: (b"a pepper for tests alone",),
            BookingVendorSettings(),
            lambda: self.server,
            monotonic=lambda: self.passed,
        )

    def pass_(self, ms):
        self.server += ms
        self.passed += ms

    async def accept(self, outbox=None):
        return (await (outbox or self.watching).accept((ME,), Content("Kan ikke"), f"key-{next(self._keys)}")).id

    async def state(self, report_id):
        return (await self.watching.record(report_id)).state


@pytest.fixture
async def world(ledger):
    it = World(ledger)
    assert await it.watching.take_due() == ()
    return it


@pytest.mark.parametrize("ahead", [HOUR, 8 * DAY])
@pytest.mark.parametrize("begins_ahead", [True, False])
async def test_what_was_accepted_while_the_clock_was_ahead_is_sent_at_once(ledger, ahead, begins_ahead):
    world = World(ledger)
    if begins_ahead:
        world.server += ahead
        assert await world.watching.take_due() == ()
    else:
        assert await world.watching.take_due() == ()
        world.server += ahead
    report_id = await world.accept()
    world.server -= ahead
    assert await world.watching.begin_delivery(report_id, LEASE)


@pytest.mark.parametrize("back", [HOUR, 8 * DAY])
async def test_a_clock_that_is_set_back_delays_nothing(world, back):
    lost, waits = await world.accept(), await world.accept()
    await world.watching.postpone(await world.watching.begin_delivery(waits, LEASE), "timeout")
    world.server -= back
    world.pass_(21 * SECOND)
    assert set(await world.watching.take_due()) == {lost, waits}
    for report_id in (lost, waits):
        assert await world.watching.deliver(await world.watching.begin_delivery(report_id, LEASE), "FM-1")


@pytest.mark.parametrize("watches", [True, False])
async def test_one_glance_eight_days_ahead_ends_no_report(world, watches):
    report_id = await world.accept()
    sending = await world.watching.begin_delivery(report_id, LEASE)
    world.server += 8 * DAY
    outbox = world.watching if watches else world.process()
    assert await outbox.postpone(sending, "timeout") is State.ACCEPTED
    world.server -= 8 * DAY
    world.pass_(7 * SECOND)
    assert await world.watching.begin_delivery(report_id, LEASE)


@pytest.mark.parametrize("watches", [True, False])
async def test_one_glance_a_year_ahead_removes_no_dead_letter_and_erases_no_text(world, watches):
    letters = [await world.accept() for _ in range(2)]
    await world.watching.reject(await world.watching.begin_delivery(letters[0], LEASE), "bad_request")
    await world.watching.deliver(await world.watching.begin_delivery(letters[1], LEASE), "FM-1")
    world.server += 365 * DAY
    outbox = world.watching if watches else world.process()
    tidied = await outbox.tidy()
    assert (tidied.texts, tidied.reports) == (0, 0)
    assert [(await world.watching.contents(letter))[0] for letter in letters] == [Content("Kan ikke")] * 2


@pytest.mark.parametrize("watches", [True, False])
@pytest.mark.parametrize("step", [-8 * DAY, -HOUR, HOUR, 8 * DAY])
async def test_a_report_that_is_being_sent_is_not_sent_by_another_because_of_a_step(world, watches, step):
    report_id = await world.accept()
    sending = await world.watching.begin_delivery(report_id, LEASE)
    world.server += step
    other = world.watching if watches else world.process()
    assert await other.take_due() == ()
    assert await other.begin_delivery(report_id, LEASE) is None
    assert await world.watching.deliver(sending, "FM-1")


@pytest.mark.parametrize("step", [-8 * DAY, -HOUR, HOUR, 8 * DAY])
async def test_a_killed_sender_is_inherited_after_its_lease_and_not_after_the_step(world, step):
    report_id = await world.accept()
    await world.watching.begin_delivery(report_id, LEASE)
    world.server += step
    await world.watching.take_due()
    world.pass_(15 * SECOND + 20)
    assert await world.watching.take_due() == (report_id,)
    assert await world.watching.begin_delivery(report_id, LEASE)


@pytest.mark.parametrize("step", [-8 * DAY, -HOUR, HOUR, 8 * DAY])
async def test_a_halt_is_as_long_as_it_was_to_be_and_told_by_the_clock_as_it_is_set(world, step):
    report_id = await world.accept()
    sending = await world.watching.begin_delivery(report_id, LEASE)
    await world.watching.release(sending, "not_authorised", halt=timedelta(minutes=15))
    world.server += step
    until = await world.watching.halted_until()
    assert abs(until.timestamp() * 1000 - world.server - 900 * SECOND) <= LATE + 1
    world.pass_(899 * SECOND - 2 * LATE)
    assert await world.watching.begin_delivery(report_id, LEASE) is None
    world.pass_(SECOND + 2 * LATE + 1000)
    assert await world.watching.halted_until() is None
    assert await world.watching.begin_delivery(report_id, LEASE)


@pytest.mark.parametrize("step", [-8 * DAY, -HOUR, HOUR, 8 * DAY])
async def test_the_hourly_limit_is_an_hours(world, step):
    for _ in range(10):
        await world.accept()
    world.server += step
    with pytest.raises(TooManyReports) as caught:
        await world.accept()
    assert caught.value.retry_after <= timedelta(hours=1)
    world.pass_(HOUR + 5 * SECOND)
    await world.accept()


async def test_what_is_told_is_by_the_clock_as_it_is_set(world):
    report_id = await world.accept()
    world.server -= HOUR
    world.pass_(SECOND)
    sending = await world.watching.begin_delivery(report_id, LEASE)
    record = await world.watching.record(report_id)
    assert abs(record.due_at.timestamp() * 1000 - world.server - 15 * SECOND) <= 1
    assert abs(record.give_up_at.timestamp() * 1000 - world.server - 7 * DAY + SECOND) <= 1
    assert record.attempts[0].at.timestamp() * 1000 == world.server
    assert sending.accepted_at == record.accepted_at
    assert (await world.watching.stats()).oldest_undelivered <= timedelta(seconds=1)


async def test_after_a_night_without_anybody_reports_go_on_from_where_they_were(world):
    report_id = await world.accept()
    for _ in range(4):
        record = await world.watching.record(report_id)
        world.pass_(max(0, round(record.due_at.timestamp() * 1000) - world.server))
        await world.watching.postpone(await world.watching.begin_delivery(report_id, LEASE), "timeout")
    world.pass_(12 * HOUR)
    heir = world.process()
    assert await heir.begin_delivery(report_id, LEASE) is None
    world.pass_(15 * SECOND)
    assert await heir.begin_delivery(report_id, LEASE)


async def test_seven_days_that_somebody_saw_pass_are_enough(world):
    report_id = await world.accept()
    for _ in range(8):
        world.pass_(DAY)
        await world.watching.take_due()
    sending = await world.watching.begin_delivery(report_id, LEASE)
    assert await world.watching.postpone(sending, "timeout") is State.GAVE_UP


STEPS = st.sampled_from([-8 * DAY, -HOUR, -SECOND, SECOND, HOUR, 8 * DAY, 100 * DAY])
DEEDS = st.one_of(
    st.tuples(st.just("step"), STEPS),
    st.tuples(st.just("pass_"), st.integers(1, 20 * SECOND)),
    st.tuples(st.sampled_from(["accept", "begin", "postpone", "release", "tidy", "restart"])),
)


class History:
    """What happens to reports, with a look of beat's between all deeds."""

    def __init__(self, world):
        self.world = world
        self.accepted, self.sending, self.leased_until = [], {}, {}
        self.unseen = 0
        """As much as may have counted as passed by the steps so far, and has not."""

    async def do(self, deed, *amount):
        await getattr(self, deed)(*amount)
        await self.world.watching.take_due()

    async def step(self, amount):
        self.world.server += amount
        self.unseen += LATE + UNWATCHED / timedelta(milliseconds=1)

    async def pass_(self, amount):
        self.world.pass_(amount)
        # By what two clocks may run differently.
        self.unseen += amount / 500 + 2

    async def restart(self):
        self.world.watching = self.world.process()

    async def tidy(self):
        assert (await self.world.watching.tidy()).reports == 0

    async def accept(self):
        # More are not taken within an hour.
        if len(self.accepted) < 10:
            self.accepted.append(await self.world.accept())

    async def begin(self):
        for report_id in self.accepted:
            begun = await self.world.watching.begin_delivery(report_id, LEASE)
            if begun:
                assert self.world.passed >= self.leased_until.get(report_id, 0) - self.unseen
                self.sending[report_id] = begun
                self.leased_until[report_id] = self.world.passed + 15 * SECOND

    async def postpone(self):
        await self._end(self.world.watching.postpone)

    async def release(self):
        await self._end(self.world.watching.release)

    async def _end(self, end):
        if self.sending:
            report_id, sending = self.sending.popitem()
            assert await end(sending, "timeout") in {State.ACCEPTED, None}
            self.leased_until.pop(report_id, None)

    async def all_are_delivered(self):
        for report_id in self.accepted:
            assert await self.world.state(report_id) in {State.ACCEPTED, State.SENDING}
        waited = 0
        while self.accepted:
            assert waited <= LONGEST_WAIT + self.unseen + TURN
            for report_id in list(self.accepted):
                begun = await self.world.watching.begin_delivery(report_id, LEASE)
                if begun:
                    assert await self.world.watching.deliver(begun, "FM-1")
                    self.accepted.remove(report_id)
            self.world.pass_(TURN)
            waited += TURN


@hypothesis_settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(DEEDS, max_size=40))
def test_however_the_clock_is_set_no_report_is_lost_or_ended_and_all_are_sent_soon(empty_redis, deeds):
    async def run():
        with empty_redis["ledger"].client() as client:
            client.flushall()
        ledger = Ledger(empty_redis["ledger"].url)
        try:
            history = History(World(ledger))
            for deed in deeds:
                await history.do(*deed)
            await history.all_are_delivered()
        finally:
            await ledger.close()

    asyncio.run(run())
