"""Tasks as coroutines in real worker processes, on Redis and on RabbitMQ: killed, stopped, cut off and revoked."""

import signal
import threading
from collections import Counter, defaultdict
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from demo.installation import installation, wait_for
from tests.support import app_for_environment
from tests.system import noting_worker
from tests.system.relay import Relay

pytestmark = pytest.mark.xdist_group("processes")

NOTHING = Counter()


class Workers:
    """The workers of one broker, one after the other, and what their tasks noted."""

    def __init__(self, here, directory, relay):
        self._here, self._directory, self.relay = here, directory, relay
        self._notes = directory / "notes"
        self._notes.touch()
        self._count = 0
        self.app = app_for_environment()

    def start(self, concurrency=4):
        """A worker that is ready."""
        self._count += 1
        worker = self._here.start_worker(
            "udb", f"udb-{self._count}", "-I", noting_worker.__name__, "-c", str(concurrency)
        )
        wait_for(lambda: worker.has_logged("worker_ready"), worker.name, 60)
        return worker

    def send(self, name, gate="gate"):
        return self.app.send_task("udb.holds", args=[name, str(self._directory / gate)], queue="udb")

    def open(self, gate="gate"):
        (self._directory / gate).touch()

    def noted(self, what):
        """Name → how often."""
        lines = [line.split() for line in self._notes.read_text("utf-8").splitlines()]
        return Counter(name for kind, name in lines if kind == what)

    def until(self, what, count):
        wait_for(lambda: self.noted(what).total() >= count, f"{count} × {what}", 60)

    @contextmanager
    def watched(self):
        """The events of tasks, as Flower gets them: kind → ids."""
        seen, listening = defaultdict(set), threading.Event()
        with self.app.connection_for_read() as connection:
            receiver = self.app.events.Receiver(
                connection, handlers={"*": lambda event: seen[event["type"]].add(event.get("uuid"))}
            )
            receiver.on_consume_ready = lambda *_, **__: listening.set()
            thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "wakeup": False}, daemon=True)
            thread.start()
            try:
                assert listening.wait(60)
                yield seen
            finally:
                receiver.should_stop = True
                thread.join(60)

    def inspect(self):
        return self.app.control.inspect(timeout=10, limit=1)


@pytest.fixture(params=["redis", "rabbitmq"])
def workers(request, tmp_path, empty_redis, clean_environment):
    url = request.getfixturevalue("rabbitmq") if request.param == "rabbitmq" else empty_redis["broker"].url
    relay = Relay(urlsplit(url).port)
    through = url.replace(f":{urlsplit(url).port}", f":{relay.port}")
    values = {
        "BROKER_URL": through,
        "COORDINATION_URL": empty_redis["broker"].url,
        "REMOTE_CONTROL": "revoke",
        "UDB__BASE_URL": "http://127.0.0.1:9",
    }
    clean_environment.setenv(noting_worker.NOTES, str(tmp_path / "notes"))
    with installation(tmp_path, values) as here:
        here.use_redis(empty_redis)
        for name, value in here.environment.items():
            clean_environment.setenv(name, value)
        it = Workers(here, tmp_path, relay)
        yield it
        with it.app.connection_for_write() as connection:
            connection.default_channel.queue_purge("udb")
    relay.close()


def test_what_a_killed_worker_held_is_carried_out_by_the_next(workers):
    worker = workers.start(3)
    for number in range(6):
        workers.send(number)
    workers.until("began", 3)
    worker.kill()
    workers.open()
    workers.start()
    workers.until("ended", 6)
    assert workers.noted("ended") == Counter(map(str, range(6)))
    assert workers.noted("began") == Counter(map(str, range(6))) + Counter("012")


def test_a_warm_shutdown_under_load_loses_nothing_and_runs_nothing_twice(workers):
    worker = workers.start(20)
    with workers.watched() as events:
        for number in range(40):
            workers.send(number)
        workers.until("began", 20)
        worker.signal(signal.SIGTERM)
        wait_for(lambda: worker.has_logged("Warm shutdown"), "the shutdown")
        workers.open()
        assert worker.popen.wait(60) == 0
        wait_for(lambda: len(events["task-succeeded"]) == 20, "the events of their ends")
        assert events["task-succeeded"] == events["task-started"]
    first = workers.noted("ended")
    assert (first, workers.noted("cancelled")) == (workers.noted("began"), NOTHING)
    for number in range(40, 300):
        workers.send(number)
    worker = workers.start(20)
    workers.until("ended", 100)
    worker.signal(signal.SIGTERM)
    assert worker.popen.wait(60) == 0
    workers.start(20)
    workers.until("ended", 300)
    assert workers.noted("began") == workers.noted("ended") == Counter(map(str, range(300)))


@pytest.mark.parametrize("first", [None, signal.SIGTERM], ids=["QUIT", "TERM, then QUIT"])
def test_a_cold_shutdown_lets_end_what_soon_ends_and_cancels_the_rest_which_comes_back(workers, first):
    worker = workers.start()
    workers.send("short", "soon")
    workers.send("long", "later")
    workers.until("began", 2)
    if first is not None:
        worker.signal(first)
        wait_for(lambda: worker.has_logged("Warm shutdown"), "the warm shutdown")
    worker.signal(signal.SIGQUIT)
    wait_for(lambda: worker.has_logged("Initiating Soft Shutdown"), "the soft shutdown")
    workers.open("soon")
    worker.popen.wait(60)
    assert (workers.noted("ended"), workers.noted("cancelled")) == (Counter(["short"]), Counter(["long"]))
    workers.open("later")
    workers.start()
    workers.until("ended", 2)
    assert workers.noted("began") == Counter(short=1, long=2)
    assert workers.noted("ended") == Counter(short=1, long=1)
    assert "Traceback" not in worker.log.read_text("utf-8")


def test_when_the_connection_to_the_broker_is_lost_everything_is_carried_out_all_the_same(workers):
    worker = workers.start(3)
    for number in range(6):
        workers.send(number)
    workers.until("began", 3)
    assert workers.relay.cut()
    wait_for(lambda: worker.has_logged("onnection to broker lost"), "the loss")
    workers.open()
    workers.until("ended", 6)
    after = workers.send("after")
    wait_for(lambda: workers.noted("ended")["after"], "the next", 60)
    assert set(workers.noted("ended")) == {*map(str, range(6)), "after"}
    wait_for(lambda: not any((workers.inspect().active() or {"": [after]}).values()), "the end of all", 60)
    worker.signal(signal.SIGTERM)
    assert worker.popen.wait(60) == 0
    before = workers.noted("began")
    workers.start()
    workers.send("last")
    wait_for(lambda: workers.noted("ended")["last"], "the last", 60)
    assert workers.noted("began") - before == Counter(["last"])


def test_an_operator_sees_what_runs_and_ends_one_of_it(workers):
    workers.start(1)
    first, second, third = (workers.send(name) for name in ("first", "second", "third"))
    workers.until("began", 1)
    ((worker, active),) = workers.inspect().active().items()
    assert [(one["id"], one["name"], one["args"][0]) for one in active] == [(first.id, "udb.holds", "first")]
    assert active[0]["acknowledged"] is False
    workers.app.control.revoke(third.id)
    workers.app.control.revoke(first.id, terminate=True)
    workers.until("began", 2)
    assert workers.noted("cancelled") == Counter(["first"])
    assert set(workers.inspect().revoked()[worker]) == {first.id, third.id}
    assert [one["id"] for one in workers.inspect().active()[worker]] == [second.id]
    workers.open()
    last = workers.send("last")
    wait_for(lambda: workers.noted("ended")["last"], "the last")
    assert workers.noted("began") == Counter(["first", "second", "last"])
    stats = workers.inspect().stats()[worker]
    assert stats["total"]["udb.holds"] == 3
    assert stats["pool"]["max-concurrency"] == 1
    assert last.id not in workers.inspect().revoked()[worker]
