"""What a worker of a chaos run does besides (`celery worker -I tests.system.chaos.recording`): it notes each run of a
task.

The notes are lines of JSON in the file `NOTES`: the moment by the clock that all processes of a machine share and
nobody sets, the process, the task's id, its name and its queue, and whether it began or ended. `udb.lasts` is a task
that lasts until somebody makes a file.
"""

import asyncio
import json
import os
import time
from pathlib import Path

from celery import shared_task, signals

NOTES = "CHAOS_NOTES"
"""The environment variable that names the file."""
LOOKS_EVERY = 0.1


def _note(what: str, task_id: str, task) -> None:
    queue = (task.request.delivery_info or {}).get("routing_key")
    line = json.dumps([what, time.monotonic(), os.getpid(), task_id, task.name, queue]) + "\n"
    file = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


@signals.task_prerun.connect
def _began(task_id=None, task=None, **_) -> None:
    _note("began", task_id, task)


@signals.task_postrun.connect
def _ended(task_id=None, task=None, **_) -> None:
    _note("ended", task_id, task)


@shared_task(name="udb.lasts")
async def lasts(until: str) -> None:
    """Ends when the file `until` is there."""
    while not Path(until).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(LOOKS_EVERY)
