"""Beat's schedule: which task is sent how often to which queue."""

from datetime import timedelta
from typing import Any

from config.celery import (
    BOOKING_VENDOR,
    CANCEL_EVERY,
    DELIVER_EVERY,
    HEARTBEAT_EVERY,
    REGISTERS,
    SCHEDULE_EVERY,
    SCHEDULED,
    SUBSCRIBED,
    SWEEP_EVERY,
    TIDY_EVERY,
    WORKERS,
)


def entries() -> dict[str, dict[str, Any]]:
    """Beat's schedule: entry → task, period and queue."""
    return {
        **{f"{name}.sweep": _every(SWEEP_EVERY, f"{name}.sweep") for name in REGISTERS},
        **{f"{name}.schedule": _every(SCHEDULE_EVERY, f"{name}.schedule") for name in SCHEDULED},
        **{f"{name}.cancel_subscriptions": _every(CANCEL_EVERY, f"{name}.cancel_subscriptions") for name in SUBSCRIBED},
        f"{BOOKING_VENDOR}.deliver_due": _every(DELIVER_EVERY, f"{BOOKING_VENDOR}.deliver_due"),
        f"{BOOKING_VENDOR}.tidy": _every(TIDY_EVERY, f"{BOOKING_VENDOR}.tidy"),
        **{
            f"{queue}.alive": _every(HEARTBEAT_EVERY, f"{name}.alive", queue)
            for name, queues in WORKERS.items()
            for queue in queues
        },
    }


def _every(interval: timedelta, task: str, queue: str | None = None) -> dict[str, Any]:
    """An entry of the schedule; a task gets its `queue` as an argument where one is given.

    No message of it expires, as that would take two clocks that agree (`registerbro/messaging/backlog.py`).
    """
    return {
        "task": task,
        "schedule": interval,
        "args": [] if queue is None else [queue],
        "options": {"queue": queue or task.partition(".")[0]},
    }
