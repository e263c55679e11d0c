"""The pool: tasks that wait share one thread, and are to Celery what they are in a thread each."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Reject
from kombu.transport.memory import Transport

from registerbro.event_loop import EventLoop
from registerbro.telemetry import trace
from workers.process import greenlet_pool

WITHIN = 20


@pytest.fixture
def runtime(make_settings):
    it = EventLoop(make_settings(), wait=greenlet_pool.wait)
    yield it
    it.close()


@pytest.fixture
def gate(runtime):
    """What the tasks of a test wait for, as coroutines on the event loop."""
    return Gate(runtime)


class Gate:
    def __init__(self, runtime):
        self.runtime = runtime
        self.inside = 0
        self.most = 0
        self._opened = asyncio.Event()
        self._came = asyncio.Condition()

    def pass_through(self):
        return self.runtime.run(self._pass())

    def open(self):
        self.runtime.run(self._open())

    def until_inside(self, count):
        self.runtime.run(self._until(count))

    async def _pass(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        async with self._came:
            self._came.notify_all()
        await self._opened.wait()
        self.inside -= 1

    async def _open(self):
        self._opened.set()

    async def _until(self, count):
        async with asyncio.timeout(WITHIN), self._came:
            await self._came.wait_for(lambda: self.inside >= count)


@contextmanager
def working(app, concurrency):
    with start_worker(
        app, pool="workers.process.greenlet_pool:TaskPool", concurrency=concurrency, perform_ping_check=False
    ):
        yield


@pytest.fixture
def app(monkeypatch):
    # A worker sees that it is to end when a wait for messages is over, which Celery has last two seconds.
    drain = Transport.drain_events
    monkeypatch.setattr(Transport, "drain_events", lambda self, connection, timeout=None: drain(self, connection, 0.05))
    it = Celery("pool", broker="memory://", backend="cache+memory://", set_as_current=False)
    it.conf.update(
        task_acks_late=True,
        worker_prefetch_multiplier=4,
        worker_timer_precision=0.05,
        broker_transport_options={"polling_interval": 0.01},
    )
    return it


def test_tasks_that_wait_share_one_thread(app, gate):
    threads = set()

    @app.task(shared=False)
    def task():
        threads.add(threading.current_thread())
        gate.pass_through()
        threads.add(threading.current_thread())

    with working(app, 50):
        results = [task.delay() for _ in range(50)]
        gate.until_inside(50)
        gate.open()
        for result in results:
            result.get(WITHIN)
    assert [thread.name for thread in threads] == ["tasks"]


def test_no_more_tasks_run_than_are_allowed_and_the_others_come_after_them(app, gate):
    @app.task(shared=False)
    def task():
        gate.pass_through()

    with working(app, 3):
        results = [task.delay() for _ in range(12)]
        gate.until_inside(3)
        gate.open()
        for result in results:
            result.get(WITHIN)
    assert gate.most == 3


def test_each_task_is_itself_after_it_has_waited(app, gate):
    @app.task(bind=True, shared=False)
    def task(self, number):
        with trace.span("task") as span:
            before = (app.current_worker_task.request.id, self.request.args, trace.current())
            gate.pass_through()
            after = (app.current_worker_task.request.id, self.request.args, trace.current())
        return [before == after, self.request.id, span.context.trace_id, number]

    with working(app, 8):
        results = [task.delay(n) for n in range(8)]
        gate.until_inside(8)
        gate.open()
        told = [result.get(WITHIN) for result in results]
    assert [same for same, *_ in told] == [True] * 8
    assert [(identity, number) for _, identity, _, number in told] == [(r.id, n) for n, r in enumerate(results)]
    assert len({trace_id for _, _, trace_id, _ in told}) == 8


def test_a_coroutine_runs_in_the_context_of_its_task(app, runtime):
    async def here():
        return trace.current().trace_id

    @app.task(shared=False)
    def task():
        with trace.span("task") as span:
            return runtime.run(here()) == span.context.trace_id

    with working(app, 2):
        assert task.delay().get(WITHIN)


def test_celery_signals_each_task_its_beginning_and_its_end_in_its_own_name(app, gate):
    told = []

    @app.task(shared=False)
    def task(fails):
        gate.pass_through()
        if fails:
            raise ValueError("no")

    def note(kind):
        def receive(sender=None, task_id=None, **_):
            told.append((kind, task_id))

        return receive

    receivers = {name: note(name) for name in ("task_prerun", "task_failure", "task_postrun")}
    for name, receive in receivers.items():
        getattr(signals, name).connect(receive)
    try:
        with working(app, 2):
            good, bad = task.delay(fails=False), task.delay(fails=True)
            gate.until_inside(2)
            gate.open()
            good.get(WITHIN)
            with pytest.raises(ValueError, match="no"):
                bad.get(WITHIN)
    finally:
        for name, receive in receivers.items():
            getattr(signals, name).disconnect(receive)
    assert [kind for kind, task_id in told if task_id == good.id] == ["task_prerun", "task_postrun"]
    assert [kind for kind, task_id in told if task_id == bad.id] == ["task_prerun", "task_failure", "task_postrun"]


def test_a_message_is_acknowledged_when_its_task_has_ended_and_not_before(app, gate):
    acknowledged = threading.Event()

    @app.task(shared=False)
    def task():
        gate.pass_through()

    with working(app, 1):
        channel = _channel_that_acknowledges(acknowledged)
        with channel:
            result = task.delay()
            gate.until_inside(1)
            assert not acknowledged.is_set()
            gate.open()
            result.get(WITHIN)
            assert acknowledged.wait(WITHIN)


@contextmanager
def _channel_that_acknowledges(acknowledged):
    from kombu.transport.virtual import QoS

    before = QoS.ack

    def ack(self, delivery_tag):
        acknowledged.set()
        return before(self, delivery_tag)

    QoS.ack = ack
    try:
        yield
    finally:
        QoS.ack = before


def test_no_error_of_a_task_ends_the_others(app, gate):
    @app.task(shared=False)
    def fatal(number):
        raise (SystemExit, KeyboardInterrupt, Reject)[number]

    @app.task(shared=False)
    def task():
        gate.pass_through()

    with working(app, 5):
        waiting = task.delay()
        gate.until_inside(1)
        for number in range(3):
            fatal.delay(number)
        after = task.delay()
        gate.until_inside(2)
        gate.open()
        waiting.get(WITHIN)
        after.get(WITHIN)


def test_at_its_end_what_runs_goes_on_to_its_end_and_what_has_not_begun_never_does(runtime, gate):
    done = []
    it = greenlet_pool.TaskPool(limit=2)
    it.start()

    def work(number):
        gate.pass_through()
        done.append(number)

    for number in range(5):
        it.apply_async(work, (number,), callback=lambda _: None)
    gate.until_inside(2)
    ending = threading.Thread(target=it.stop)
    ending.start()
    it.apply_async(work, (5,), callback=lambda _: None)
    gate.open()
    ending.join(WITHIN)
    assert not ending.is_alive()
    assert sorted(done) == [0, 1]


def test_outside_the_pool_who_waits_waits(runtime):
    async def answer():
        return 42

    assert runtime.run(answer()) == 42


def test_an_error_of_a_coroutine_is_the_tasks(app, runtime):
    async def fail():
        raise LookupError("gone")

    @app.task(shared=False)
    def task():
        runtime.run(fail())

    with working(app, 1), pytest.raises(LookupError, match="gone"):
        task.delay().get(WITHIN)
