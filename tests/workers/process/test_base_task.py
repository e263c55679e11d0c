"""A task that fails tells Celery, its events and the log the kind of its error, and nothing of what it was about."""

import asyncio
import io
import json
import logging
import sys

import pytest
import structlog
from celery import Celery
from celery.exceptions import Ignore

from config.logging import configure
from workers.process import current
from workers.process.base_task import Task, TaskDefect

NUMBER, WORDS = "6102991234", "Zebrafinken sang"


@pytest.fixture(autouse=True)
def process(make_settings):
    yield current.open(make_settings())
    current.close()


@pytest.fixture
def app():
    return Celery("test", task_cls=Task, set_as_current=False, broker_url="memory://", task_ignore_result=True)


def fails(app, error):
    @app.task(name="test.fails", shared=False)
    async def fail(of):
        raise error

    return fail


KINDS = {
    "one": ValueError(f"{NUMBER} {WORDS}"),
    "a group": ExceptionGroup(WORDS, [ExceptionGroup(NUMBER, [ValueError(f"{NUMBER} {WORDS}")])]),
}


@pytest.mark.parametrize("error", KINDS.values(), ids=KINDS.keys())
def test_what_leaves_a_failed_task_is_the_kind_of_its_error_and_no_word_of_it(app, error, written):
    ended = fails(app, error).apply(args=("x",))
    assert isinstance(ended.result, TaskDefect)
    assert str(ended.result) == "ValueError"
    assert (ended.result.__cause__, ended.result.__context__) == (None, None)
    everything = f"{ended.traceback}{ended.result!r}{written.getvalue()}"
    assert NUMBER not in everything
    assert "Zebra" not in everything


def test_the_log_says_which_task_failed_and_where(app, written):
    fails(app, LookupError(NUMBER)).apply(args=("x",))
    line = next(line for line in map(json.loads, written.getvalue().splitlines()) if line["event"] == "task_defect")
    assert (line["task"], line["detail"], line["level"]) == ("test.fails", "LookupError", "critical")
    assert line["places"][-1].startswith("test_base_task.py:")
    assert line["places"][-1].endswith(" fail")


@pytest.mark.parametrize("error", [SystemExit(NUMBER), KeyboardInterrupt(NUMBER), asyncio.CancelledError(NUMBER)])
def test_what_would_end_the_event_loop_is_a_defect_like_any_other(app, process, error, written):
    assert str(fails(app, error).apply(args=("x",)).result) == type(error).__name__
    assert NUMBER not in written.getvalue()
    process.run(asyncio.sleep(0))


def test_an_ordinary_function_is_held_to_the_same(app, written):
    @app.task(shared=False)
    def fail():
        raise ValueError(NUMBER)

    assert repr(fail.apply().result) == "TaskDefect('ValueError')"
    assert NUMBER not in written.getvalue()


async def test_each_coroutine_has_its_own_request(app):
    @app.task(bind=True, shared=False)
    async def task(self, entered, leave):
        self.request_stack.push(name := object())
        entered.set()
        await leave.wait()
        return [name is await asyncio.to_thread(lambda: self.request_stack.top), len(self.request_stack)]

    entered, leave = [asyncio.Event(), asyncio.Event()], asyncio.Event()
    running = [asyncio.create_task(task.carry_out(event, leave)) for event in entered]
    for event in entered:
        await event.wait()
    leave.set()
    assert await asyncio.gather(*running) == [[True, 1], [True, 1]]
    assert task.request_stack.top is None


def test_what_celery_itself_works_with_passes(app):
    assert fails(app, Ignore()).apply(args=("x",)).state == "IGNORED"


def test_every_task_of_ours_is_such_a_task(make_settings):
    from tests.support import app_for_environment

    make_settings()
    ours = [task for name, task in app_for_environment().tasks.items() if not name.startswith("celery.")]
    assert ours
    assert all(isinstance(task, Task) for task in ours)


@pytest.fixture
def written(monkeypatch):
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream := io.StringIO())
    for hook in ("excepthook", "unraisablehook"):
        monkeypatch.setattr(sys, hook, getattr(sys, hook))
    configure("INFO")
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
