"""The transport under real workers, which are killed, frozen, stopped and cut off."""

import signal
import time
from signal import SIGCONT, SIGQUIT, SIGSTOP, SIGTERM

import pytest
import redis
from celery import Celery

from redis_transport.store import Store
from tests.redis_transport.app import make_app
from tests.redis_transport.conftest import Crew
from tests.redis_transport.servers import Process, wait_for

# These start processes by the dozen: one after the other, on one of the test processes.
pytestmark = pytest.mark.xdist_group("transport")


def dead_letters(crew: Crew) -> list[str | None]:
    return [letter.task for letter in Store(crew.client).dead_letters()]


def test_stock_and_ours_share_queues_both_ways(crew: Crew) -> None:
    """With no kills there is nothing that stock would lose alone, so nothing may be lost or stranded at all."""
    crew.start("ours")
    crew.start("stock")
    names = [f"task {number}" for number in range(200)]
    crew.send("note", *names[::2], which="stock")
    crew.send("note", *names[1::2], which="ours")
    wait_for(lambda: crew.ran() >= 200, "all tasks")
    wait_for(crew.is_empty, "empty queues")
    assert sorted(crew.notes.lrange("ran", 0, -1)) == sorted(name.encode() for name in names)


def test_each_takes_over_from_the_other_alone(crew: Crew) -> None:
    stock = crew.start("stock")
    crew.send("note", "to stock", which="ours")
    wait_for(lambda: crew.ran("to stock") == 1, "the task for stock")
    stock.stop()
    crew.start("ours")
    crew.send("note", "to ours", which="stock")
    wait_for(lambda: crew.ran("to ours") == 1, "the task for ours")
    wait_for(crew.is_empty, "empty queues")


def test_a_long_task_runs_once_and_starts_again_only_when_its_worker_is_killed(crew: Crew) -> None:
    """The task runs for four times as long as a dead worker's messages take to come back."""
    first = crew.start("ours", redelivery_time=1)
    other = crew.start("ours", redelivery_time=1)
    crew.send("long", "a", "b")
    wait_for(lambda: crew.ran() == 2, "both tasks")
    time.sleep(4)  # nothing can be waited for where nothing is to happen
    assert (crew.ran("a"), crew.ran("b")) == (1, 1)
    assert not other.has_logged("Messages of lost workers")
    for worker in (first, other):
        worker.kill()
    crew.start("ours", redelivery_time=1)
    wait_for(lambda: (crew.ran("a"), crew.ran("b")) == (2, 2), "the second starts")
    crew.notes.mset({"end a": 1, "end b": 1})
    wait_for(crew.is_empty, "empty queues")
    assert crew.ran() == 4


@pytest.mark.parametrize(
    ("pool", "times"),
    [(("-P", "threads", "-c", "4"), 5), (("-P", "prefork", "-c", "2"), 2)],
    ids=["threads", "prefork"],
)
def test_a_task_that_kills_its_worker_ends_among_the_dead_and_the_rest_goes_on(
    crew: Crew, pool: tuple[str, ...], times: int
) -> None:
    """With threads the whole worker dies, and is started again; with prefork a child, whose task is requeued."""
    crew.send("note", "first")
    crew.send("poison", "poison")
    crew.send("note", *[f"task {number}" for number in range(20)])
    worker = crew.start("ours", *pool, redelivery_time=1, max_deliveries=times)

    def done() -> bool:
        nonlocal worker
        if not worker.runs:
            worker = crew.start("ours", *pool, redelivery_time=1, max_deliveries=times)
        return dead_letters(crew) == ["poison"] and crew.is_empty()

    wait_for(done, "the poison among the dead", within=120)
    assert crew.ran("poison") == times
    assert all(crew.ran(f"task {number}") >= 1 for number in range(20))
    assert crew.ran("first") >= 1


def test_a_frozen_worker_finds_its_messages_gone_and_says_so(crew: Crew) -> None:
    frozen = crew.start("ours", redelivery_time=2)
    crew.send("long", "a")
    wait_for(lambda: crew.ran("a") == 1, "the task")
    crew.start("ours", redelivery_time=2)
    frozen.signal(SIGSTOP)
    wait_for(lambda: crew.ran("a") == 2, "the second start")
    frozen.signal(SIGCONT)
    wait_for(lambda: frozen.has_logged("Cut off from Redis"), "the log line")
    crew.notes.set("end a", 1)
    wait_for(crew.is_empty, "empty queues")
    assert frozen.runs


@pytest.mark.parametrize(("how", "ends"), [(SIGTERM, True), (SIGQUIT, True)], ids=["warm", "cold"])
def test_a_shutdown_puts_back_what_was_not_started_and_loses_nothing(
    crew: Crew, how: signal.Signals, ends: bool
) -> None:
    worker = crew.start("ours", "-P", "threads", "-c", "1", "--prefetch-multiplier", "4", redelivery_time=2)
    crew.send("long", "a", "b", "c")
    wait_for(lambda: crew.ran() == 1 and crew.client.hlen("unacked") == 3, "one task running, two waiting")
    worker.signal(how)
    crew.notes.mset({f"end {name}": 1 for name in "abc"})
    wait_for(lambda: not worker.runs, "the end of the worker")
    other = crew.start("ours", redelivery_time=2)
    wait_for(lambda: all(crew.ran(name) for name in "abc"), "all tasks")
    wait_for(crew.is_empty, "empty queues")
    other.stop()
    assert not crew.client.exists("unacked_deliveries", "dead_letters")


def test_a_warm_shutdown_longer_than_the_redelivery_time_runs_nothing_twice(crew: Crew) -> None:
    leaving = crew.start("ours", redelivery_time=1)
    crew.send("long", "a")
    wait_for(lambda: crew.ran("a") == 1, "the task")
    leaving.signal(SIGTERM)
    crew.start("ours", redelivery_time=1)
    time.sleep(3)  # nothing can be waited for where nothing is to happen
    assert crew.ran("a") == 1
    crew.notes.set("end a", 1)
    wait_for(crew.is_empty, "empty queues")
    assert crew.ran("a") == 1


def test_a_task_that_runs_while_redis_restarts_runs_once(crew: Crew) -> None:
    worker = crew.start("ours")
    crew.send("long", "a")
    wait_for(lambda: crew.ran("a") == 1, "the task")
    crew.broker.process.kill()
    crew.broker.start()
    wait_for(lambda: worker.has_logged("Trying to re-establish"), "the loss of the connection")
    crew.notes.set("end a", 1)
    wait_for(lambda: _answers(crew) and crew.is_empty(), "the acknowledgement")
    crew.send("note", "after")
    wait_for(lambda: crew.ran("after") == 1, "the next task")
    assert crew.ran("a") == 1


def _answers(crew: Crew) -> bool:
    try:
        return bool(crew.client.ping())
    except redis.RedisError:
        return False


def test_remote_control_and_revoking_go_on(crew: Crew) -> None:
    crew.start("ours", "-P", "threads", "-c", "1", "-E")
    app = make_app("ours", crew.broker.url)
    try:
        crew.send("long", "a")
        wait_for(lambda: crew.ran("a") == 1, "the task")
        result = app.send_task("note", ("b",))
        wait_for(lambda: crew.client.hlen("unacked") == 1 or crew.client.llen("check") == 1, "the second task")
        assert _ask(app, "active")[0]["args"] == ["a"]
        app.control.revoke(result.id)
        wait_for(lambda: result.id in _ask(app, "revoked"), "the revocation")
        crew.notes.set("end a", 1)
        wait_for(crew.is_empty, "empty queues")
        assert crew.ran("b") == 0
    finally:
        app.close()


def _ask(app: Celery, what: str) -> list:
    (answer,) = (getattr(app.control.inspect(timeout=20, limit=1), what)() or {"": []}).values()
    return answer


def test_a_countdown_is_kept(crew: Crew) -> None:
    worker: Process = crew.start("ours", redelivery_time=1)
    crew.send("note", "later", countdown=3)
    wait_for(lambda: worker.has_logged("received"), "the message")
    wait_for(lambda: crew.ran("later") == 1, "the task")
    wait_for(crew.is_empty, "empty queues")
    assert crew.ran("later") == 1
