"""The schedule: it refreshes ahead of expiry for who was active, in chunks, and at nobody's cost."""

import asyncio
import base64
import json
import signal
from collections import Counter
from datetime import date, datetime, time, timedelta
from functools import partial

import pytest
from kombu.utils.json import loads

from config.celery import SCHEDULED, bulk
from domain.citizen import Citizen
from domain.cpr import Cpr
from domain.overview import Normalised, SuAttempts
from domain.rules import DEFAULT_RULES
from domain.service_windows import DENMARK
from redis_admission import Override, OverrideOrder
from registerbro import refresh
from registerbro.refresh import register as carrying_out
from registerbro.refresh import schedule
from registerbro.refresh.register import Fetched, Register
from registerbro.refresh.request import OutsideTargetGroup, Reason
from registerbro.services import Services
from registerbro.storage.keys import ACTIVE_KEY, due_key
from registerbro.storage.redis_client import connect
from registerbro.upstreams.errors import (
    CircuitOpen,
    InvalidResponse,
    Quarantined,
    QuarantineUnknown,
    ServiceWindow,
    UpstreamTimeout,
)
from simulators.citizens import CITIZENS
from tests.support import group_12_until

TODAY = datetime.now(DENMARK).date()
CPRS = [Cpr.parse(citizen.cpr) for citizen in CITIZENS]
ME = CPRS[0]
NOW, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)
DATA = Fetched(Normalised({"su_attempts": [SuAttempts(count=2)]}))


def citizen(cpr=ME, groups=(12,), education_order=False):
    return Citizen(cpr, frozenset(groups), education_order=education_order)


class Fetching:
    """A register that notes whom it was asked about; `result` is given, or raised."""

    def __init__(self, result=DATA):
        self.result = result
        self.asked = Counter()
        self.running = self.most_at_once = 0
        self.register = Register("su", self.fetch)

    async def fetch(self, services, cpr):
        self.asked[cpr.digits] += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        result = self.result(cpr) if callable(self.result) else self.result
        if isinstance(result, BaseException):
            raise result
        return result


@pytest.fixture
def chunks(empty_redis):
    """Takes the schedule's messages out of a register's bulk queue: each one's citizens, and whether also early."""

    def taken(register="su"):
        with empty_redis["broker"].client() as client:
            messages = [json.loads(message) for message in reversed(client.lrange(bulk(register), 0, -1))]
            client.delete(bulk(register))
        return [loads(base64.b64decode(message["body"]))[0] for message in messages]

    return taken


async def make_due(services, *cprs, stored=True, fresh_for=HOUR, age=NOW):
    """Citizens who were active and are due, with data or without."""
    ids = []
    for cpr in cprs:
        citizen_id = await services.citizens.remember(cpr)
        await services.timetable.record_activity(citizen_id, HOUR, None, {"su": NOW})
        if stored:
            await services.entries.store(
                citizen_id, "su", {"su_attempts": []}, age=age, fresh_for=fresh_for, usable_for=9 * HOUR
            )
        ids.append(citizen_id)
    return ids


async def entry(services, citizen_id):
    return (await services.entries.read(citizen_id, ["su"]))["su"]


async def due_in(services, citizen_id):
    """In how many seconds the schedule refreshes a citizen; None when never."""
    at = await services.coordination.zscore(due_key("su"), citizen_id)
    seconds, microseconds = await services.coordination.time()
    return None if at is None else at / 1000 - seconds - microseconds / 1e6


# Who is in the timetable.


async def test_who_asks_for_their_page_is_active_and_due_later(services):
    await refresh.request_due(services, citizen(), reason=Reason.CITIZEN, today=TODAY)
    me = services.citizens.id_of(ME)
    assert await services.coordination.zscore(ACTIVE_KEY, me) is not None
    for register in SCHEDULED:
        assert await services.coordination.zscore(due_key(register), me) is not None


async def test_an_operator_s_refresh_is_no_activity(services):
    await refresh.request_due(services, citizen(), reason=Reason.OPERATOR, today=TODAY)
    await refresh.request_due(services, citizen(), (), reason=Reason.OPERATOR, today=TODAY)
    assert await services.coordination.zcard(ACTIVE_KEY) == 0


async def test_looking_at_a_fresh_page_is_activity(services):
    assert await refresh.request_due(services, citizen(), (), reason=Reason.CITIZEN, today=TODAY) == {}
    assert await services.coordination.zcard(ACTIVE_KEY) == 1
    assert await services.citizens.recall(services.citizens.id_of(ME)) == ME


async def test_a_scheduled_refresh_prolongs_neither_activity_nor_how_long_a_citizen_is_known(services):
    (me,) = await make_due(services, ME, stored=False)
    await services.cache.pexpire(f"citizen:{{{me}}}", MINUTE)
    active = await services.coordination.zscore(ACTIVE_KEY, me)
    await Fetching().register.refresh_many(services, [me])
    assert (await entry(services, me)).fresh
    assert await services.coordination.zscore(ACTIVE_KEY, me) == active
    assert await services.cache.pttl(f"citizen:{{{me}}}") <= 60_000


async def test_who_leaves_the_target_group_leaves_the_schedule(services, chunks):
    await refresh.request_due(services, citizen(), reason=Reason.CITIZEN, today=TODAY)
    with pytest.raises(OutsideTargetGroup):
        await refresh.request_due(services, citizen(groups=(2,)), reason=Reason.CITIZEN, today=TODAY)
    assert await services.coordination.zcard(ACTIVE_KEY) == 0


@pytest.mark.parametrize(("groups", "scheduled"), [((1,), False), ((1, 12), True), ((28,), True)])
async def test_who_turned_25_is_fetched_only_if_another_group_than_1_qualifies(services, groups, scheduled):
    young = Cpr.parse("6102991234")  # born 1999-02-01, 25 on 2024-02-01
    who = citizen(young, groups, education_order=True)
    await refresh.request_due(services, who, ["su"], reason=Reason.CITIZEN, today=date(2024, 1, 31))
    me = services.citizens.id_of(young)
    lease = await services.leases.begin_refresh(me, "su", MINUTE)
    await services.leases.settle(lease, NOW)
    taken = await services.timetable.take("su", 10, per_second=100.0, burst=MINUTE, outstanding=10, taken_for=MINUTE)
    assert taken == ((me,) if scheduled else ())


def test_the_last_day_ends_at_danish_midnight():
    young = Cpr.parse("6102991234")
    assert citizen(young, (1,), True).leaves_target_group_at(DEFAULT_RULES, date(2024, 1, 31)) == datetime(
        2024, 2, 1, tzinfo=DENMARK
    )
    assert citizen(young, (1, 12), True).leaves_target_group_at(DEFAULT_RULES, date(2024, 1, 31)) is None


# A law that ends group 12 tonight, and begins group 40 tomorrow.

TOMORROW = TODAY + timedelta(days=1)
LAW = group_12_until(TODAY)


@pytest.fixture
async def by_file(make_settings, rules_file):
    it = Services(make_settings(RULES_FILE=str(rules_file)))
    yield it
    await it.close()


@pytest.fixture
def change(by_file, rules_file):
    """Puts another content in the file's place; it is in force at once, and not after a second."""

    def put(text):
        rules_file.write_text(text, encoding="utf-8")
        by_file.rules._look_at = 0

    return put


async def scheduled(services, citizen_id, fetching):
    """One refresh of the schedule, of an entry that is about to expire; when the next one is due, in seconds."""
    await services.entries.outdate(citizen_id, "su")
    await services.timetable.put_back("su", [citizen_id], NOW)
    await fetching.register.refresh_many(services, [citizen_id])
    return await due_in(services, citizen_id)


async def test_the_evening_before_the_schedule_fetches_and_the_morning_after_it_does_not(by_file, change, monkeypatch):
    await refresh.request_due(by_file, citizen(), ["su"], reason=Reason.CITIZEN, today=TODAY)
    me, fetching = by_file.citizens.id_of(ME), Fetching()
    await fetching.register.refresh(by_file, me)
    change(LAW)
    await scheduled(by_file, me, fetching)
    assert fetching.asked[ME.digits] == 2
    monkeypatch.setattr(carrying_out, "danish_today", lambda: TOMORROW)
    later = await scheduled(by_file, me, fetching)
    assert fetching.asked[ME.digits] == 2
    assert later > 3600
    assert (await entry(by_file, me)).failure is None
    # A rule that was a mistake is mended: the next turn fetches again.
    change("# the default ones\n")
    await scheduled(by_file, me, fetching)
    assert fetching.asked[ME.digits] == 3


async def test_the_schedule_ends_for_a_citizen_with_the_day_of_a_rule_that_is_known(by_file, change):
    change(LAW)
    await refresh.request_due(by_file, citizen(), ["su"], reason=Reason.CITIZEN, today=TODAY)
    until = await by_file.coordination.zscore(ACTIVE_KEY, by_file.citizens.id_of(ME))
    assert datetime.fromtimestamp(until / 1000, DENMARK) == datetime.combine(TOMORROW, time(), DENMARK)


async def test_requests_go_by_the_rule_of_their_day(by_file, change):
    change(LAW)
    for who, today in ((citizen(groups=(12,)), TODAY), (citizen(groups=(40,)), TOMORROW)):
        assert await refresh.request_due(by_file, who, ["su"], reason=Reason.CITIZEN, today=today)
    for who, today in ((citizen(groups=(40,)), TODAY), (citizen(groups=(12,)), TOMORROW)):
        with pytest.raises(OutsideTargetGroup):
            await refresh.request_due(by_file, who, ["su"], reason=Reason.CITIZEN, today=today)


async def test_a_citizen_whose_standing_is_not_known_stays_in_the_schedule(by_file, change, monkeypatch):
    change(LAW)
    monkeypatch.setattr(carrying_out, "danish_today", lambda: TOMORROW)
    (me,) = await make_due(by_file, ME, stored=False)
    fetching = Fetching()
    await fetching.register.refresh_many(by_file, [me])
    assert fetching.asked[ME.digits] == 1


async def test_a_citizen_s_request_keeps_their_standing_and_an_operator_s_does_not(services):
    me = services.citizens.id_of(ME)
    await refresh.request_due(services, citizen(groups=(28,)), ["su"], reason=Reason.OPERATOR, today=TODAY)
    assert (await services.citizens.recall_with_standing(me)).citizen is None
    await refresh.request_due(services, citizen(groups=(2, 7)), ["visitering"], reason=Reason.CITIZEN, today=TODAY)
    assert (await services.citizens.recall_with_standing(me)).citizen == citizen(groups=(2, 7))
    await refresh.request_due(services, citizen(groups=(12,)), (), reason=Reason.CITIZEN, today=TODAY)
    assert (await services.citizens.recall_with_standing(me)).citizen == citizen(groups=(12,))


async def test_who_turned_25_while_the_message_waited_is_not_fetched(services):
    (me,) = await make_due(services, ME)
    await services.coordination.zadd(ACTIVE_KEY, {me: 1})
    fetching = Fetching()
    await fetching.register.refresh_many(services, [me], early=True)
    assert not fetching.asked


# What a run sends.


async def test_who_is_due_is_sent_for_in_chunks_on_the_bulk_queue(services, chunks, monkeypatch):
    monkeypatch.setattr(schedule, "CHUNK", 4)
    ids = await make_due(services, *CPRS[:10])
    assert await schedule.run(services, "su") == 10
    sent = chunks()
    assert [len(people) for people, _ in sent] == [4, 4, 2]
    assert sorted(one for people, _ in sent for one in people) == sorted(ids)


async def test_two_runs_at_once_send_for_nobody_twice(services, chunks):
    await make_due(services, *CPRS[:10])
    assert sum(await asyncio.gather(*(schedule.run(services, "su") for _ in range(5)))) == 10
    assert max(Counter(one for people, _ in chunks() for one in people).values()) == 1


async def test_a_run_keeps_to_the_rate(make_settings, app, chunks):
    services = Services(make_settings(SU__SCHEDULED_PER_SECOND="0.5"))
    await make_due(services, *CPRS[:10])
    assert [await schedule.run(services, "su") for _ in range(3)] == [2, 0, 0]
    await services.close()


async def test_nothing_is_sent_for_in_a_service_window(make_settings, app, chunks):
    services = Services(make_settings(SU__SERVICE_WINDOWS="Mon-Sun 00:00-24:00"))
    await make_due(services, ME)
    assert await schedule.run(services, "su") == 0
    assert chunks() == []
    await services.close()


async def test_without_the_broker_what_is_due_stays_due(services, app, monkeypatch):
    from kombu.exceptions import OperationalError

    (me,) = await make_due(services, ME)

    def refuse(*_, **__):
        raise OperationalError

    monkeypatch.setattr(app, "send_task", refuse)
    assert await schedule.run(services, "su") == 0
    assert await due_in(services, me) <= 0


async def test_without_redis_a_run_does_nothing_and_raises_nothing(services, empty_redis):
    empty_redis["broker"].process.kill()
    try:
        assert await schedule.run(services, "su") == 0
    finally:
        empty_redis["broker"].start()


# What becomes of a chunk.


async def test_a_chunk_refreshes_each_of_its_citizens_once_and_they_are_due_ahead_of_the_next_expiry(services):
    ids = await make_due(services, *CPRS[:10], age=HOUR)
    fetching = Fetching()
    await fetching.register.refresh_many(services, ids)
    assert set(fetching.asked.values()) == {1}
    assert len(fetching.asked) == 10
    fresh_for = services.settings.su.fresh_for.total_seconds()
    for citizen_id in ids:
        assert (await entry(services, citizen_id)).fresh
        assert 0.74 * fresh_for < await due_in(services, citizen_id) < 0.95 * fresh_for


async def test_what_is_about_to_expire_is_refreshed_and_what_is_not_is_left(services):
    (soon,) = await make_due(services, CPRS[0], age=0.9 * HOUR)
    (later,) = await make_due(services, CPRS[1], age=0.5 * HOUR)
    fetching = Fetching()
    await fetching.register.refresh_many(services, [soon, later])
    assert list(fetching.asked) == [CPRS[0].digits]
    assert 0.2 * 3600 < await due_in(services, later) < 0.45 * 3600


async def test_a_chunk_that_comes_twice_fetches_once(services):
    ids = await make_due(services, *CPRS[:10], age=HOUR)
    fetching = Fetching()
    await asyncio.gather(*(fetching.register.refresh_many(services, ids) for _ in range(3)))
    assert set(fetching.asked.values()) == {1}


async def test_a_chunk_leaves_room_for_the_citizens_who_wait(make_settings, app):
    services = Services(make_settings(SU__ADMISSION__MAX_IN_FLIGHT="6"))
    ids = await make_due(services, *CPRS[:12], age=HOUR)
    fetching = Fetching()
    await asyncio.gather(*(fetching.register.refresh_many(services, ids[n::3]) for n in range(3)))
    assert len(fetching.asked) == 12
    assert fetching.most_at_once <= 3
    await services.close()


async def test_of_citizens_who_are_no_longer_known_no_page_says_that_it_failed(services):
    """As after a restart of the cache, which keeps nothing: who opens the page then is known again, and is fetched."""
    (me,) = await make_due(services, ME, stored=False)
    await services.cache.flushdb()
    fetching = Fetching()
    await fetching.register.refresh_many(services, [me])
    assert (await entry(services, me)).failure is None
    assert await due_in(services, me) is None
    asked = await refresh.request_due(services, citizen(), ["su"], reason=Reason.CITIZEN, today=TODAY)
    assert asked["su"].state == "pending"


async def test_a_citizen_who_waits_is_left_to_their_own_message(services, chunks):
    (me,) = await make_due(services, ME, age=HOUR)
    await refresh.request_due(services, citizen(), ["su"], reason=Reason.CITIZEN, today=TODAY)
    fetching = Fetching()
    await fetching.register.refresh_many(services, [me])
    assert not fetching.asked
    await fetching.register.refresh(services, me)
    assert fetching.asked[ME.digits] == 1


async def test_a_failure_of_one_is_its_own_and_is_tried_again_in_a_while(services):
    ids = await make_due(services, *CPRS[:3], age=HOUR)
    fetching = Fetching(lambda cpr: InvalidResponse("no") if cpr == CPRS[1] else DATA)
    await fetching.register.refresh_many(services, ids)
    assert [(await entry(services, one)).failure for one in ids] == [None, "invalid_response", None]
    wait = await due_in(services, ids[1])
    assert 0.06 * 12 * 3600 < wait < 0.13 * 12 * 3600


async def test_what_failed_a_moment_ago_is_not_tried_again(services):
    (me,) = await make_due(services, ME, stored=False)
    await services.entries.fail(me, "su", "timeout", age=NOW, retry_after=HOUR)
    fetching = Fetching()
    await fetching.register.refresh_many(services, [me])
    assert not fetching.asked


@pytest.mark.parametrize(
    "spared",
    [CircuitOpen("open", retry_after=HOUR), ServiceWindow(retry_after=HOUR), QuarantineUnknown(retry_after=HOUR)],
)
async def test_when_the_register_is_spared_the_rest_is_put_back_and_no_citizen_s_page_changes(services, spared):
    ids = await make_due(services, *CPRS[:12], age=HOUR)
    before = [await entry(services, one) for one in ids]
    fetching = Fetching(spared)
    await fetching.register.refresh_many(services, [*ids, *ids])
    assert len(fetching.asked) <= 10
    assert [(one.failure, one.sections) for one in [await entry(services, one) for one in ids]] == [
        (one.failure, one.sections) for one in before
    ]
    assert min([await due_in(services, one) for one in ids]) > 0.9 * 3600
    assert (await services.timetable.status("su")).taken == 0


async def test_one_citizen_in_quarantine_keeps_none_of_the_others_waiting_and_changes_no_page(services):
    ids = await make_due(services, *CPRS[:12], age=HOUR)
    before = await entry(services, ids[1])
    fetching = Fetching(lambda cpr: Quarantined() if cpr == CPRS[1] else DATA)
    await fetching.register.refresh_many(services, ids)
    assert len(fetching.asked) == 12
    after = await entry(services, ids[1])
    assert (after.failure, after.sections) == (before.failure, before.sections)
    assert await due_in(services, ids[1]) > 0.06 * 12 * 3600


async def test_who_is_no_longer_known_leaves_the_timetable(services):
    (me,) = await make_due(services, ME)
    await services.cache.flushall()
    await Fetching().register.refresh_many(services, [me])
    assert await due_in(services, me) is None


async def test_when_a_worker_ends_half_way_everybody_is_refreshed_all_the_same(services, chunks):
    ids = await make_due(services, *CPRS[:12], age=HOUR)
    began = asyncio.Event()

    async def hanging(services, cpr):
        began.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Register("su", hanging).refresh_many(services, ids))
    await began.wait()
    task.cancel()
    await asyncio.wait([task])
    handed_back = (await services.leases.overdue("su", MINUTE)).again
    rest = await services.timetable.take("su", 50, per_second=1000.0, burst=MINUTE, outstanding=50, taken_for=MINUTE)
    assert set(handed_back) | set(rest) == set(ids)
    fetching = Fetching()
    await fetching.register.refresh_many(services, rest)
    for citizen_id in handed_back:
        await fetching.register.refresh(services, citizen_id)
    assert len(fetching.asked) == 12
    assert set(fetching.asked.values()) == {1}


@pytest.mark.parametrize("argument", ["6102991234", ["6102991234"], None, [None], {"a": 1}])
async def test_a_chunk_of_anything_but_citizen_ids_is_refused(app, argument, logged):
    await app.tasks["su.refresh_many"].run(argument)
    assert [line["event"] for line in logged] == ["task_refused"]


# When the register fails.


async def open_breaker(services, fetching, ids):
    """Fails as often as it takes."""
    upstream = services.admission("su")
    for _ in range(services.settings.su.admission.consecutive_failures):
        permit = await upstream.enter(is_retry=False)
        await upstream.record(permit, UpstreamTimeout(), NOW)


async def test_while_the_breaker_is_open_nothing_is_sent(services, chunks):
    ids = await make_due(services, *CPRS[:10], age=HOUR)
    await open_breaker(services, None, ids)
    assert await schedule.run(services, "su") == 0
    assert chunks() == []


@pytest.mark.parametrize("due", [True, False], ids=["of who is due", "of who is due next, when nobody is"])
async def test_once_its_time_has_passed_the_schedule_sends_the_probes_that_close_it(make_settings, app, chunks, due):
    services = Services(make_settings(SU__ADMISSION__OPEN_FOR="PT0.01S"))
    ids = await make_due(services, *CPRS[:10], age=HOUR if due else NOW)
    if not due:
        for citizen_id in ids:
            await services.coordination.zincrby(due_key("su"), 3_600_000, citizen_id)
    await open_breaker(services, None, ids)
    while (seen := await services.admission("su").status())["now"] <= seen["open_until"]:
        pass
    probes = services.settings.su.admission.probes
    assert await schedule.run(services, "su") == probes
    ((people, early),) = chunks()
    assert (len(people), early) == (probes, True)

    async def fetch(services, cpr):
        guard = services.admission("su")
        await guard.record(await guard.enter(is_retry=False), None, NOW)
        return DATA

    await Register("su", fetch).refresh_many(services, people, early=early)
    assert (await services.admission("su").status())["state"] == "closed"
    await services.close()


async def test_while_an_operator_keeps_everybody_away_nothing_is_sent_and_no_probe(services, chunks):
    await make_due(services, ME, age=HOUR)
    await services.admission("su").set_override(OverrideOrder(Override.FORCED_OPEN, "somebody", 0, "planned work"))
    assert await schedule.run(services, "su") == 0
    assert chunks() == []


async def test_no_message_of_the_schedule_holds_a_cpr_number(services, empty_redis):
    await make_due(services, *CPRS[:10], age=HOUR)
    await schedule.run(services, "su")
    with empty_redis["broker"].client() as client:
        everything = b"".join(client.dump(key) for key in client.scan_iter())
    assert not [cpr for cpr in CPRS if cpr.digits.encode() in everything]


async def test_a_frozen_redis_does_not_hold_the_schedule_up_for_ever(services, empty_redis):
    await make_due(services, ME, age=HOUR)
    empty_redis["broker"].process.signal(signal.SIGSTOP)
    try:
        assert await schedule.run(services, "su") == 0
    finally:
        empty_redis["broker"].process.signal(signal.SIGCONT)


async def test_a_process_takes_no_more_of_the_schedule_at_a_time_than_of_citizens(make_settings, app, monkeypatch):
    # A crowd at once on a busy machine takes longer than our half second; what that comes to is tested elsewhere.
    monkeypatch.setattr("registerbro.services.connect", partial(connect, timeout=MINUTE))
    services = Services(make_settings(SU__ADMISSION__MAX_IN_FLIGHT="1000", WORKER_CONCURRENCY="60"))
    many = [Cpr.parse(f"{61 + n % 28}01{n // 28:02}4000") for n in range(100)]
    ids = await make_due(services, *many, age=HOUR)
    fetching = Fetching()
    await asyncio.gather(*(fetching.register.refresh_many(services, ids[n::14]) for n in range(14)))
    assert len(fetching.asked) == len(many)
    assert 1 < fetching.most_at_once <= 60
    await services.close()
