"""The pool: no more jobs at a time than are allowed, each settled in the consumer's thread, and at the end all."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest
from celery import Celery
from celery.exceptions import WorkerTerminate
from celery.worker import state

from workers.process import coroutine_pool, current
from workers.process.base_task import Task
from workers.process.coroutine_pool import TaskPool

WITHIN = 20


class Job:
    """A job that ends when the test says so."""

    def __init__(self, pool, name, log, *, is_wanted=True, fails=False, ends_when_aborted=True):
        self._pool, self.name, self._log = pool, name, log
        self._is_wanted, self._fails, self._ends_when_aborted = is_wanted, fails, ends_when_aborted

    def begin(self):
        self._log.append(("begin", self.name))
        if self._fails:
            raise LookupError
        return self._is_wanted

    def settle(self):
        self._log.append(("settle", self.name))
        if self._fails is None:
            raise LookupError

    def abort(self):
        self._log.append(("abort", self.name))
        if self._ends_when_aborted:
            self._pool.ended(self)


class Consumer:
    """The thread of a consumer, which is the test's: it does what it was called to when `turn` says so."""

    def __init__(self):
        self.calls = SimpleQueue()

    def call_soon(self, work):
        self.calls.put(work)

    def turn(self):
        while not self.calls.empty():
            self.calls.get()()


@pytest.fixture
def consumer():
    return Consumer()


@pytest.fixture
def pool(consumer, monkeypatch):
    monkeypatch.setattr(state, "should_terminate", None)
    it = TaskPool(limit=2)
    it.start()
    it.attach(consumer.call_soon)
    yield it
    it.executor.shutdown()


@pytest.fixture
def process(make_settings):
    yield current.open(make_settings())
    current.close()


@pytest.fixture
def log():
    return []


def ending(pool, *jobs):
    """Has jobs end, in another thread."""
    with ThreadPoolExecutor(1) as other:
        for job in jobs:
            other.submit(pool.ended, job).result()


def begun(log):
    return [name for what, name in log if what == "begin"]


def test_jobs_begin_in_order_and_no_more_at_a_time_than_are_allowed(pool, consumer, log):
    jobs = [Job(pool, number, log) for number in range(5)]
    for job in jobs:
        pool.take(job)
    assert begun(log) == [0, 1]
    assert (pool.info["running"], pool.info["held"], pool.info["max-concurrency"]) == (2, 3, 2)
    ending(pool, jobs[1], jobs[0])
    assert begun(log) == [0, 1]
    consumer.turn()
    assert log[2:] == [("settle", 1), ("settle", 0), ("begin", 2), ("begin", 3)]
    ending(pool, jobs[2])
    consumer.turn()
    assert begun(log) == [0, 1, 2, 3, 4]


def test_the_consumers_thread_is_called_once_for_all_that_have_ended(pool, consumer, log):
    jobs = [Job(pool, number, log) for number in range(2)]
    for job in jobs:
        pool.take(job)
    ending(pool, *jobs)
    assert consumer.calls.qsize() == 1


def test_the_event_loop_is_called_once_for_all_that_begin_at_a_turn_and_in_their_order(pool, consumer, process):
    started, threads = [], set()
    last = threading.Event()

    def start(number):
        started.append(number)
        threads.add(threading.current_thread().name)
        if number == 2:
            last.set()

    for number in range(3):
        pool.start_soon(lambda number=number: start(number))
    assert (started, consumer.calls.qsize()) == ([], 1)
    consumer.turn()
    assert last.wait(WITHIN)
    assert (started, threads) == ([0, 1, 2], {"event-loop"})


def test_what_was_to_start_does_so_though_the_connection_is_lost(pool, consumer, process):
    started = threading.Event()
    pool.start_soon(started.set)
    consumer.calls.get()
    pool.attach(consumer.call_soon)
    assert started.wait(WITHIN)


def test_a_call_that_was_lost_with_the_connection_is_made_up_for_at_the_next(pool, consumer, log):
    pool.take(job := Job(pool, 0, log))
    ending(pool, job)
    consumer.calls.get()
    pool.attach(consumer.call_soon)
    assert log == [("begin", 0), ("settle", 0)]
    pool.take(job)
    ending(pool, job)
    consumer.turn()
    assert log[2:] == [("begin", 0), ("settle", 0)]


def test_a_job_from_another_thread_begins_in_the_consumers(pool, consumer, log):
    with ThreadPoolExecutor(1) as other:
        other.submit(pool.take, Job(pool, 0, log)).result()
    assert log == []
    consumer.turn()
    assert log == [("begin", 0)]


def test_a_job_that_is_not_wanted_or_cannot_begin_leaves_its_place_to_the_next(pool, consumer, log, logged):
    for job in Job(pool, 0, log, is_wanted=False), Job(pool, 1, log, fails=True), Job(pool, 2, log), Job(pool, 3, log):
        pool.take(job)
    assert begun(log) == [0, 1, 2, 3]
    assert pool.info["running"] == 2
    assert logged == [{"event": "task_not_begun", "detail": "LookupError", "log_level": "critical"}]


def test_a_job_that_cannot_be_settled_does_not_hold_up_the_others(pool, consumer, log, logged):
    jobs = [Job(pool, 0, log, fails=None), Job(pool, 1, log), Job(pool, 2, log)]
    for job in jobs:
        pool.take(job)
    ending(pool, *jobs[:2])
    consumer.turn()
    assert log[2:] == [("settle", 0), ("settle", 1), ("begin", 2)]
    assert [line["event"] for line in logged] == ["task_not_settled"]


def test_what_has_not_begun_is_forgotten_with_its_connection(pool, consumer, log):
    jobs = [Job(pool, number, log) for number in range(3)]
    for job in jobs:
        pool.take(job)
    pool.flush()
    ending(pool, jobs[0])
    consumer.turn()
    assert begun(log) == [0, 1]


def test_a_stop_returns_when_what_runs_is_settled_and_begins_nothing_more(pool, log):
    jobs = [Job(pool, number, log) for number in range(3)]
    for job in jobs:
        pool.take(job)
    later = threading.Timer(0.1, ending, (pool, *jobs[:2]))
    later.start()
    pool.stop()
    later.join()
    assert log[2:] == [("settle", 0), ("settle", 1)]
    pool.take(Job(pool, 4, log))
    assert begun(log) == [0, 1]


def test_a_second_stop_within_the_first_leaves_neither_waiting(pool, log):
    """As when SIGQUIT comes during a warm shutdown: its handler runs in the thread that waits."""
    pool.take(job := Job(pool, 0, log))
    settle, nested = job.settle, []

    def interrupted():
        settle()
        nested.append(pool.stop())

    job.settle = interrupted
    pool.take(other := Job(pool, 1, log))
    threading.Timer(0.05, ending, (pool, job)).start()
    threading.Timer(0.1, ending, (pool, other)).start()
    pool.stop()
    assert nested == [None]
    assert log[2:] == [("settle", 0), ("settle", 1)]


def test_a_cold_shutdown_ends_what_runs_early(pool, log):
    jobs = [Job(pool, number, log) for number in range(3)]
    for job in jobs:
        pool.take(job)
    pool.terminate()
    assert begun(log) == [0, 1]
    assert sorted(log[2:]) == [("abort", 0), ("abort", 1), ("settle", 0), ("settle", 1)]


def test_a_cold_shutdown_waits_no_longer_than_its_grace(pool, log, logged, monkeypatch):
    monkeypatch.setattr(coroutine_pool, "CANCELLED_WITHIN", coroutine_pool.CANCELLED_WITHIN / 100)
    pool.take(Job(pool, 0, log, ends_when_aborted=False))
    pool.terminate()
    assert [(line["event"], line["tasks"]) for line in logged] == [("tasks_left_running", 1)]


def test_what_celerys_tracer_carries_out_takes_a_place_like_any_other(pool, consumer, process):
    inside, leave, done = SimpleQueue(), asyncio.Event(), []

    async def hold():
        inside.put(1)
        await leave.wait()
        return threading.current_thread().name

    def work(number):
        return number, coroutine_pool.wait(hold())

    for number in range(3):
        pool.apply_async(work, (number,), callback=done.append, accept_callback=lambda pid, at: None)
    for _ in range(2):
        inside.get(timeout=WITHIN)
    assert (pool.info["running"], pool.info["held"]) == (2, 1)
    process.call_soon(leave.set)
    while len(done) < 3:
        consumer.calls.get(timeout=WITHIN)()
    assert sorted(done) == [(number, "event-loop") for number in range(3)]


def test_a_job_of_celerys_tracer_that_is_terminated_is_cancelled_and_not_settled(pool, consumer, process):
    inside, cancelled, done = threading.Event(), threading.Event(), []

    async def hold():
        inside.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    job = pool.apply_async(lambda: coroutine_pool.wait(hold()), callback=done.append)
    assert inside.wait(WITHIN)
    job.terminate(15)
    assert cancelled.wait(WITHIN)
    consumer.calls.get(timeout=WITHIN)()
    assert (done, pool.info["running"]) == ([], 0)


def test_a_defect_of_celerys_handling_frees_the_place_and_is_logged(pool, consumer, process, logged):
    def broken():
        raise KeyError("secret")

    pool.apply_async(broken, callback=lambda _: None)
    consumer.calls.get(timeout=WITHIN)()
    assert pool.info["running"] == 0
    assert logged == [{"event": "task_not_ended", "detail": "KeyError", "log_level": "critical"}]


def test_who_waits_gets_the_result_or_the_error(process):
    async def answer():
        return 42

    async def fail():
        raise LookupError("gone")

    assert coroutine_pool.wait(answer()) == 42
    with pytest.raises(LookupError, match="gone"):
        coroutine_pool.wait(fail())


async def test_who_would_block_an_event_loop_is_refused(process):
    with pytest.raises(RuntimeError, match="blocks the event loop"):
        coroutine_pool.wait(asyncio.sleep(0))


def test_without_the_processs_event_loop_nothing_is_waited_for():
    with pytest.raises(RuntimeError, match="is not open"):
        coroutine_pool.wait(asyncio.sleep(0))


def test_the_end_of_the_process_is_no_result_of_a_task(make_settings):
    inside = threading.Event()

    async def hold():
        inside.set()
        await asyncio.Event().wait()

    current.open(make_settings())
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(coroutine_pool.wait, hold())
        assert inside.wait(WITHIN)
        current.close()
        assert isinstance(waiting.exception(WITHIN), WorkerTerminate)


def test_apply_runs_a_coroutine_function_to_its_end(process):
    app = Celery("pool", task_cls=Task, set_as_current=False)

    @app.task(shared=False)
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    assert double.apply((21,)).get() == 42
    assert double(21) == 42
    app.conf.task_always_eager = True
    assert double.delay(21).get() == 42
