"""Tasks that every register has: runs `<name>.refresh`, and makes the background tasks."""

from typing import Any

import structlog
from celery import shared_task

from registerbro.refresh import schedule as scheduled
from registerbro.refresh.register import Register
from registerbro.storage.cache.citizens import is_citizen_id
from workers.process import canary_task, current

log = structlog.get_logger()


async def run_refresh(register: Register, citizen_id: str) -> None:
    """Runs `<name>.refresh`; a message whose argument is no citizen id is logged and dropped."""
    if not is_citizen_id(citizen_id):
        log.error("task_refused", register=register.name, detail="the argument is no citizen id")
        return
    await register.refresh(current.event_loop().services, citizen_id)


def make_background_tasks(register: Register) -> None:
    """Makes the register's other tasks: `<name>.refresh_many`, `.sweep`, `.schedule` and `.alive`."""
    canary_task.make_task(register.name)

    @shared_task(name=f"{register.name}.refresh_many")
    async def refresh_many(citizen_ids: Any, early: bool = False) -> None:  # noqa: ANN401, FBT001, FBT002 - as messages are
        if not isinstance(citizen_ids, list) or not all(map(is_citizen_id, citizen_ids)):
            log.error("task_refused", register=register.name, detail="the argument is no list of citizen ids")
            return
        await register.refresh_many(current.event_loop().services, citizen_ids, early=early)

    @shared_task(name=f"{register.name}.sweep")
    async def sweep() -> None:
        await register.sweep(current.event_loop().services)

    @shared_task(name=f"{register.name}.schedule")
    async def schedule() -> None:
        await scheduled.run(current.event_loop().services, register.name)
