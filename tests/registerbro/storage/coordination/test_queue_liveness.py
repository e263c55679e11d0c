"""The marks of queues that are consumed: every task leaves one, and none outlasts a clock that is put back."""

from datetime import timedelta

import pytest

from config.celery import HEARTBEAT_KEPT_FOR
from demo.installation import _CELERY, installation, wait_for
from registerbro.storage.coordination import queue_liveness
from tests.system.chaos import refusing
from workers.process import current


class Time:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    it = Time()
    monkeypatch.setattr(queue_liveness, "time", it)
    monkeypatch.setattr(queue_liveness, "_too_long", {})
    return it


@pytest.mark.xdist_group("processes")
def test_a_queue_whose_tasks_are_carried_out_is_consumed_also_without_beat(tmp_path, empty_redis):
    """As when it is so long that beat sends it nothing."""
    with installation(tmp_path) as here, empty_redis["broker"].client() as client:
        here.use_redis(empty_redis).start_simulators().start_worker("udb")
        here._run("call", [*_CELERY, "call", "udb.sweep", "--queue", "udb.bulk"], here.environment_of("worker-udb"))
        wait_for(lambda: client.exists("alive:udb.bulk"), "the mark")
        assert 0 < client.pttl("alive:udb.bulk") <= HEARTBEAT_KEPT_FOR.total_seconds() * 1000
        assert not client.exists("alive:udb")


def test_a_server_that_refuses_the_mark_makes_no_defect_of_the_task(app, make_settings, empty_redis, logged):
    current.open(make_settings())
    alive = app.tasks["udb.alive"]
    try:
        with refusing.replica(empty_redis["broker"]), empty_redis["broker"].client() as client:
            alive("udb")
            assert not client.exists("alive:udb")
        alive("udb")
        assert client.exists("alive:udb")
    finally:
        current.close()
    assert [one["event"] for one in logged] == ["canary_not_recorded"]


async def test_a_queue_is_consumed_while_its_mark_lasts(services):
    await queue_liveness.mark(services.coordination, "su")
    assert await queue_liveness.consumed(services.coordination, ["su", "udb"]) == {"su": True, "udb": False}


@pytest.mark.parametrize("lasts", [timedelta(hours=1), None])
async def test_a_mark_that_lasts_longer_than_any_is_kept_counts_for_as_long_as_one_is(services, time, lasts):
    """As when Redis' clock is put back by an hour: the living have left another by then, and the dead have not."""
    for queue in ("su", "udb"):
        await services.coordination.set(f"alive:{queue}", b"1", px=lasts)
    assert await queue_liveness.consumed(services.coordination, ["su", "udb"]) == {"su": True, "udb": True}
    time.now += HEARTBEAT_KEPT_FOR.total_seconds()
    await queue_liveness.mark(services.coordination, "su")
    time.now += 1
    assert await queue_liveness.consumed(services.coordination, ["su", "udb"]) == {"su": True, "udb": False}
    await queue_liveness.mark(services.coordination, "udb")
    assert await queue_liveness.consumed(services.coordination, ["udb"]) == {"udb": True}
