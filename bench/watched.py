"""The Celery app with a thread beside it that tells once a second what the process holds: for bench/soak.py."""

import asyncio
import json
import sys
import threading
import time
from typing import Any

from celery import signals

from bench.harness import MARK
from workers import runtime
from workers.app import app

__all__ = ["app"]


def _tell() -> None:
    while True:
        time.sleep(1)
        loop = runtime.current()._loop  # noqa: SLF001 - nobody else has a use for it
        told = {"tasks": len(asyncio.all_tasks(loop)), "threads": threading.active_count()}
        print(MARK + json.dumps(told), file=sys.stderr, flush=True)


@signals.worker_ready.connect
def _start(**_: Any) -> None:  # noqa: ANN401 - what a signal brings
    threading.Thread(target=_tell, daemon=True).start()
