"""A message that becomes a coroutine is to Celery, its users and its events what any other task is.

Each test runs a worker with a hub, on the transport of our own, and one without, on kombu's memory transport.
"""

import asyncio
import threading
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore, Reject
from celery.worker import state
from celery.worker.control import _revoke
from kombu.message import Message
from kombu.transport.memory import Transport

from redis_transport import install
from workers.process import current
from workers.process.base_task import Task
from workers.process.coroutine_request import CoroutineRequest

WITHIN = 20
QUEUE = "coroutines"
NUMBER = "6102991234"
SECRET = f"{NUMBER} Zebrafinken sang"
HUB, NO_HUB = "a hub", "no hub"


def until(condition, what="it"):
    """The condition's value, as soon as it is a true one."""
    ends = time.monotonic() + WITHIN
    while not (found := condition()):
        assert time.monotonic() < ends, f"{what} did not come"
        time.sleep(0.01)
    return found


@pytest.fixture
def process(make_settings, empty_redis):
    state.reset_state()
    yield current.open(make_settings())
    current.close()
    with empty_redis["broker"].client() as client:
        client.flushall()


@pytest.fixture(params=[HUB, NO_HUB])
def app(request, process, empty_redis, monkeypatch):
    # Without a hub a worker sees what is new when a wait for messages is over, which Celery has last two seconds.
    drain = Transport.drain_events
    monkeypatch.setattr(Transport, "drain_events", lambda self, connection, timeout=None: drain(self, connection, 0.05))
    install()
    broker = empty_redis["broker"].url if request.param == HUB else "memory://"
    it = Celery("coroutines", broker=broker, task_cls=Task, set_as_current=False)
    it.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        worker_prefetch_multiplier=4,
        worker_timer_precision=0.05,
        worker_send_task_events=True,
        broker_connection_retry_on_startup=True,
        broker_transport_options={"polling_interval": 0.01} if request.param == NO_HUB else {"redelivery_time": 1},
    )
    yield it
    with it.connection_for_write() as connection:
        connection.default_channel.queue_purge(QUEUE)
    it.close()


class Gate:
    """What the tasks of a test wait for."""

    def __init__(self, process):
        self._process = process
        self._opened = asyncio.Event()
        self.entered = []
        self.cancelled = []
        self.inside = 0
        self.most = 0

    async def pass_through(self, name=None):
        self.entered.append(name)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._opened.wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        finally:
            self.inside -= 1

    def open(self):
        self._process.call_soon(self._opened.set)

    def until_entered(self, count):
        until(lambda: len(self.entered) >= count, f"the {count}th")


@pytest.fixture
def gate(process):
    return Gate(process)


class Settled(list):
    """What became of messages: (task id, what, requeued, thread)."""

    def of(self, task_id):
        return [(what, requeued) for of, what, requeued, _ in self if of == task_id]


@pytest.fixture
def settled(monkeypatch):
    it = Settled()
    ack, reject = Message.ack_log_error, Message.reject_log_error

    def acked(self, *args, **kwargs):
        it.append((self.headers.get("id"), "ack", None, threading.get_ident()))
        return ack(self, *args, **kwargs)

    def rejected(self, logger, errors, requeue=False):
        it.append((self.headers.get("id"), "reject", requeue, threading.get_ident()))
        return reject(self, logger, errors, requeue=requeue)

    monkeypatch.setattr(Message, "ack_log_error", acked)
    monkeypatch.setattr(Message, "reject_log_error", rejected)
    return it


@contextmanager
def working(app, concurrency=4, **options):
    """A worker, in a thread of its own; its stop is a cold one."""
    told = defaultdict(list)
    with ExitStack() as stack:
        worker = stack.enter_context(
            start_worker(
                app, pool="workers.process.coroutine_pool:TaskPool", concurrency=concurrency,
                perform_ping_check=False, shutdown_timeout=60, **options,
            )
        )  # fmt: skip
        until(lambda: worker.consumer.event_dispatcher, "the dispatcher")
        send = type(worker.consumer.event_dispatcher).send

        def note(self, kind, **fields):
            if "uuid" in fields:
                told[fields["uuid"]].append((kind, fields, threading.get_ident()))
            return send(self, kind, **fields)

        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(type(worker.consumer.event_dispatcher), "send", note)
        yield SimpleNamespace(
            celery=worker, events=told, kinds=lambda task_id: [kind for kind, *_ in told[task_id]], pool=worker.pool
        )


def in_consumers_thread(worker, work):
    done = []
    worker.celery.consumer.call_soon(lambda: done.append(work()))
    until(lambda: done)


def revoke(worker, task_id, **options):
    """As the remote control command does, in its thread."""
    control = SimpleNamespace(consumer=worker.celery.consumer, app=worker.celery.app)
    in_consumers_thread(worker, lambda: _revoke(control, {task_id}, **options))


@contextmanager
def hearing(*names):
    """Notes the signals: (name, task id, state)."""
    heard = []

    def receiver(name):
        def receive(sender=None, task_id=None, request=None, state=None, **_):
            heard.append((name, task_id or request.id, state))

        return receive

    receivers = {name: receiver(name) for name in names}
    for name, receive in receivers.items():
        getattr(signals, name).connect(receive, weak=False)
    try:
        yield lambda task_id: [(name, state) for name, of, state in heard if of == task_id]
    finally:
        for name, receive in receivers.items():
            getattr(signals, name).disconnect(receive)


RUN = ("task_received", "task_prerun", "task_success", "task_retry", "task_failure", "task_revoked", "task_postrun")


def test_a_task_that_succeeds_is_acknowledged_signalled_and_told_of(app, settled):
    @app.task(shared=False)
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    with hearing(*RUN) as heard, working(app) as worker:
        sent = double.delay(21)
        until(lambda: "task-succeeded" in worker.kinds(sent.id))
        until(lambda: settled.of(sent.id))
        consumer = until(lambda: worker.pool._consumers_thread)
        assert settled.of(sent.id) == [("ack", None)]
        assert {thread for *_, thread in settled} == {consumer}
        assert {thread for *_, thread in worker.events[sent.id]} == {consumer}
        assert heard(sent.id) == [("task_received", None), ("task_prerun", None), ("task_postrun", "SUCCESS")]
        (_, received, _), (_, started, _), (_, succeeded, _) = worker.events[sent.id]
        assert worker.kinds(sent.id) == ["task-received", "task-started", "task-succeeded"]
        assert received == {
            "uuid": sent.id, "name": double.name, "args": "(21,)", "kwargs": "{}", "root_id": sent.id,
            "parent_id": None, "retries": 0, "eta": None, "expires": None,
        }  # fmt: skip
        assert started == {"uuid": sent.id}
        assert (succeeded["result"], succeeded["runtime"] >= 0) == ("42", True)
        assert (state.total_count[double.name], state.requests) == (1, {})
        assert sent.id in state.successful_requests


def test_a_task_that_fails_tells_the_kind_of_its_error_alone(app, settled):
    @app.task(shared=False)
    async def fail():
        raise LookupError(SECRET)

    with hearing(*RUN) as heard, working(app) as worker:
        sent = fail.delay()
        until(lambda: settled.of(sent.id))
        until(lambda: "task-failed" in worker.kinds(sent.id))
        assert settled.of(sent.id) == [("ack", None)]
        assert worker.kinds(sent.id) == ["task-received", "task-started", "task-failed"]
        failed = worker.events[sent.id][-1][1]
        assert failed["exception"] == "TaskDefect('LookupError')"
        assert NUMBER not in str(worker.events)
        assert [name for name, _ in heard(sent.id)] == ["task_received", "task_prerun", "task_failure", "task_postrun"]
        assert heard(sent.id)[-1] == ("task_postrun", "FAILURE")
        assert not state.requests


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_no_error_of_a_task_ends_the_others(app, gate, settled, error):
    @app.task(shared=False)
    async def waits():
        await gate.pass_through()

    @app.task(shared=False)
    async def fatal():
        raise error

    with working(app) as worker:
        waiting = waits.delay()
        gate.until_entered(1)
        sent = fatal.delay()
        until(lambda: "task-failed" in worker.kinds(sent.id))
        assert worker.events[sent.id][-1][1]["exception"] == f"TaskDefect('{error.__name__}')"
        gate.open()
        until(lambda: "task-succeeded" in worker.kinds(waiting.id))
        until(lambda: settled.of(waiting.id) and settled.of(sent.id))


@pytest.mark.parametrize(
    ("error", "became", "kinds"),
    [
        (Reject("no"), ("reject", False), ["task-failed", "task-rejected"]),
        (Ignore(), ("ack", None), []),
    ],
    ids=["Reject", "Ignore"],
)
def test_what_celery_works_with_goes_celerys_way(app, settled, error, became, kinds):
    @app.task(shared=False)
    async def task():
        raise error

    with working(app) as worker:
        sent = task.delay()
        until(lambda: settled.of(sent.id))
        until(lambda: not state.requests)
        assert settled.of(sent.id) == [became]
        assert worker.kinds(sent.id)[2:] == kinds


def test_a_task_that_is_rejected_and_requeued_comes_again(app, settled):
    runs = []

    @app.task(bind=True, shared=False)
    async def task(self):
        runs.append(self.request.delivery_info["redelivered"])
        if len(runs) == 1:
            raise Reject(requeue=True)

    with working(app) as worker:
        sent = task.delay()
        until(lambda: len(settled.of(sent.id)) == 2)
        assert settled.of(sent.id) == [("reject", True), ("ack", None)]
        assert "task-failed" not in worker.kinds(sent.id)
    assert len(runs) == 2


def test_a_task_that_is_retried_comes_again_with_one_more_try(app, settled):
    tries = []

    @app.task(bind=True, shared=False, max_retries=3)
    async def task(self):
        tries.append(self.request.retries)
        if not self.request.retries:
            raise await asyncio.to_thread(self.retry, countdown=0, throw=False)

    with hearing("task_retry", "task_postrun") as heard, working(app) as worker:
        sent = task.delay()
        until(lambda: len(settled.of(sent.id)) == 2)
        until(lambda: "task-succeeded" in worker.kinds(sent.id))
        assert "task-retried" in worker.kinds(sent.id)
        ends = {("task_retry", None), ("task_postrun", "RETRY"), ("task_postrun", "SUCCESS")}
        until(lambda: set(heard(sent.id)) == ends)
    assert tries == [0, 1]


def test_a_task_that_has_expired_is_not_run(app, settled):
    ran = []

    @app.task(shared=False)
    async def task():
        ran.append(1)

    with hearing(*RUN) as heard, working(app) as worker:
        message = app.amqp.create_task_message(
            "i" * 8, task.name, (), {}, expires=datetime.now(UTC) + timedelta(hours=1)
        )
        message.headers["expires"] = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
        with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
            app.amqp.send_task_message(producer, task.name, message, queue=QUEUE)
        until(lambda: settled.of("i" * 8))
        assert worker.events["i" * 8] == [
            ("task-revoked", {"uuid": "i" * 8, "terminated": False, "signum": None, "expired": True},
             worker.pool._consumers_thread),
        ]  # fmt: skip
        assert heard("i" * 8) == [("task_revoked", None)]
    assert ran == []


def test_a_task_that_is_revoked_while_it_waits_is_not_run(app, gate, settled):
    @app.task(shared=False)
    async def task(name):
        await gate.pass_through(name)

    with working(app, 1) as worker:
        first, second, third = (task.delay(name) for name in "abc")
        gate.until_entered(1)
        until(lambda: len(state.reserved_requests) == 3)
        assert [request.id for request in state.active_requests] == [first.id]
        revoke(worker, second.id)
        revoke(worker, third.id, terminate=True)
        assert settled.of(second.id) == []
        gate.open()
        until(lambda: len(settled) == 3)
        for one in second, third:
            assert settled.of(one.id) == [("ack", None)]
            assert worker.kinds(one.id) == ["task-received", "task-revoked"]
    assert gate.entered == ["a"]


def test_a_task_that_is_terminated_is_cancelled_and_another_has_its_place(app, gate, settled):
    @app.task(shared=False)
    async def task(name):
        await gate.pass_through(name)

    with hearing("task_revoked", "task_postrun") as heard, working(app, 1) as worker:
        first, second = (task.delay(name) for name in "ab")
        gate.until_entered(1)
        revoke(worker, first.id, terminate=True)
        gate.until_entered(2)
        assert gate.cancelled == ["a"]
        until(lambda: settled.of(first.id))
        assert settled.of(first.id) == [("ack", None)]
        assert worker.kinds(first.id) == ["task-received", "task-started", "task-revoked"]
        assert worker.events[first.id][-1][1] == {"uuid": first.id, "terminated": True, "signum": 15, "expired": False}
        assert sorted(heard(first.id)) == [("task_postrun", None), ("task_revoked", None)]
        gate.open()
        until(lambda: settled.of(second.id))


def test_a_task_that_is_acknowledged_early_is_so_before_it_ends(app, gate, settled):
    @app.task(shared=False, acks_late=False)
    async def early():
        await gate.pass_through()

    @app.task(shared=False)
    async def late():
        await gate.pass_through()

    with working(app):
        sent = early.delay(), late.delay()
        gate.until_entered(2)
        until(lambda: settled.of(sent[0].id))
        assert settled.of(sent[1].id) == []
        gate.open()
        until(lambda: settled.of(sent[1].id))
        assert settled.of(sent[0].id) == [("ack", None)]


def test_no_more_run_than_are_allowed_and_the_others_come_in_order(app, gate, settled):
    @app.task(shared=False)
    async def task(number):
        await gate.pass_through(number)

    with working(app, 3) as worker:
        for number in range(12):
            task.delay(number)
        gate.until_entered(3)
        until(lambda: len(state.reserved_requests) == 12)
        assert len(state.active_requests) == 3
        assert (worker.pool.info["running"], worker.pool.info["held"]) == (3, 9)
        gate.open()
        until(lambda: len(settled) == 12)
        until(lambda: not state.requests)
        held = worker.celery.consumer.task_consumer.channel.qos
        until(lambda: held.can_consume() and len(held._delivered) == len(held._dirty), "the whole prefetch count")
    assert (gate.most, gate.entered) == (3, [*range(12)])


variable = ContextVar("variable", default=None)


def test_each_task_has_its_own_context_and_its_own_request_after_it_has_waited(app, gate, settled):
    seen = {}

    @signals.task_prerun.connect(weak=False)
    def begin(task_id=None, **_):
        assert variable.get() is None
        variable.set(task_id)

    @signals.task_postrun.connect(weak=False)
    def end(task_id=None, task=None, **_):
        seen[task_id] += [variable.get(), task.request.id]

    @app.task(bind=True, shared=False)
    async def task(self):
        await gate.pass_through()
        in_thread = await asyncio.to_thread(lambda: self.request.id)
        seen[self.request.id] = [variable.get(), in_thread, self.request.called_directly]

    try:
        with working(app, 8):
            sent = [task.delay() for _ in range(8)]
            gate.until_entered(8)
            gate.open()
            until(lambda: len(settled) == 8)
    finally:
        signals.task_prerun.disconnect(begin)
        signals.task_postrun.disconnect(end)
    assert seen == {one.id: [one.id, one.id, False, one.id, one.id] for one in sent}


def test_a_soft_limit_is_a_failure_that_the_coroutine_sees_as_its_cancelling(app, gate, settled):
    @app.task(shared=False, soft_time_limit=0.05)
    async def task():
        await gate.pass_through("soft")

    with working(app) as worker:
        sent = task.delay()
        until(lambda: settled.of(sent.id))
        until(lambda: "task-failed" in worker.kinds(sent.id))
        assert worker.events[sent.id][-1][1]["exception"] == "TaskDefect('SoftTimeLimitExceeded')"
    assert gate.cancelled == ["soft"]


def test_a_hard_limit_of_one_message_ends_its_task(app, gate, settled):
    @app.task(shared=False)
    async def task():
        await gate.pass_through("hard")

    with hearing("task_failure") as heard, working(app) as worker:
        sent = task.apply_async(time_limit=0.05)
        until(lambda: settled.of(sent.id))
        until(lambda: "task-failed" in worker.kinds(sent.id))
        assert heard(sent.id) == [("task_failure", None)]
        assert not state.requests
    assert gate.cancelled == ["hard"]


def test_a_task_that_takes_long_to_hand_its_work_back_is_terminated_and_not_out_of_time_too(
    app, gate, settled, process
):
    handed_back = Gate(process)

    @app.task(shared=False)
    async def task():
        try:
            await gate.pass_through()
        finally:
            await handed_back.pass_through()

    with working(app) as worker:
        sent = task.delay()
        gate.until_entered(1)
        request = state.requests[sent.id]
        revoke(worker, sent.id, terminate=True)
        handed_back.until_entered(1)
        process.call_soon(request._time_out)
        handed_back.open()
        until(lambda: not state.requests and not worker.pool.info["running"])
        assert worker.kinds(sent.id) == ["task-received", "task-started", "task-revoked"]
        assert handed_back.cancelled == []


def test_a_rate_limit_holds_messages_back(app, settled):
    @app.task(shared=False, rate_limit="1/h")
    async def task():
        pass

    with working(app) as worker:
        first, second = task.delay(), task.delay()
        until(lambda: worker.celery.consumer.task_buckets[task.name].contents)
        until(lambda: settled.of(first.id))
        assert "task-started" not in worker.kinds(second.id)


@pytest.mark.parametrize("ends", ["as it is cancelled", "in an error", "well"])
def test_what_is_cancelled_at_the_end_is_acknowledged_if_it_ends_well_all_the_same(app, gate, settled, ends):
    @app.task(shared=False)
    async def task(name):
        try:
            await gate.pass_through(name)
        except asyncio.CancelledError:
            if ends == "in an error":
                raise LookupError from None
            if ends == "as it is cancelled":
                raise

    with working(app, 1):
        sent = [task.delay(name) for name in "ab"]
        gate.until_entered(1)
    assert (gate.entered, gate.cancelled) == (["a"], ["a"])
    assert [settled.of(one.id) for one in sent] == [[("ack", None)] if ends == "well" else [], []]


@pytest.mark.parametrize("app", [HUB], indirect=True)  # kombu's memory transport restores nothing
def test_what_is_not_acknowledged_at_the_end_comes_back(app, gate, settled):
    @app.task(shared=False)
    async def task(name):
        await gate.pass_through(name)

    with working(app, 1):
        sent = [task.delay(name) for name in "ab"]
        gate.until_entered(1)
    gate.open()
    with working(app, 1):
        until(lambda: all(settled.of(one.id) for one in sent))
    assert sorted(gate.entered) == ["a", "a", "b"]


def test_a_defect_of_a_hook_is_a_failure_too(app, settled):
    class Hooked(Task):
        abstract = True

        def on_failure(self, *_):
            raise KeyError(SECRET)

    @app.task(shared=False, base=Hooked)
    async def task():
        raise LookupError

    with working(app) as worker:
        sent = task.delay()
        until(lambda: settled.of(sent.id))
        until(lambda: "task-failed" in worker.kinds(sent.id))
        assert worker.events[sent.id][-1][1]["exception"] == "TaskDefect('KeyError')"
        assert NUMBER not in str(worker.events)
        until(lambda: not state.requests and not worker.pool.info["running"])


@pytest.mark.parametrize("app", [HUB], indirect=True)
def test_when_the_connection_is_lost_what_runs_goes_on_and_what_waits_comes_again(app, gate, settled, empty_redis):
    """Our transport returns no message of a task that runs; its acknowledgement goes by the channel that it came by."""
    channels = {}

    @app.task(bind=True, shared=False)
    async def task(self, name):
        await gate.pass_through(name)
        channels[name] = state.requests[self.request.id].message.channel

    with working(app, 2) as worker, empty_redis["broker"].client() as client:
        consumer = worker.celery.consumer
        for name in "abc":
            task.delay(name)
        gate.until_entered(2)
        until(lambda: len(state.reserved_requests) == 3)
        lost = consumer.task_consumer.channel
        for kind in "normal", "pubsub":
            client.client_kill_filter(_type=kind, skipme=True)
        until(lambda: consumer.restart_count and consumer.task_consumer and consumer.task_consumer.channel is not lost)
        assert worker.pool.info["running"] == 2
        gate.open()
        until(lambda: "c" in gate.entered)
        until(lambda: not client.exists("unacked") and not client.exists(QUEUE), "every message")
        until(lambda: not state.requests and worker.pool.info["running"] == 0)
        after = task.delay("d")
        until(lambda: settled.of(after.id))
        until(lambda: consumer._maximum_prefetch_restored)
        assert consumer.qos.value == 2 * 4
    assert gate.entered == ["a", "b", "c", "d"]
    assert [channels[name] is lost for name in "abcd"] == [True, True, False, False]


WAYS = {
    "a plain message": ({}, True),
    "an expiry": ({"expires": 3600}, True),
    "a time limit": ({"time_limit": 60}, True),
    "a priority": ({"priority": 3}, True),
    "a countdown": ({"countdown": 0.01}, False),
    "a callback": ({"link": "noop"}, False),
    "an errback": ({"link_error": "noop"}, False),
    "a chain": ({"chain": ["noop"]}, False),
    "a group": ({"group_id": "g"}, False),
}


@pytest.mark.parametrize(("options", "is_ours"), WAYS.values(), ids=WAYS.keys())
def test_what_is_rare_goes_celerys_own_way_and_runs_on_the_same_event_loop(app, settled, options, is_ours):
    seen = []

    @app.task(shared=False)
    async def noop(*_):
        pass

    @app.task(bind=True, shared=False)
    async def task(self):
        seen.append((isinstance(state.requests[self.request.id], CoroutineRequest), threading.current_thread().name))

    options = {key: noop.si() if value == "noop" else value for key, value in options.items()}
    if "chain" in options:
        options["chain"] = [noop.si()]
    with working(app) as worker:
        sent = task.apply_async(**options)
        until(lambda: settled.of(sent.id))
        until(lambda: "task-succeeded" in worker.kinds(sent.id))
        until(lambda: not state.requests and worker.pool.info["running"] == 0)
    assert seen == [(is_ours, "event-loop")]


def test_a_message_of_protocol_1_goes_celerys_own_way(app, settled):
    app.conf.task_protocol = 1
    seen = []

    @app.task(bind=True, shared=False)
    async def task(self):
        seen.append(type(state.requests[self.request.id]) is CoroutineRequest)

    with working(app):
        task.delay()
        until(lambda: settled)
    assert seen == [False]


@pytest.mark.parametrize("kind", ["an ordinary function", "a hook", "another pool"])
def test_a_task_that_is_no_plain_coroutine_goes_celerys_own_way(app, settled, kind):
    seen = []

    class Hooked(Task):
        abstract = True

        def after_return(self, *_):
            seen.append("after")

    if kind == "an ordinary function":

        @app.task(bind=True, shared=False)
        def task(self):
            seen.append(type(state.requests[self.request.id]) is CoroutineRequest)
    else:

        @app.task(bind=True, shared=False, base=Hooked if kind == "a hook" else Task)
        async def task(self):
            seen.append(type(state.requests[self.request.id]) is CoroutineRequest)

    pool = "threads" if kind == "another pool" else "workers.process.coroutine_pool:TaskPool"
    with start_worker(app, pool=pool, concurrency=2, perform_ping_check=False, shutdown_timeout=60):
        sent = task.delay()
        until(lambda: settled.of(sent.id))
    assert seen[0] is False
    assert seen[1:] == (["after"] if kind == "a hook" else [])


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("abc", {}),
        ([[], {}], {}),
        ([{}, [], {}], {}),
        ([[], {}, {}], {"timelimit": [1]}),
        ([[], {}, {}], {"timelimit": ["soon", None]}),
        ([[], {}, {}], {"id": None}),
    ],
)
@pytest.mark.parametrize("app", [NO_HUB], indirect=True)
def test_a_message_without_the_form_of_a_task_is_rejected_and_the_worker_goes_on(app, settled, body, headers):
    @app.task(shared=False)
    async def task():
        pass

    with working(app) as worker:
        with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
            own = {"task": task.name, "id": "bad", "lang": "py", **headers}
            producer.publish(body, headers=own, routing_key=QUEUE, exchange="", serializer="json")
        until(lambda: settled)
        assert settled[0][1:3] == ("reject", False)
        good = task.delay()
        until(lambda: "task-succeeded" in worker.kinds(good.id))
