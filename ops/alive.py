"""`registerbro alive QUEUE…`: whether these queues' tasks are carried out; containers' health checks ask it."""

import asyncio
from typing import Annotated

import typer

from config.celery import QUEUES
from ops.console import fail, open_settings
from ops.terminal import say
from workers import heartbeat
from workers.connections import REDIS_DOWN, connect


def alive(queues: Annotated[list[str], typer.Argument(metavar="QUEUE…", help=f"Of {', '.join(QUEUES)}.")]) -> None:
    """Exit status 0 when each of these queues has shown a sign of life within the last seconds, and 1 when not."""
    if unknown := set(queues) - set(QUEUES):
        fail(f"no such queue: {', '.join(sorted(unknown))} (there are {', '.join(QUEUES)})")
    settings = open_settings()

    async def look() -> dict[str, bool]:
        coordination = connect(settings.coordination)
        try:
            return await heartbeat.consumed(coordination, queues)
        finally:
            await coordination.aclose()

    try:
        found = asyncio.run(look())
    except REDIS_DOWN as error:
        fail(f"Redis does not answer: {type(error).__name__}", status=1)
    for queue, is_alive in found.items():
        say(f"{queue}: {'alive' if is_alive else 'no sign of life'}")
    if not all(found.values()):
        raise typer.Exit(1)
