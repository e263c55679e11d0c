"""What one, two and four worker processes of a register do: `python -m bench.scaling` prints it as JSON.

SU is answered after 200 ms by a lean server, so that the workers are what is measured. Everything runs on this machine:
the workers, Redis, the server and this process share its cores, which the result names. Each figure is the middle 80 %
of the refreshes, of citizens who wait (one message each) and of the schedule (chunks of 50).
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from config import logging
from config.settings import settings
from ops.local import Installation, Process, free_port, installation, listens, wait_for
from workers import schedule
from workers.cache.leases import CITIZENS_WISH
from workers.domain.cpr import Cpr
from workers.runtime import Services

LATENCY = 0.2
PROCESSES = (1, 2, 4)
FORLOEB = {
    "uddannelsestype": "UNGDOMSUDDANNELSE",
    "uddannelse": "Hf",
    "startdato": "2019-08-01",
    "annulleret": False,
}
SETTINGS = {
    "SU__ADMISSION__MAX_IN_FLIGHT": "2000",
    "SU__MAX_CONNECTIONS": "500",
    "SU__SCHEDULED_PER_SECOND": "100000",
    "LOG_LEVEL": "WARNING",
}


def serve(port: int) -> None:
    """The register: everybody is known to it, and has begun one education. `/count` is how many have asked."""
    count = 0

    async def ask(request: web.Request) -> web.Response:
        nonlocal count
        await asyncio.sleep(LATENCY)
        count += 1
        return web.json_response({
            "civilRegistrationIdentifier": request.headers["x-civilRegistrationIdentifier"],
            "forloeb": [FORLOEB],
        })  # fmt: skip

    async def counted(_: web.Request) -> web.Response:
        return web.json_response(count)

    app = web.Application()
    app.router.add_get("/v1/su-forloeb", ask)
    app.router.add_get("/count", counted)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def people(count: int) -> list[Cpr]:
    """Constructed citizens: each number's day is a replacement number's, so that none is a person's."""
    return [Cpr.parse(f"{61 + n % 28}{1 + n // 28 % 12:02}{n // 336 % 90:02}{4000 + n // 30240}") for n in range(count)]


class Bench:
    """One installation with an empty Redis for each figure."""

    def __init__(self, here: Installation, port: int) -> None:
        self._here = here
        self._port = port

    async def run(self, workers: int, count: int, *, scheduled: bool) -> dict[str, Any]:
        """Fills the queue, starts so many workers, and measures them until it is empty."""
        for server in self._here.redis.values():
            with server.client() as client:
                client.flushall()
        services = Services(settings())
        try:
            await self._fill(services, people(count), scheduled=scheduled)
        finally:
            await services.close()
        before = await self._count()
        started = [self._here.start_worker("su", f"{workers}-{scheduled}-{number}") for number in range(workers)]
        try:
            return await self._measure(started, before, count)
        finally:
            for worker in started:
                worker.stop()

    async def _fill(self, services: Services, cprs: list[Cpr], *, scheduled: bool) -> None:
        from workers.register import send  # noqa: PLC0415 - it wants the app to be there

        ids = [await services.citizens.remember(cpr) for cpr in cprs]
        for citizen_id in ids:
            if scheduled:
                await services.timetable.note(citizen_id, timedelta(hours=1), None, {"su": timedelta(0)})
            else:
                await services.leases.acquire(citizen_id, "su", timedelta(hours=1), CITIZENS_WISH)
                send("su", citizen_id, "su")
        while scheduled and await schedule.run(services, "su"):
            pass

    async def _measure(self, workers: list[Process], before: int, count: int) -> dict[str, Any]:
        first, last = 0.0, 0.0
        ends = time.monotonic() + 120
        processes = [psutil.Process(worker.popen.pid) for worker in workers]
        busy = 0.0
        while (done := await self._count() - before) < 0.9 * count:
            if time.monotonic() > ends:
                print(workers[0].log.read_text()[-3000:], file=sys.stderr)
                raise TimeoutError(f"{done} of {count}")
            if done >= 0.1 * count and not first:
                first, begun = time.monotonic(), done
                busy = sum(sum(process.cpu_times()[:2]) for process in processes)
            await asyncio.sleep(0.02)
        last, busy = time.monotonic(), sum(sum(process.cpu_times()[:2]) for process in processes) - busy
        rate = (done - begun) / (last - first)
        return {
            "per_second": round(rate, 1),
            "cpu_ms_per_refresh": round(1000 * busy / (done - begun), 2),
            "resident_mib_per_process": round(max(process.memory_info().rss for process in processes) / 2**20),
        }

    async def _count(self) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"GET /count HTTP/1.0\r\n\r\n")
        body = (await reader.read()).rpartition(b"\r\n")[2]
        writer.close()
        return int(body)


def main() -> None:
    """Runs all figures and prints them."""
    options = argparse.ArgumentParser()
    options.add_argument("--serve", type=int)
    options.add_argument("--citizens", type=int, default=4000)
    chosen = options.parse_args()
    if chosen.serve:
        serve(chosen.serve)
        return
    logging.configure("ERROR")
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, installation(Path(directory), SETTINGS) as here:
        command = [sys.executable, "-m", "bench.scaling", "--serve", str(port)]
        server = Process("server", command, Path(directory) / "server.log", {}).start()
        try:
            wait_for(lambda: listens(port), "the server")
            here.start_redis()
            here.settings["SU__BASE_URL"] = f"http://127.0.0.1:{port}"
            os.environ.update(here.environment)
            from workers import app  # noqa: F401, PLC0415 - importing it connects this process to the broker

            bench = Bench(here, port)
            found = {
                str(workers): {
                    lane: asyncio.run(bench.run(workers, chosen.citizens, scheduled=lane == "schedule"))
                    for lane in ("interactive", "schedule")
                }
                for workers in PROCESSES
            }
        finally:
            server.stop()
    print(json.dumps({"cores": os.cpu_count(), "citizens": chosen.citizens, "processes": found}, indent=2))


if __name__ == "__main__":
    main()
