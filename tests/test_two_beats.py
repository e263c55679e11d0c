"""Two beats: one sends, and when it is killed the other goes on within a minute."""

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
