"""The count of lost tasks, in short: bench/queue_check.py at length."""

import pytest

from bench.queue_check import check

pytestmark = pytest.mark.xdist_group("transport")


def test_nothing_is_lost_when_workers_and_redis_are_killed() -> None:
    outcome = check("ours", messages=300, kills=2, seed=1)
    assert outcome.lost == 0
    assert outcome.dead == 0
    assert outcome.twice <= outcome.in_flight_at_kills
