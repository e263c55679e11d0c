"""`python -m tests.system.chaos.refusals --seconds N`: each Redis server refuses, in each way that it can, under load.

A whole installation is up, citizens read pages, have them refreshed and hand in fault reports, and tasks run that last
longer than the refusal. Each server in turn refuses for so many seconds with READONLY, OOM, MISCONF, NOREPLICAS, BUSY
and LOADING; then all must go on by itself. One line of JSON per refusal says what was seen; the last is the verdict.
The exit status is 1 if a process ended, a page did not answer with data or with R8's text, something that was
acknowledged is lost, or a task was started again.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from config.celery import WORKERS
from demo.installation import Installation
from tests.system.chaos.harm import under_load
from tests.system.chaos.load import SETTINGS, Effort, Load, silences, start
from tests.system.chaos.program import Found, ended
from tests.system.chaos.refusing import KINDS, loading

ROLES = ("broker", "ledger", "cache")
CODES = ("READONLY", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "LOADING")
GOES_ON_WITHIN_SECONDS = 90.0
"""A worker that was refused tries again after up to 30 s; a busy machine takes its time."""
CALM_SECONDS = 2.0
"""Between two long refusals."""
LONG = 10.0
"""Seconds from which on a refusal is worth waiting for all that follows it."""


@asynccontextmanager
async def _in_a_thread(refusal: AbstractContextManager[None]) -> AsyncIterator[None]:
    """What blocks while it begins and while it ends, beside an event loop that goes on."""
    await asyncio.to_thread(refusal.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(refusal.__exit__, None, None, None)


async def refuse(load: Load, role: str, code: str, seconds: float) -> dict:
    """One refusal: before it a task begins that ends after it, and one that ends while it lasts."""
    load.phase = f"{role} {code}"
    server = load.here.redis[role]
    refusal = loading(server, seconds) if code == "LOADING" else KINDS[code](server)
    effort, began = Effort(load.here), time.monotonic()
    async with load.lasting(), load.lasting() as until:
        async with _in_a_thread(refusal):
            refused = time.monotonic()
            await asyncio.sleep(seconds / 2)
            until.touch()
            await asyncio.sleep(seconds / 2)
            taken = effort.told()
        over = time.monotonic()
        goes_on = await load.goes_on(over, GOES_ON_WITHIN_SECONDS, for_everybody=seconds >= LONG)
    load.check_processes()
    quiet = silences(load.runs(), began, over, load.queues())
    told = load.told(load.phase)
    load.phase = "calm"
    if seconds >= LONG:
        await asyncio.sleep(CALM_SECONDS)
    return {
        "refusal": f"{role} {code}", "seconds": round(over - refused, 1), "goes_on_after": goes_on,
        "longest_silence": max(quiet.items(), key=lambda one: one[1]), **told, **taken,
    }  # fmt: skip


async def refuse_each(load: Load, refusals: Iterable[tuple[str, str]], seconds: float) -> None:
    """All of these refusals, one after the other. Prints what was seen of each."""
    for role, code in refusals:
        print(json.dumps(await refuse(load, role, code, seconds)), flush=True)


def main() -> int:
    """Runs, prints what was found, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="refusals", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long each refusal lasts")
    parser.add_argument("--only", nargs="*", help="of these alone, as broker:READONLY")
    parser.add_argument("--services", nargs="*", default=list(WORKERS), help="the workers to start")
    parser.add_argument("--keep", type=Path, help="a folder for the logs, which are kept")
    arguments = parser.parse_args()
    everything = [(role, code) for code in CODES for role in ROLES]
    refusals = [tuple(one.split(":")) for one in arguments.only] if arguments.only else everything

    def work(here: Installation) -> Found:
        here.start_redis()
        start(here, arguments.services)
        return asyncio.run(
            under_load(here, arguments.services, lambda load: refuse_each(load, refusals, arguments.seconds))
        )

    return ended("refusals", SETTINGS, work, keep=arguments.keep)


if __name__ == "__main__":
    sys.exit(main())
