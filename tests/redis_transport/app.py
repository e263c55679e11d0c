"""A small Celery app of its own for the transport's tests: what it is to do comes from the environment."""

import json
import os
import signal
import time

import redis
from celery import Celery, Task
from celery.exceptions import Reject

from redis_transport import install, scripts

SETTINGS = "TRANSPORT_TEST_SETTINGS"
QUEUE = "check"
STOCK = "kombu.transport.redis:Transport"
CLOCK_THAT_CAN_BE_SET = """
local function now()
  local t = redis.call('TIME')
  return t[1] + t[2] / 1000000 + (tonumber(redis.call('GET', 'clock is ahead by') or 0))
end
"""
"""The server's clock in every script of the transport, set by a key, since Redis has no way to set its own."""


def make_app(which: str, broker: str, **options: object) -> Celery:
    """An app that publishes to, or consumes from, a broker with one of the transports."""
    if which == "ours":
        install()
    app = Celery("transport_tests", broker=broker, set_as_current=False)
    app.conf.update(
        broker_transport=None if which == "ours" else STOCK,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_timeout": 5, "socket_connect_timeout": 2} | options,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_ignore_result=True,
        task_reject_on_worker_lost=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
    )
    return app


if SETTINGS in os.environ:
    settings = json.loads(os.environ[SETTINGS])
    if settings.get("clock"):
        scripts.CLOCK = CLOCK_THAT_CAN_BE_SET
    app = make_app(settings["which"], settings["broker"], **settings["options"])
    notes = redis.Redis.from_url(settings["notes"])

    @app.task(name="note")
    def note(name: str) -> None:
        """Notes that it ran."""
        notes.rpush("ran", name)

    @app.task(name="long")
    def long(name: str) -> None:
        """Runs until it is told to end."""
        notes.rpush("ran", name)
        while not notes.exists(f"end {name}"):
            time.sleep(0.05)
        notes.rpush("ended", name)

    @app.task(name="poison")
    def poison(name: str) -> None:
        """Kills the process that runs it."""
        notes.rpush("ran", name)
        os.kill(os.getpid(), signal.SIGKILL)

    @app.task(name="reject", bind=True)
    def reject(self: Task, name: str) -> None:
        """Asks to be run again, always."""
        notes.rpush("ran", name)
        raise Reject("again", requeue=True)
