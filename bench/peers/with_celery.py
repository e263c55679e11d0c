"""Celery as it mostly is: kombu's own Redis transport, prefork, and synchronous httpx.

celery -A bench.peers.with_celery worker --concurrency N;  python -m bench.peers.with_celery N  publishes
"""

import sys
from typing import Any

import httpx
import redis
from celery import Celery, signals

from bench.peers.work import BROKER, CPR_HEADER, KEPT_FOR, STORE, UPSTREAM, checked, key
from bench.people import numbers

app = Celery("peers", broker=BROKER)
app.conf.update(task_ignore_result=True, task_acks_late=True, broker_connection_retry_on_startup=True)
_clients: dict[str, Any] = {}


@signals.worker_process_init.connect
def _open(**_: object) -> None:
    _clients["http"] = httpx.Client(timeout=10)
    _clients["redis"] = redis.Redis.from_url(STORE)


@app.task(name="fetch")
def fetch(cpr: str) -> None:
    """The task."""
    answer = _clients["http"].get(UPSTREAM, headers={CPR_HEADER: cpr}).raise_for_status()
    _clients["redis"].set(key(cpr), checked(cpr, answer.content), px=KEPT_FOR)


if __name__ == "__main__":
    for number in numbers(int(sys.argv[1])):
        fetch.delay(number)
