"""The Celery app with a thread beside it that tells once a second what the process holds: for bench/soak.py."""

import asyncio
import gc
import json
import sys
import threading
import time
from typing import Any

from celery import signals

from bench.harness import MARK
from workers.app import app
from workers.process import current

__all__ = ["app"]

COLLECTED_AFTER = 10
"""Seconds of rest, in which nothing but the journal's upkeep is there, after which the garbage is collected once."""


def _tell() -> None:
    at_rest = 0
    told: dict[str, int] = {}
    while True:
        time.sleep(1)
        loop = current.event_loop()._loop  # noqa: SLF001 - nobody else has a use for it
        told |= {"tasks": len(asyncio.all_tasks(loop)), "threads": threading.active_count()}
        at_rest = at_rest + 1 if told["tasks"] == 1 else 0
        if not at_rest:
            told.pop("blocks", None)  # those of an earlier rest would say nothing of this one
        if at_rest == COLLECTED_AFTER:
            gc.collect()
            told["blocks"] = sys.getallocatedblocks()
        print(MARK + json.dumps(told), file=sys.stderr, flush=True)


@signals.worker_ready.connect
def _start(**_: Any) -> None:  # noqa: ANN401 - what a signal brings
    threading.Thread(target=_tell, daemon=True).start()
