"""A broker that refuses for a while: workers live, each task runs once, publishers get an error, and all goes on."""

import threading

import pytest
from kombu.exceptions import OperationalError

from config.celery import configuration
from demo.installation import wait_for
from tests.conftest import MakeSettings
from tests.redis_transport.conftest import Crew
from tests.system.chaos import refusing

SECONDS = 5
"""Of each refusal: more than twice the redelivery time of these tests, so that a wrong look has its chance."""
REDELIVERY_TIME = 2
KINDS = [kind for kind in refusing.KINDS if kind != "LOADING"]  # which a transport cannot tell from an outage


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.xdist_group("transport")
def test_workers_live_through_a_refusal_and_run_nothing_twice(crew: Crew, kind: str) -> None:
    workers = [crew.start("ours", redelivery_time=REDELIVERY_TIME) for _ in range(2)]
    crew.send("long", "a")
    wait_for(lambda: crew.ran("a") == 1, "the task")
    over = threading.Event()
    with refusing.KINDS[kind](crew.broker):
        with pytest.raises(OperationalError):
            crew.send("note", "refused")
        over.wait(SECONDS)  # nothing can be waited for where nothing is to happen
        assert all(worker.runs for worker in workers)
    # A publisher meets what is left of the refusal for a moment.
    wait_for(lambda: _sends(crew, "note", "after"), "the publisher")
    wait_for(lambda: crew.ran("after") >= 1, "the next task")
    over.wait(REDELIVERY_TIME)
    assert crew.ran("a") == 1
    crew.notes.set("end a", 1)
    wait_for(crew.is_empty, "empty queues")
    assert crew.ran("a") == 1
    assert all(worker.runs for worker in workers)
    assert not crew.client.exists("unacked_dead")


def _sends(crew: Crew, *what: str) -> bool:
    try:
        crew.send(*what)
    except OperationalError:
        return False
    return True


@pytest.mark.xdist_group("transport")
def test_a_task_that_ends_while_the_broker_refuses_is_acknowledged_when_it_takes_it(crew: Crew) -> None:
    crew.start("ours", redelivery_time=REDELIVERY_TIME)
    crew.send("long", "a")
    wait_for(lambda: crew.ran("a") == 1, "the task")
    with refusing.replica(crew.broker):
        crew.notes.set("end a", 1)
        wait_for(lambda: crew.notes.lrange("ended", 0, -1) == [b"a"], "its end")
    wait_for(crew.is_empty, "the acknowledgement")
    assert crew.ran("a") == 1


@pytest.mark.xdist_group("transport")
@pytest.mark.parametrize("kind", ["READONLY", "BUSY"])
def test_a_worker_that_starts_while_the_broker_refuses_begins_when_it_takes_it(crew: Crew, kind: str) -> None:
    with refusing.KINDS[kind](crew.broker):
        worker = crew.begin("ours", redelivery_time=REDELIVERY_TIME)
        wait_for(lambda: worker.has_logged("rying"), "the first tries")
        assert worker.runs
    wait_for(lambda: worker.has_logged("ready."), "the worker")
    crew.send("note", "after")
    wait_for(lambda: crew.ran("after") == 1, "the task")


def test_this_projects_workers_try_again_after_any_error_of_a_channel(make_settings: MakeSettings) -> None:
    assert configuration(make_settings())["broker_channel_error_retry"] is True
