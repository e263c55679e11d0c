"""What one, two and four worker processes of a register do: `python -m bench.scaling` prints it as JSON.

SU is answered after 200 ms by the lean server, so that the workers are what is measured. Everything runs on this
machine: the workers, Redis, the server and this process share its cores, which the result names. Each figure is the
middle 80 % of the refreshes, of citizens who wait (one message each) and of the schedule (chunks of 50).
"""

import argparse
import asyncio
import json
import os
import sys
import time
from typing import Any

import psutil

from bench.fetches import ask_for, schedule_all
from bench.harness import contained, installed
from demo.installation import Installation, Process

PROCESSES = (1, 2, 4)


async def run(here: Installation, workers: int, count: int, *, scheduled: bool) -> dict[str, Any]:
    """Empties Redis, fills the queue, starts so many workers, and measures them until it is empty."""
    for server in here.redis.values():
        with server.client() as client:
            client.flushall()
    await (schedule_all if scheduled else ask_for)(count)
    started = [here.start_worker("su", f"{workers}-{scheduled}-{number}") for number in range(workers)]
    try:
        return await _measure(here, started, count)
    finally:
        for worker in started:
            worker.stop()


async def _measure(here: Installation, workers: list[Process], count: int) -> dict[str, Any]:
    first = busy = 0.0
    begun = 0
    ends = time.monotonic() + 120
    processes = [psutil.Process(worker.popen.pid) for worker in workers]
    with here.redis["cache"].client() as cache:
        already = cache.dbsize()
        while (done := cache.dbsize() - already) < 0.9 * count:
            if time.monotonic() > ends:
                print(workers[0].log.read_text(encoding="utf-8")[-3000:], file=sys.stderr)
                raise TimeoutError(f"{done} of {count}")
            if done >= 0.1 * count and not first:
                first, begun = time.monotonic(), done
                busy = sum(sum(process.cpu_times()[:2]) for process in processes)
            await asyncio.sleep(0.02)
    seconds, busy = time.monotonic() - first, sum(sum(process.cpu_times()[:2]) for process in processes) - busy
    return {
        "per_second": round((done - begun) / seconds, 1),
        "cpu_ms_per_refresh": round(1000 * busy / (done - begun), 2),
        "resident_mib_per_process": round(max(process.memory_info().rss for process in processes) / 2**20),
    }


def main() -> None:
    """Runs all figures and prints them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--citizens", type=int, default=4000)
    citizens = options.parse_args().citizens
    with contained(), installed() as (here, _):
        found = {
            str(workers): {
                lane: asyncio.run(run(here, workers, citizens, scheduled=lane == "schedule"))
                for lane in ("interactive", "schedule")
            }
            for workers in PROCESSES
        }
    print(json.dumps({"cores": os.cpu_count(), "citizens": citizens, "processes": found}, indent=2))


if __name__ == "__main__":
    main()
