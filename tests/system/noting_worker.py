"""Tasks of a test (`celery worker -I tests.system.noting_worker`) that note in the file `NOTES` what became of them.

A note is a line: began, ended or cancelled; and the name that the task was given.
"""

import asyncio
import os
from pathlib import Path

from celery import shared_task

NOTES = "NOTES"
"""The environment variable that names the file."""
LOOKS_EVERY = 0.05


def _note(what: str, name: str) -> None:
    file = os.open(os.environ[NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{what} {name}\n".encode())
    finally:
        os.close(file)


@shared_task(name="udb.holds")
async def holds(name: str, until: str) -> None:
    """Ends when the file `until` is there."""
    _note("began", name)
    try:
        while not Path(until).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(LOOKS_EVERY)
    except asyncio.CancelledError:
        _note("cancelled", name)
        raise
    _note("ended", name)
