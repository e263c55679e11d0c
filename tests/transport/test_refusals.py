"""A broker that says no for a while: workers live, what runs runs once, publishers are told, and all goes on."""

import threading

import pytest
import redis
from kombu.exceptions import OperationalError
from redis.exceptions import ReadOnlyError, ResponseError

from config.celery import configuration
from ops.local import RedisServer, wait_for
from tests.chaos import refusing
from tests.conftest import MakeSettings
from tests.transport.conftest import Connect, Crew
from tests.transport.test_channel import Inbox, publish_with
from workers import transport

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
    # Whoever publishes meets what is left of it for a moment.
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


@pytest.mark.parametrize("text", [
    "READONLY You can't write against a read only replica.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "Error running script (call to f_1): @user_script:9: @user_script: 9: -READONLY You can't write against a replica.",
    "Error running script (call to f_1): @user_script:9: -OOM command not allowed when used memory > 'maxmemory'.",
])  # fmt: skip
def test_a_refusal_is_known_by_its_code(text: str) -> None:
    assert transport._is_refusal(ResponseError(text))


@pytest.mark.parametrize("text", [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR unknown command 'OOM'",
    "BUSYGROUP Consumer Group name already exists",
    "ERR Error running script (call to f_1): @user_script:9: attempt to index a nil value (BUSY)",
    "NOSCRIPT No matching script. Please use EVAL.",
])  # fmt: skip
def test_an_error_is_no_refusal(text: str) -> None:
    assert not transport._is_refusal(ResponseError(text))


def test_a_refusal_keeps_its_code_when_redis_py_has_a_class_for_it() -> None:
    assert transport._is_refusal(ReadOnlyError("You can't write against a read only replica.", status_code="READONLY"))


def test_to_kombu_a_refusal_is_an_error_of_the_connection(
    connect: Connect, client: redis.Redis, server: RedisServer
) -> None:
    inbox = Inbox(connect(), "q")
    assert transport.Refused in inbox.connection.connection_errors
    with refusing.full(server), pytest.raises(inbox.connection.connection_errors):
        publish_with(inbox.connection, 1)
    publish_with(inbox.connection, 2)
    inbox.wait(1)[0].ack()


def test_this_projects_workers_try_again_after_any_error_of_a_channel(make_settings: MakeSettings) -> None:
    assert configuration(make_settings())["broker_channel_error_retry"] is True
