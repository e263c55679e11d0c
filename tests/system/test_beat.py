"""Beat, with real processes: it outlives its Redis, and of two the other goes on when the active one is killed."""

import json
import time

import pytest

from config.celery import QUEUES
from demo.installation import installation, wait_for

pytestmark = pytest.mark.xdist_group("processes")

LOST_AT_MOST = 60.0
"""Seconds of schedule that may be lost with the active beat."""


@pytest.fixture
def here(tmp_path, empty_redis):
    with installation(tmp_path) as it:
        yield it.use_redis(empty_redis)


def sent(here):
    """How many messages beat has sent; nobody takes them away."""
    with here.redis["broker"].client() as client:
        return sum(client.llen(queue) for queue in QUEUES)


def sends(here, more=5):
    """Waits until beat has sent so many more."""
    before = sent(here)
    wait_for(lambda: sent(here) >= before + more, "the schedule", LOST_AT_MOST)


def test_the_schedule_goes_on_after_redis_was_away_for_ten_seconds(here):
    beat = here.start_beat()
    sends(here)
    here.redis["broker"].process.stop()
    time.sleep(10)  # several ticks; what is awaited comes after it
    here.redis["broker"].start()
    sends(here)
    assert beat.runs
    wait_for(lambda: beat.has_logged("beat_resumed"), "the end of the first tick")
    assert beat.log.read_text().count("beat_interrupted") == 1
    assert beat.log.read_text().count("beat_resumed") == 1


def test_the_schedule_goes_on_after_redis_was_emptied(here):
    beat = here.start_beat()
    sends(here)
    with here.redis["broker"].client() as client:
        client.flushall()
    sends(here)
    wait_for(lambda: beat.has_logged("beat_lock_lost"), "the next tick")


def test_beat_waits_for_a_redis_that_is_not_there_yet(here):
    here.redis["broker"].process.stop()
    try:
        beat = here.start_beat()
        wait_for(lambda: beat.has_logged("beat_interrupted"), "the first tick")
    finally:
        here.redis["broker"].start()
    sends(here)


def test_beat_logs_json_lines_and_no_traceback(here):
    beat = here.start_beat()
    sends(here)
    here.redis["broker"].process.stop()
    wait_for(lambda: beat.has_logged("beat_interrupted"), "the loss")
    here.redis["broker"].start()
    wait_for(lambda: beat.has_logged("beat_resumed"), "the return")
    lines = [line for line in beat.log.read_text().splitlines() if line.startswith("{")]
    assert {"beat_active", "beat_interrupted", "beat_resumed"} <= {json.loads(line)["event"] for line in lines}
    assert "Traceback" not in beat.log.read_text()


def test_of_two_beats_one_sends_and_when_it_is_killed_the_other_goes_on_within_a_minute(here):
    first = here.start_beat("beat-1")
    wait_for(lambda: first.has_logged("beat_active"), "the first beat")
    second = here.start_beat("beat-2")
    sends(here)
    assert not second.has_logged("beat_active")
    began = time.monotonic()
    first.kill()
    wait_for(lambda: second.has_logged("beat_active"), "the second beat", LOST_AT_MOST)
    sends(here)
    assert time.monotonic() - began < LOST_AT_MOST


def test_a_beat_that_is_stopped_in_order_hands_over_at_once(here):
    first = here.start_beat("beat-1")
    wait_for(lambda: first.has_logged("beat_active"), "the first beat")
    second = here.start_beat("beat-2")
    first.stop()
    assert first.popen.returncode == 0
    # Sooner than the lock of one that was killed would end.
    wait_for(lambda: second.has_logged("beat_active"), "the second beat", 20)
