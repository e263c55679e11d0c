"""Fetches one large answer in a process of its own, and prints what that took: one JSON object.

Run with the address of a server that gives the answer: `python -m tests.workers.eindkomst.large URL`.
"""

import asyncio
import json
import re
import resource
import sys
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

from config.settings import EindkomstSettings
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.support import ProcessAdmission
from tests.workers.eindkomst.answers import CPR
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.normalise import normalise

TICK_SECONDS = 0.001


def peak_mib():
    """The most memory that this program has had so far, in MiB.

    Linux tells it in /proc; what getrusage tells there counts the parent's memory before this program was started.
    """
    with suppress(OSError):
        return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


async def tick(gaps):
    """Notes how long the event loop let it wait, each time, beyond what it asked for."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(TICK_SECONDS)
        gaps.append(time.monotonic() - before - TICK_SECONDS)


async def fetch(url):
    settings = EindkomstSettings(total_timeout="PT60S", attempt_timeout="PT60S")
    upstream = Upstream("eindkomst", settings, HttpClient(url, settings), ProcessAdmission("eindkomst"), NoTrail())
    client = EindkomstClient(upstream, settings, lambda: date(2026, 11, 23))
    gaps = []
    ticking = asyncio.create_task(tick(gaps))
    start, began = peak_mib(), time.process_time()
    reports = await client.fetch(CPR)
    employments = normalise(reports, {}).sections["employments"]
    took = time.process_time() - began
    # What held the loop last is told when the loop comes round again.
    await asyncio.sleep(2 * TICK_SECONDS)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    await upstream.close()
    return {
        "reports": len(reports.read),
        "left_out": len(reports.left_out),
        "employments": len(employments),
        "mib_beyond_the_start": round(peak_mib() - start, 1),
        "loop_held_ms": round(max(gaps) * 1000, 1),
        "cpu_ms": round(took * 1000),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fetch(sys.argv[1]))))
