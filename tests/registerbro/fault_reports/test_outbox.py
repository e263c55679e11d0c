"""The outbox: what was accepted is there, is sent by one at a time, and ends in exactly one state."""

import asyncio
from datetime import timedelta

import pytest

from registerbro.fault_reports import outbox as module
from registerbro.fault_reports.model import (
    DEAD_LETTERS,
    FOR_OPERATORS,
    Content,
    IdempotencyKeyReused,
    LeftToOperator,
    State,
    TooManyReports,
    UnknownReport,
    WrongState,
)
from registerbro.fault_reports.outbox import Outbox
from registerbro.fault_reports.stored_form import report_key
from registerbro.storage.ledger.connection import Ledger, NotYetOnDisk
from registerbro.storage.sealing.sealer import Sealer, Unreadable
from tests.registerbro.fault_reports.conftest import ME, OTHER

LEASE = timedelta(seconds=15)
SECRET = "Min læge hedder Ærø 😀"


async def sent_to_its_end(outbox, accept, end):
    report = await accept()
    sending = await outbox.begin_delivery(report.id, LEASE)
    await end(sending)
    return report.id


async def rejected(outbox, accept):
    return await sent_to_its_end(outbox, accept, lambda sending: outbox.reject(sending, "bad_request", b"no"))


async def gave_up(outbox, accept, clock):
    async def end(sending):
        clock.pass_(days=7)
        await outbox.postpone(sending, "timeout")

    return await sent_to_its_end(outbox, accept, end)


async def delivered(outbox, accept):
    return await sent_to_its_end(outbox, accept, lambda sending: outbox.deliver(sending, "FM-1"))


async def test_what_is_accepted_is_due_at_once_and_opens_to_what_was_written(outbox):
    written = Content(SECRET, "/moedebooking", "4769")
    report = await outbox.accept((ME,), written, "k")
    sending = await outbox.begin_delivery(report.id, LEASE)
    assert outbox.open(sending) == written
    assert sending.accepted_at == report.accepted_at


async def test_nothing_of_a_text_is_readable_in_the_ledger(outbox, ledger):
    await outbox.accept((ME,), Content(SECRET, "/moedebooking"), "k")
    for key in await ledger.redis.keys():
        stored = str(await ledger.redis.dump(key)).encode().decode("unicode_escape", "replace")
        assert "moedebooking" not in stored
        assert "hedder" not in stored


async def test_a_sealed_text_that_is_moved_to_another_report_does_not_open(outbox, ledger, accept):
    mine, other = await accept(), await accept(citizen=OTHER)
    content = await ledger.redis.hget(report_key(mine.id), "content")
    await ledger.redis.hset(report_key(other.id), "content", content)
    with pytest.raises(Unreadable):
        outbox.open(await outbox.begin_delivery(other.id, LEASE))


async def test_the_same_key_and_text_give_the_first_answer(outbox, accept, clock):
    first = await accept(key="k")
    clock.pass_(hours=5)
    again = await accept(key="k")
    assert (again.id, again.accepted_at, again.again) == (first.id, first.accepted_at, True)
    assert len(await outbox.records([State.ACCEPTED])) == 1


async def test_the_same_key_with_another_text_is_refused(accept):
    await accept(key="k")
    with pytest.raises(IdempotencyKeyReused):
        await accept("Noget andet", key="k")


async def test_two_citizens_may_use_the_same_key(accept):
    assert (await accept(key="k")).id != (await accept("Noget andet", key="k", citizen=OTHER)).id


async def test_of_many_at_the_same_moment_with_the_same_key_one_report_comes(outbox, accept):
    answers = await asyncio.gather(*(accept(key="k") for _ in range(20)))
    assert len({answer.id for answer in answers}) == 1
    assert [answer.again for answer in answers].count(False) == 1
    assert len(await outbox.records([State.ACCEPTED])) == 1


async def test_the_eleventh_report_within_an_hour_is_refused_with_the_time_to_wait(accept, clock):
    for _ in range(10):
        await accept()
        clock.pass_(minutes=1)
    with pytest.raises(TooManyReports) as caught:
        await accept()
    assert caught.value.retry_after == timedelta(minutes=50)
    await accept(citizen=OTHER)
    clock.pass_(minutes=50)
    await accept()


async def test_a_second_click_does_not_count_towards_the_limit(accept):
    for _ in range(15):
        await accept(key="k")
    for _ in range(9):
        await accept()


async def test_of_two_workers_one_sends(outbox, accept):
    report = await accept()
    begun = await asyncio.gather(*(outbox.begin_delivery(report.id, LEASE) for _ in range(10)))
    assert sum(sending is not None for sending in begun) == 1


async def test_a_killed_senders_lease_ages_out_and_another_sends(outbox, accept, clock):
    report = await accept()
    dead = await outbox.begin_delivery(report.id, LEASE)
    clock.pass_(seconds=14)
    assert await outbox.begin_delivery(report.id, LEASE) is None
    clock.pass_(seconds=1)
    assert await outbox.take_due() == (report.id,)
    assert await outbox.begin_delivery(report.id, LEASE)
    assert await outbox.postpone(dead, "timeout") is None
    assert await outbox.reject(dead, "bad_request") is None
    assert await outbox.release(dead, "cancelled") is None
    assert (await outbox.record(report.id)).state is State.SENDING


async def test_a_late_delivery_counts_and_its_heir_changes_nothing(outbox, accept, clock):
    report = await accept()
    dead = await outbox.begin_delivery(report.id, LEASE)
    clock.pass_(seconds=15)
    heir = await outbox.begin_delivery(report.id, LEASE)
    assert await outbox.deliver(dead, "FM-1")
    assert await outbox.postpone(heir, "timeout") is None
    assert not await outbox.deliver(heir, "FM-1")
    record = await outbox.record(report.id)
    assert (record.state, record.case) == (State.DELIVERED, "FM-1")


async def test_a_late_delivery_takes_a_dead_letter_back(outbox, accept, clock):
    report = await accept()
    dead = await outbox.begin_delivery(report.id, LEASE)
    clock.pass_(seconds=15)
    await outbox.reject(await outbox.begin_delivery(report.id, LEASE), "bad_request")
    assert await outbox.deliver(dead, "FM-1")
    assert await outbox.records(DEAD_LETTERS) == []


async def test_what_ended_is_never_sent_again(outbox, accept, clock):
    ids = {await delivered(outbox, accept), await rejected(outbox, accept), await gave_up(outbox, accept, clock)}
    clock.pass_(days=30)
    assert await outbox.take_due() == ()
    assert [await outbox.begin_delivery(report_id, LEASE) for report_id in ids] == [None] * 3


async def test_waits_grow_as_two_to_the_n_less_one_up_to_three_hours(outbox, accept, clock):
    report = await accept()
    waits = []
    for _ in range(16):
        sending = await outbox.begin_delivery(report.id, LEASE)
        await outbox.postpone(sending, "unavailable")
        due = (await outbox.record(report.id)).due_at
        waits.append(round(due.timestamp() * 1000 - clock.now) / 1000)
        clock.pass_(seconds=waits[-1])
    assert waits == [min(2**n - 1, 3 * 3600) for n in range(1, 17)]


@pytest.mark.parametrize(("asked", "waited"), [(0, 1), (0.5, 1), (90, 90), (86_400, 86_400)])
async def test_a_longer_retry_after_is_respected(outbox, accept, clock, asked, waited):
    report = await accept()
    sending = await outbox.begin_delivery(report.id, LEASE)
    await outbox.postpone(sending, "rate_limited", retry_after=timedelta(seconds=asked))
    clock.pass_(seconds=waited, milliseconds=-1)
    assert await outbox.begin_delivery(report.id, LEASE) is None
    clock.pass_(milliseconds=1)
    assert await outbox.begin_delivery(report.id, LEASE)


async def test_after_seven_days_a_last_attempt_is_made_and_then_it_is_given_up(outbox, accept, clock):
    report, began = await accept(), clock.now
    state = State.ACCEPTED
    while state is State.ACCEPTED:
        clock.now = round((await outbox.record(report.id)).due_at.timestamp() * 1000)
        state = await outbox.postpone(await outbox.begin_delivery(report.id, LEASE), "unavailable", b"nede")
    record = await outbox.record(report.id)
    assert timedelta(milliseconds=clock.now - began) == timedelta(days=7)
    assert (record.state, record.reason, record.attempts[-1].outcome) == (State.GAVE_UP, "unavailable", "unavailable")
    assert [found.id for found in await outbox.records(DEAD_LETTERS)] == [report.id]
    assert (await outbox.contents(report.id))[1] == "nede"


async def test_what_is_due_is_given_to_one_caller_and_to_another_when_nobody_begins(outbox, accept, clock):
    report = await accept()
    assert await outbox.take_due() == ()  # its message is on its way
    clock.pass_(seconds=20)
    taken = await asyncio.gather(*(outbox.take_due() for _ in range(5)))
    assert [ids for ids in taken if ids] == [(report.id,)]
    clock.pass_(seconds=20)
    assert await outbox.take_due() == (report.id,)


async def test_while_sending_is_halted_nothing_is_sent_and_nothing_is_lost(outbox, accept, clock):
    first, second = await accept(), await accept()
    assert await outbox.halted_until() is None
    await outbox.release(await outbox.begin_delivery(first.id, LEASE), "not_authorised", halt=timedelta(minutes=15))
    clock.pass_(minutes=14)
    assert await outbox.halted_until()
    assert await outbox.take_due() == ()
    assert await outbox.begin_delivery(second.id, LEASE) is None
    clock.pass_(minutes=1)
    assert await outbox.halted_until() is None
    assert set(await outbox.take_due()) == {first.id, second.id}


async def test_a_refused_token_never_makes_a_report_be_given_up(outbox, accept, clock):
    report = await accept()
    clock.pass_(days=8)
    assert await outbox.release(await outbox.begin_delivery(report.id, LEASE), "not_authorised") is State.ACCEPTED


async def test_a_replay_lifts_a_halt_and_sends_at_once(outbox, accept):
    report, other = await accept(), await accept()
    await outbox.release(await outbox.begin_delivery(report.id, LEASE), "not_authorised", halt=timedelta(minutes=15))
    await outbox.replay(other.id)
    assert set(await outbox.take_due()) == {report.id, other.id}


@pytest.mark.parametrize("end", [rejected, gave_up])
async def test_a_dead_letter_is_replayed_with_all_its_time(outbox, accept, clock, end):
    report_id = await end(outbox, accept, *[clock] * (end is gave_up))
    clock.pass_(days=30)
    await outbox.replay(report_id)
    assert await outbox.records(DEAD_LETTERS) == []
    assert await outbox.take_due() == (report_id,)
    assert await outbox.postpone(await outbox.begin_delivery(report_id, LEASE), "timeout") is State.ACCEPTED
    assert len((await outbox.record(report_id)).attempts) == 2


async def test_only_what_waits_or_is_a_dead_letter_can_be_replayed(outbox, accept):
    with pytest.raises(UnknownReport):
        await outbox.replay("nonsense")
    with pytest.raises(WrongState):
        await outbox.replay(await delivered(outbox, accept))
    under_way = await accept()
    await outbox.begin_delivery(under_way.id, LEASE)
    with pytest.raises(WrongState):
        await outbox.replay(under_way.id)


async def test_a_discard_removes_everything_but_who_did_it_and_why(outbox, accept, ledger):
    report_id = await rejected(outbox, accept)
    await outbox.discard(report_id, "tom besked", "drift")
    assert await outbox.record(report_id) is None
    assert await outbox.contents(report_id) == (None, None)
    (noted,) = await outbox.discards()
    assert (noted["id"], noted["state"], noted["reason"], noted["by"]) == (report_id, "rejected", "tom besked", "drift")
    assert not [key for key in await ledger.redis.keys() if b"report:" in key or b"key:" in key or b"attempts" in key]


async def test_only_a_dead_letter_can_be_discarded(outbox, accept):
    waiting = await accept()
    with pytest.raises(WrongState):
        await outbox.discard(waiting.id, "why", "who")
    with pytest.raises(UnknownReport):
        await outbox.discard("nonsense", "why", "who")
    assert await outbox.discards() == []


async def test_a_delivered_text_is_erased_after_seven_days_and_its_record_after_ninety(outbox, accept, clock):
    report_id = await delivered(outbox, accept)
    clock.pass_(days=6, hours=23)
    assert (await outbox.tidy()).texts == 0
    assert (await outbox.contents(report_id))[0]
    clock.pass_(hours=1)
    assert (await outbox.tidy()).texts == 1
    assert (await outbox.contents(report_id))[0] is None
    assert (await outbox.record(report_id)).case == "FM-1"
    clock.pass_(days=83)
    assert (await outbox.tidy()).reports == 1
    assert await outbox.record(report_id) is None


@pytest.mark.parametrize("end", [rejected, gave_up])
async def test_a_dead_letter_is_kept_whole_for_ninety_days_and_then_nothing_is_left(outbox, accept, clock, ledger, end):
    report_id = await end(outbox, accept, *[clock] * (end is gave_up))
    clock.pass_(days=89, hours=23)
    await outbox.tidy()
    assert (await outbox.contents(report_id))[0]
    clock.pass_(hours=1)
    assert (await outbox.tidy()).reports == 1
    assert {key for key in await ledger.redis.keys() if b"rate:" not in key} == {b"{reports}:clock"}


async def test_the_vendors_answer_is_cut(outbox, accept):
    report = await accept()
    await outbox.reject(await outbox.begin_delivery(report.id, LEASE), "bad_request", b"x" * 10_000)
    assert (await outbox.contents(report.id))[1] == "x" * 500


async def test_a_report_without_its_record_is_forgotten_and_not_sent_for_ever(outbox, accept, clock, ledger):
    report = await accept()
    await ledger.redis.delete(report_key(report.id))
    clock.pass_(minutes=1)
    assert await outbox.take_due() == (report.id,)
    assert await outbox.begin_delivery(report.id, LEASE) is None
    clock.pass_(minutes=1)
    assert await outbox.take_due() == ()


async def test_without_a_clock_of_its_own_the_ledgers_clock_counts(make_outbox, ledger):
    outbox = make_outbox()
    seconds, _ = await ledger.redis.time()
    report = await outbox.accept((ME,), Content("x"), "k")
    assert abs(report.accepted_at.timestamp() - seconds) < 5
    assert await outbox.begin_delivery(report.id, LEASE)


async def test_a_power_cut_right_after_the_acceptance_loses_no_report(empty_redis, redis_servers):
    """A hundred times: SIGKILL to the ledger's server the moment the acceptance is answered."""
    server = redis_servers["ledger"]
    lost = []
    for number in range(100):
        ledger = Ledger(server.url)
        outbox = Outbox(ledger, Sealer([b"k" * 32]), lambda: (b"pepper",), module.BookingVendorSettings())
        report = await outbox.accept((f"{number:052}",), Content(SECRET), "k")
        server.process.kill()
        await ledger.close()
        await asyncio.to_thread(server.start)
        ledger = Ledger(server.url)
        outbox = Outbox(ledger, Sealer([b"k" * 32]), lambda: (b"pepper",), module.BookingVendorSettings())
        sending = await outbox.begin_delivery(report.id, LEASE)
        if sending is None or outbox.open(sending).text != SECRET:
            lost.append(report.id)
        await ledger.close()
    assert lost == []


async def test_a_key_that_was_used_before_the_pepper_changed_gives_the_first_answer(ledger):
    def box(*peppers):
        return Outbox(ledger, Sealer([b"k" * 32]), lambda: peppers, module.BookingVendorSettings())

    first = await box(b"old").accept((ME,), Content("x"), "k")
    after = box(b"new", b"old")
    again = await after.accept((OTHER, ME), Content("x"), "k")
    assert (again.id, again.again) == (first.id, True)
    with pytest.raises(IdempotencyKeyReused):
        await after.accept((OTHER, ME), Content("another text"), "k")
    assert not (await after.accept((OTHER, ME), Content("x"), "another key")).again


async def test_the_reports_of_a_citizen_are_found_whatever_has_become_of_them(outbox, accept):
    waits, sent = await accept(), await accept()
    await accept(citizen=OTHER)
    await outbox.deliver(await outbox.begin_delivery(sent.id, LEASE), "S-1")
    assert await outbox.written_by({ME}) == [waits.id, sent.id]


async def test_nothing_is_left_of_a_report_that_is_erased(outbox, accept, ledger):
    keys = set(await ledger.redis.keys())
    report = await accept()
    await outbox.deliver(await outbox.begin_delivery(report.id, LEASE), "S-1")
    await outbox.erase(report.id, undelivered=False)
    left = set(await ledger.redis.keys()) - keys
    assert left == {f"{{reports}}:rate:{ME}".encode(), b"{reports}:clock"}
    with pytest.raises(UnknownReport):
        await outbox.erase(report.id, undelivered=False)


async def test_what_the_vendor_has_not_got_is_erased_when_it_is_said_so(outbox, accept):
    waits, dead = await accept(), await accept()
    await outbox.reject(await outbox.begin_delivery(dead.id, LEASE), "bad_request")
    for report in (waits, dead):
        with pytest.raises(WrongState):
            await outbox.erase(report.id, undelivered=False)
        assert await outbox.record(report.id) is not None
        await outbox.erase(report.id, undelivered=True)
        assert await outbox.record(report.id) is None


async def test_what_is_being_sent_is_not_erased_from_under_its_sender(outbox, accept):
    report = await accept()
    await outbox.begin_delivery(report.id, LEASE)
    with pytest.raises(WrongState):
        await outbox.erase(report.id, undelivered=True)


@pytest.fixture
async def undecided(outbox, accept, clock):
    """A report that was sent twice with an unknown outcome each time, and waits for an operator."""
    report = await accept()
    for _ in range(2):
        await outbox.leave_unknown(await outbox.begin_delivery(report.id, LEASE), "timeout", b"hvad?")
        clock.pass_(seconds=1)
    return report.id


async def test_an_unknown_outcome_waits_as_a_failure_does(outbox, accept, clock):
    report = await accept()
    assert await outbox.leave_unknown(await outbox.begin_delivery(report.id, LEASE), "timeout") is State.UNKNOWN_OUTCOME
    assert await outbox.begin_delivery(report.id, LEASE) is None
    clock.pass_(seconds=1)
    again = await outbox.begin_delivery(report.id, LEASE)
    assert (again.unknown, again.interrupted) == (1, False)


async def test_an_attempt_that_is_not_on_disk_in_time_is_not_made_and_leaves_nothing_unknown(
    outbox, accept, ledger, monkeypatch, clock
):
    durably = ledger.durably

    async def slowly(call):
        await durably(call)
        raise NotYetOnDisk

    report = await accept()
    with monkeypatch.context() as slow:
        slow.setattr(ledger, "durably", slowly)
        with pytest.raises(NotYetOnDisk):
            await outbox.begin_delivery(report.id, LEASE)
    record = await outbox.record(report.id)
    assert (record.state, record.unknown, record.reason) == (State.ACCEPTED, 0, "not_on_disk")
    clock.pass_(seconds=30)
    assert (await outbox.begin_delivery(report.id, LEASE)).unknown == 0


async def test_an_undecided_report_is_listed_and_counted_and_never_due(outbox, undecided, clock):
    clock.pass_(days=30)
    assert await outbox.take_due() == ()
    assert await outbox.begin_delivery(undecided, LEASE) is None
    (listed,) = await outbox.records(FOR_OPERATORS)
    assert (listed.id, listed.needs_decision, listed.reason, listed.unknown) == (undecided, True, "timeout", 2)
    assert (await outbox.contents(undecided))[1] == "hvad?"
    stats = await outbox.stats()
    assert (stats.reports[State.UNKNOWN_OUTCOME], stats.undecided, stats.sent_again) == (1, 1, 1)
    assert stats.oldest_undelivered is None
    assert await outbox.written_by({ME}) == [undecided]


async def test_a_report_between_two_attempts_is_counted_by_what_is_known_of_it(outbox, accept):
    one, _ = await accept(), await accept()
    await outbox.leave_unknown(await outbox.begin_delivery(one.id, LEASE), "timeout")
    stats = await outbox.stats()
    assert (stats.reports[State.UNKNOWN_OUTCOME], stats.reports[State.ACCEPTED], stats.undecided) == (1, 1, 0)
    assert [found.id for found in await outbox.records([State.UNKNOWN_OUTCOME])] == [one.id]


async def test_whose_time_is_over_after_an_unknown_outcome_is_left_to_an_operator(outbox, accept, clock):
    report = await accept()
    await outbox.leave_unknown(await outbox.begin_delivery(report.id, LEASE), "timeout")
    clock.pass_(days=7)
    assert await outbox.postpone(await outbox.begin_delivery(report.id, LEASE), "unavailable") is State.UNKNOWN_OUTCOME
    assert (await outbox.record(report.id)).needs_decision


async def test_a_killed_sender_whose_report_may_not_come_twice_leaves_it_to_an_operator(make_outbox, clock, accept):
    strict, report = make_outbox(clock, repeat_unknown=0), await accept()
    await strict.begin_delivery(report.id, LEASE)
    clock.pass_(seconds=15)
    with pytest.raises(LeftToOperator):
        await strict.begin_delivery(report.id, LEASE)
    assert (await strict.record(report.id)).needs_decision


async def test_a_late_delivery_of_a_killed_senders_report_settles_it(make_outbox, clock, accept):
    strict, report = make_outbox(clock, repeat_unknown=0), await accept()
    slow = await strict.begin_delivery(report.id, LEASE)
    clock.pass_(seconds=15)
    with pytest.raises(LeftToOperator):
        await strict.begin_delivery(report.id, LEASE)
    assert await strict.deliver(slow, None)
    assert (await strict.record(report.id)).state is State.DELIVERED
    assert (await strict.stats()).undecided == 0


async def test_a_settled_report_is_delivered_and_kept_as_one(outbox, undecided, clock):
    await outbox.settle(undecided, "FM-7")
    record = await outbox.record(undecided)
    assert (record.state, record.case, record.reason) == (State.DELIVERED, "FM-7", None)
    assert await outbox.records(FOR_OPERATORS) == []
    assert [one.id for one in await outbox.sent_again()] == [undecided]
    clock.pass_(days=7)
    assert (await outbox.tidy()).texts == 1
    with pytest.raises(WrongState):
        await outbox.settle(undecided)


async def test_only_a_report_of_unknown_outcome_that_is_not_being_sent_can_be_settled(outbox, accept, clock):
    with pytest.raises(UnknownReport):
        await outbox.settle("nonsense")
    for report_id in ((await accept()).id, await rejected(outbox, accept)):
        with pytest.raises(WrongState):
            await outbox.settle(report_id)
    waiting = await accept()
    await outbox.leave_unknown(await outbox.begin_delivery(waiting.id, LEASE), "timeout")
    clock.pass_(seconds=1)
    sending = await outbox.begin_delivery(waiting.id, LEASE)
    with pytest.raises(WrongState):
        await outbox.settle(waiting.id)
    await outbox.release(sending, "circuit_open")
    await outbox.settle(waiting.id)
    assert await outbox.begin_delivery(waiting.id, LEASE) is None


async def test_a_replay_of_an_undecided_report_is_one_attempt_more(outbox, undecided):
    await outbox.replay(undecided)
    assert (await outbox.stats()).undecided == 0
    assert await outbox.take_due() == (undecided,)
    sending = await outbox.begin_delivery(undecided, LEASE)
    assert sending.unknown == 2
    assert await outbox.leave_unknown(sending, "timeout") is State.UNKNOWN_OUTCOME
    assert (await outbox.record(undecided)).needs_decision
    assert (await outbox.stats()).undecided == 1


async def test_an_undecided_report_is_discarded_with_a_reason(outbox, undecided, ledger):
    await outbox.discard(undecided, "leverandøren har den ikke, og borgeren er ringet op", "drift")
    assert (await outbox.discards())[0]["state"] == "unknown_outcome"
    assert await outbox.record(undecided) is None
    assert not [key for key in await ledger.redis.keys() if b"undecided" in key or b"sent_again" in key]


async def test_an_undecided_report_is_kept_whole_for_ninety_days_and_then_nothing_is_left(
    outbox, undecided, clock, ledger
):
    clock.pass_(days=89, hours=23)
    await outbox.tidy()
    assert (await outbox.contents(undecided))[0]
    clock.pass_(hours=2)
    assert (await outbox.tidy()).reports == 1
    assert {key for key in await ledger.redis.keys() if b"rate:" not in key} == {b"{reports}:clock"}


async def test_an_undecided_report_is_not_erased_unless_it_is_said_so(outbox, undecided, ledger):
    with pytest.raises(WrongState):
        await outbox.erase(undecided, undelivered=False)
    await outbox.erase(undecided, undelivered=True)
    assert {key for key in await ledger.redis.keys() if b"rate:" not in key} == {b"{reports}:clock"}
