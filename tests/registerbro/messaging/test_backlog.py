"""Long queues: what happens by itself is not sent to them, so that none which nobody consumes grows without end."""

import pytest
from kombu.exceptions import OperationalError

from config.celery import QUEUES, bulk
from demo.installation import installation, wait_for
from registerbro.messaging import backlog
from registerbro.messaging.backlog import Backlog
from registerbro.refresh import schedule
from registerbro.telemetry import metrics
from tests.workers.process.test_beat import MINUTE, Clocks, run
from workers.process import beat


@pytest.fixture
def short(monkeypatch):
    """A queue is long soon."""
    monkeypatch.setattr(backlog, "LONG", 20)
    monkeypatch.setattr(backlog, "SHORT_AGAIN", 10)


@pytest.fixture
def clocks(monkeypatch):
    it = Clocks(None)
    monkeypatch.setattr(beat.Scheduler, "clock", lambda _: it.now, raising=False)
    return it


@pytest.fixture
def scheduler(app, clocks):
    it = beat.Scheduler(app)
    yield it
    it.close()


@pytest.fixture
def broker(empty_redis):
    with empty_redis["broker"].client() as client:
        yield client


def told(logged, event):
    return [one["queue"] for one in logged if one["event"] == event]


def not_sent(queue):
    return metrics.NOT_SENT.labels(queue)._value.get()


def test_no_queue_grows_without_end_and_each_is_told_of_once(scheduler, clocks, broker, short, logged):
    before = not_sent("su")
    run([scheduler], clocks, 3 * MINUTE)
    lengths = {queue: broker.llen(queue) for queue in QUEUES}
    assert set(lengths.values()) == {20}
    assert sorted(told(logged, "queue_long")) == sorted(QUEUES)
    assert not told(logged, "queue_short_again")
    # A sweep and a sign of life every five seconds, and the schedule every two: in three minutes, but for twenty.
    assert not_sent("su") - before == pytest.approx(180 * (0.2 + 0.2 + 0.5) - 20, abs=3)


def test_a_queue_that_is_consumed_again_is_sent_to_again_and_told_of_once(scheduler, clocks, broker, short, logged):
    run([scheduler], clocks, 3 * MINUTE)
    broker.ltrim("su", 0, 10)
    run([scheduler], clocks, MINUTE)
    assert broker.llen("su") == 11
    broker.delete("su")
    run([scheduler], clocks, MINUTE / 6)
    assert broker.llen("su") > 0
    assert told(logged, "queue_short_again") == ["su"]
    assert [one["not_sent"] > 100 for one in logged if one["event"] == "queue_short_again"] == [True]


def test_one_long_queue_keeps_nothing_from_the_others(scheduler, clocks, broker, short):
    for _ in range(4):
        run([scheduler], clocks, MINUTE)
        for queue in set(QUEUES) - {"su"}:
            assert broker.llen(queue) >= 10
            broker.delete(queue)
    assert broker.llen("su") == 20


def test_a_queue_that_stays_about_as_long_as_that_is_told_of_once(short, logged):
    found = Backlog()
    assert [found.holds_back("su", waiting) for waiting in (19, 20, 19, 20, 11, 21, 10, 9, 19)] == [
        False, True, True, True, True, True, True, False, False,
    ]  # fmt: skip
    assert [one["event"] for one in logged] == ["queue_long", "queue_short_again"]


def test_how_many_wait_is_told_also_of_an_empty_queue(app):
    with app.pool.acquire(block=True) as connection:
        assert backlog.waiting(connection, "su") == 0
        app.send_task("su.sweep", queue="su")
        assert backlog.waiting(connection, "su") == 1


def test_a_broker_that_is_away_is_told_as_such_and_asked_again_when_it_is_back(app, empty_redis):
    with app.pool.acquire(block=True) as connection:
        backlog.waiting(connection, "su")
        empty_redis["broker"].process.stop()
        try:
            with pytest.raises(OperationalError):
                backlog.waiting(connection, "su")
        finally:
            empty_redis["broker"].start()
        assert backlog.waiting(connection, "su") == 0


async def test_no_citizens_are_taken_for_a_bulk_queue_that_nobody_consumes(services, app, broker, short, monkeypatch):
    monkeypatch.setattr(schedule, "_backlog", Backlog())
    citizen = "a" * 52
    await services.timetable.record_activity(citizen, MINUTE, None, {"su": 0 * MINUTE})
    for _ in range(20):
        app.send_task("su.refresh_many", args=[[citizen]], queue=bulk("su"))
    assert await schedule.run(services, "su") == 0
    assert broker.llen(bulk("su")) == 20
    assert (await services.timetable.status("su")).due == 1
    broker.delete(bulk("su"))
    assert await schedule.run(services, "su") == 1


@pytest.mark.xdist_group("processes")
def test_beat_itself_sends_nothing_to_a_queue_that_is_long(tmp_path, empty_redis, broker):
    broker.lpush("su", *["somebody's"] * backlog.LONG)
    with installation(tmp_path) as here:
        process = here.use_redis(empty_redis).start_beat()
        wait_for(lambda: process.has_logged("queue_long"), "the queue")
        wait_for(lambda: broker.llen("su.bulk") >= 2, "the other queues")
        assert broker.llen("su") == backlog.LONG
