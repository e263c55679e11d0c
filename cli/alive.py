"""`registerbro alive QUEUE…`: health check of containers: tells whether these queues are consumed."""

import asyncio
from typing import Annotated

import typer

from cli.process import fail
from cli.session import open_settings
from config.celery import QUEUES
from registerbro.storage.coordination import queue_liveness
from registerbro.storage.redis_client import REDIS_DOWN, connect
from registerbro.terminal import say


def alive(queues: Annotated[list[str], typer.Argument(metavar="QUEUE…", help=f"Of {', '.join(QUEUES)}.")]) -> None:
    """Exit status 0 when each of these queues has shown a sign of life within the last seconds, and 1 when not."""
    if unknown := set(queues) - set(QUEUES):
        fail(f"no such queue: {', '.join(sorted(unknown))} (there are {', '.join(QUEUES)})")
    settings = open_settings()

    async def look() -> dict[str, bool]:
        coordination = connect(settings.coordination)
        try:
            return await queue_liveness.consumed(coordination, queues)
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
