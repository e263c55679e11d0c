"""Beat and clocks: whatever is done to the time of day, each entry is sent once per interval."""

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from celery import Celery

from domain.service_windows import DENMARK
from registerbro.telemetry import metrics
from workers.process import beat, beat_schedule

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)
"""In Denmark it is three o'clock, and then two for the second time."""
SPRING = datetime(2027, 3, 28, 1, tzinfo=UTC)
"""It is two o'clock, and then three."""


class Clocks:
    """The clock that nobody sets, in seconds, and the time of day that is made from it, which somebody may set."""

    def __init__(self, start):
        self.now = 0.0
        self._start = start

    def set(self, by):
        self._start += by

    def time_of_day(self, timezone):
        return (self._start + timedelta(seconds=self.now)).astimezone(timezone)


class Recording:
    """Takes messages in the place of the broker, and notes when each entry was sent."""

    def __init__(self, clocks):
        self._clocks = clocks
        self.sent = defaultdict(list)

    def __call__(self, connection, **_):
        self.connection = connection
        return self

    def publish(self, body, *, headers, routing_key, **_):
        self.sent[headers["task"], routing_key].append(self._clocks.now)


@pytest.fixture
def clocks(monkeypatch):
    it = Clocks(datetime(2026, 11, 1, tzinfo=UTC))
    monkeypatch.setattr(Celery, "now", lambda app: it.time_of_day(app.timezone))
    monkeypatch.setattr(beat.Scheduler, "clock", lambda _: it.now, raising=False)
    return it


@pytest.fixture
def danish(app, monkeypatch):
    """The process is one in Denmark, and so is the app, whatever its configuration says."""
    monkeypatch.setenv("TZ", DENMARK.key)
    monkeypatch.setitem(app.__dict__, "timezone", DENMARK)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def recording(clocks):
    return Recording(clocks)


@pytest.fixture
def entries(app, monkeypatch):
    """Sets the schedule, with every interval so many times as long; `own`: other numbers for some entries."""

    def use(times=1, own=None):
        known = {
            name: {**entry, "schedule": entry["schedule"] * (own or {}).get(name, times)}
            for name, entry in beat_schedule.entries().items()
        }
        monkeypatch.setitem(app.conf, "beat_schedule", known)
        return {(one["task"], one["options"]["queue"]): one["schedule"].total_seconds() for one in known.values()}

    return use


@pytest.fixture
def start(app, recording):
    """Starts a beat, whose messages are noted."""
    started = []

    def begin(longest_tick=5):
        started.append(beat.Scheduler(app, Producer=recording, max_interval=longest_tick))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def run(beats, clocks, length):
    """Lets so much time pass, in which each of the beats ticks when it wants to."""
    ends = clocks.now + length.total_seconds()
    next_tick = dict.fromkeys(beats, clocks.now)
    while min(next_tick.values()) < ends:
        scheduler = min(next_tick, key=next_tick.get)
        clocks.now = max(clocks.now, next_tick[scheduler])
        next_tick[scheduler] = clocks.now + max(scheduler.tick(), 0.001)
    clocks.now = max(clocks.now, ends)


def check(sent, intervals, ends):
    """That every entry was sent once per interval, from the beginning to the end."""
    assert sent.keys() == intervals.keys()
    for entry, interval in intervals.items():
        times = sent[entry]
        assert times[0] <= interval, entry
        assert ends - times[-1] <= 2 * interval, entry
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps, default=0) <= 2 * interval, entry
        assert len(times) == pytest.approx(ends / interval, rel=0.02, abs=2), entry


@pytest.mark.usefixtures("danish")
@pytest.mark.parametrize("changes_at", [AUTUMN, SPRING])
def test_over_three_days_in_which_summer_time_begins_or_ends_each_minute_has_its_messages(
    clocks, recording, entries, start, changes_at
):
    """What is sent every second is sent every half minute here, and the others seldom: so three days are soon over."""
    deliver = "booking_vendor.deliver_due", "booking_vendor"
    intervals = entries(1800, {deliver[0]: 30})
    clocks.set(changes_at - timedelta(days=1.5) - clocks._start)
    run([start(30)], clocks, timedelta(days=3))
    check(recording.sent, intervals, clocks.now)
    per_minute = Counter(int(at // 60) for at in recording.sent[deliver])
    assert per_minute.keys() == set(range(3 * 24 * 60))
    assert set(per_minute.values()) <= {1, 2, 3}


@pytest.mark.usefixtures("danish")
@pytest.mark.parametrize("changes_at", [AUTUMN, SPRING])
def test_around_the_change_the_schedule_goes_on_at_its_own_pace(clocks, recording, entries, start, changes_at):
    intervals = entries()
    clocks.set(changes_at - 2 * MINUTE - clocks._start)
    run([start()], clocks, 4 * MINUTE)
    check(recording.sent, intervals, clocks.now)
    per_minute = Counter(int(at // 60) for at in recording.sent["booking_vendor.deliver_due", "booking_vendor"])
    assert len(per_minute) == 4
    assert set(per_minute.values()) <= {59, 60, 61}


def test_a_beat_that_starts_in_the_hour_that_comes_twice_sends_nothing_each_second(clocks, recording, entries, start):
    intervals = entries()
    clocks.set(AUTUMN + 30 * MINUTE - clocks._start)
    run([start()], clocks, 2 * MINUTE)
    check(recording.sent, intervals, clocks.now)


@pytest.mark.parametrize("by", [HOUR, -HOUR, 10 * MINUTE, -10 * MINUTE, timedelta(days=8)])
def test_a_clock_that_is_set_and_put_right_changes_nothing_and_neither_for_a_second_beat(
    clocks, recording, entries, start, by
):
    intervals = entries()
    first, second = start(), start()
    for step in (by, -by, timedelta(0)):
        run([first, second], clocks, MINUTE)
        clocks.set(step)
    first.close()
    run([second], clocks, MINUTE)
    check(recording.sent, intervals, clocks.now)


@pytest.mark.parametrize(("lost", "is_told"), [("redbeat*", True), ("redbeat::[^l]*", False), ("redbeat:[^:]*", False)])
def test_what_is_lost_of_it_in_redis_stops_nothing(
    clocks, recording, entries, start, empty_redis, logged, lost, is_told
):
    """All of it, all but the lock, or single entries, which stood there once."""
    intervals = entries()
    scheduler = start()
    run([scheduler], clocks, MINUTE)
    with empty_redis["broker"].client() as client:
        for key in client.scan_iter(lost):
            client.delete(key)
    run([scheduler], clocks, MINUTE)
    check(recording.sent, intervals, clocks.now)
    assert [one["log_level"] for one in logged if one["event"] == "beat_lock_lost"] == ["warning"] * is_told


def test_what_was_missed_is_sent_once_and_not_as_often_as_it_was_missed(clocks, recording, entries, start):
    entries()
    scheduler = start()
    run([scheduler], clocks, MINUTE)
    clocks.now += 600  # as a process that was stopped
    recording.sent.clear()
    run([scheduler], clocks, timedelta(seconds=0.5))
    assert {len(times) for times in recording.sent.values()} == {1}


@pytest.mark.parametrize("lasts", [3_600_000, None])
def test_a_lock_that_lasts_longer_than_it_can_be_taken_for_is_shortened(
    clocks, recording, entries, start, empty_redis, lasts
):
    """As when Redis' clock is put back by an hour after a beat has been killed."""
    entries()
    with empty_redis["broker"].client() as client:
        client.set("redbeat::lock", "somebody's", px=lasts)
        start().tick()
        assert not recording.sent
        assert 0 < client.pttl("redbeat::lock") <= 30_000


def test_whose_lock_has_ended_sends_nothing_more_while_another_has_it(clocks, recording, entries, start, empty_redis):
    """As when Redis' clock is put ahead, or this process has been stopped."""
    entries()
    first, second = start(), start()
    run([first], clocks, MINUTE)
    with empty_redis["broker"].client() as client:
        client.delete("redbeat::lock")
    second.tick()
    recording.sent.clear()
    run([first], clocks, MINUTE)
    assert not recording.sent


def test_a_tick_that_takes_too_long_ends_before_its_lock_does(clocks, recording, entries, start, monkeypatch):
    intervals = entries()
    monkeypatch.setattr(Recording, "publish", slow := _slower(Recording.publish, clocks, 4.0))
    scheduler = start()
    scheduler.tick()
    assert slow.calls * 4.0 < 30
    run([scheduler], clocks, 5 * MINUTE)
    assert recording.sent.keys() == intervals.keys()


def _slower(publish, clocks, by):
    def slow(self, *args, **kwargs):
        slow.calls += 1
        clocks.now += by
        publish(self, *args, **kwargs)

    slow.calls = 0
    return slow


def test_an_entry_that_cannot_be_sent_keeps_none_of_the_others(clocks, recording, entries, start, empty_redis, logged):
    intervals = entries()
    with empty_redis["broker"].client() as client:
        client.set("udb", "no list")
    scheduler = start()
    run([scheduler], clocks, MINUTE)
    assert {queue for _, queue in intervals} - {queue for _, queue in recording.sent} == {"udb"}
    assert min(len(times) for (task, _), times in recording.sent.items() if task != "booking_vendor.tidy") >= 10
    assert metrics.BEAT_ACTIVE._value.get() == 0
    with empty_redis["broker"].client() as client:
        client.delete("udb")
    run([scheduler], clocks, MINUTE)
    assert recording.sent.keys() == intervals.keys()


def test_an_entry_that_would_need_a_clock_is_refused(app, monkeypatch):
    from celery.schedules import crontab

    at_four = {"task": "udb.sweep", "schedule": crontab(hour=4), "options": {"queue": "udb"}}
    monkeypatch.setitem(app.conf, "beat_schedule", {"at_four": at_four})
    with pytest.raises(TypeError, match="at_four is due by a clock"):
        beat.Scheduler(app)


def test_the_configuration_has_no_time_of_day_that_comes_twice(app):
    assert app.conf.timezone == "UTC"
