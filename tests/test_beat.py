"""Beat, with real processes: it outlives its Redis, and of two the other goes on when the active one is killed."""

import json
import time

import pytest

from config.celery import QUEUES
from ops.local import installation, wait_for

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
    wait_for(lambda: beat.has_logged("beat_lock_was_lost"), "the next tick")


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
