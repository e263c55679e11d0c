"""Harm under load: what a chaos program does to an installation while citizens and workers are busy."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from config.settings import load as load_settings
from demo.installation import Installation
from simulators.control import Control
from tests.system.chaos.load import PROBLEMS_TOLD, Load
from tests.system.chaos.program import Found


async def under_load(here: Installation, services: Iterable[str], harm: Callable[[Load], Awaitable[None]]) -> Found:
    """Does the harm while citizens and workers are busy, and returns the verdict; prints the first problems."""
    os.environ.update(here.environment)
    from workers import app  # noqa: F401 - its broker is this installation's

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
    with Control(here.upstreams) as control:
        control.know_keys()
        async with Load(here, control, load_settings(), services) as load:
            await harm(load)
            found = await load.ended()
            for problem in load.problems[:PROBLEMS_TOLD]:
                print(problem, file=sys.stderr)
            return found
