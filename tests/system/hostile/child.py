"""Puts hostile answers through the real clients, in a process of its own, and tells what each has cost.

`python -m tests.system.hostile.child URL CERTIFICATE`: reads one JSON object per line, `{"target", "verified"}`, and
asks URL; writes one per line, with the outcome and what the answer has cost. The server that answers is another
process.
"""

import asyncio
import ctypes
import json
import logging
import re
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from config.settings import CvrSettings, EindkomstSettings, UpstreamSettings
from registerbro import gc_tuning
from registerbro.meetings.errors import BookingError
from registerbro.upstreams.answer_parsing import apart
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import UpstreamError
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.system.fuzz.messages import say_nothing
from tests.system.fuzz.paths import CPR, PATHS, services_of_worker
from workers.borgerindsats.tasks import fetch as fetch_borgerindsats
from workers.eindkomst.client import EindkomstClient
from workers.eindkomst.normalise import normalise
from workers.eindkomst.tasks import REPORT_CHARACTERS
from workers.jobsearch.tasks import fetch as fetch_jobsearch
from workers.kontaktforloeb.tasks import fetch as fetch_kontaktforloeb
from workers.su.tasks import fetch as fetch_su
from workers.udb import client as udb_client
from workers.udb.tasks import normalised as normalised_udb
from workers.visitering.tasks import fetch as fetch_visitering
from workers.ydelse.tasks import fetch as fetch_ydelse


async def fetch_udb(services, cpr):
    """A fetch of a citizen who is subscribed: what their answer comes to, without the ledger."""
    return await normalised_udb(await udb_client.fetch(services.upstream("udb"), cpr))


FETCHES = {
    "udb": fetch_udb,
    "su": fetch_su,
    "ydelse": fetch_ydelse,
    "visitering": fetch_visitering,
    "kontaktforloeb": fetch_kontaktforloeb,
    "jobsearch": fetch_jobsearch,
    "borgerindsats": fetch_borgerindsats,
}

TICK_SECONDS = 0.005
TODAY = date(2026, 11, 23)
PATIENCE = {"attempt_timeout": timedelta(seconds=30), "total_timeout": timedelta(seconds=30), "max_attempts": 1}
"""One answer each, and no end but its own: what counts is processor time."""


def settings_of(target, certificate):
    """The settings of one target; an answer of eIndkomst is asked for a single month, which cannot be cut in two."""
    if target != "eindkomst":
        return (CvrSettings if target == "cvr" else UpstreamSettings)(**PATIENCE)
    verified = {"verify_with": certificate, "verify_algorithms": "sha256"} if certificate else {}
    return EindkomstSettings(history_from=TODAY.replace(day=1), **PATIENCE, **verified)


class Clients:
    """The clients of every target, each made once, as in a worker; the server looks at the path for nothing."""

    def __init__(self, url, certificate):
        self._url = url
        self._certificate = certificate
        self._made = {}

    async def come_of(self, target, *, verified):
        """The outcome of one answer, in the words of `tests.system.fuzz.paths.outcome`, and what is said of it."""
        upstream, client = self.of(target, verified=verified)
        try:
            if client:
                reports = await client.fetch(CPR)
                await apart(partial(normalise, reports, {}), REPORT_CHARACTERS * len(reports.read))
            elif target in FETCHES:
                await FETCHES[target](services_of_worker(upstream), CPR)
            else:
                await PATHS[target](upstream)
        except UpstreamError as error:
            return error.reason, str(error)
        except BookingError as error:
            return type(error).__name__, ""
        return "ok", ""

    def of(self, target, *, verified):
        if (target, verified) not in self._made:
            settings = settings_of(target, self._certificate if verified else None)
            certificates = Certificates(settings)
            http = HttpClient(self._url, settings, certificates)
            # No answer may close it for the next one.
            upstream = Upstream(target, settings, http, Always(), NoTrail())
            client = EindkomstClient(upstream, settings, lambda: TODAY, certificates) if target == "eindkomst" else None
            self._made[target, verified] = upstream, client
        return self._made[target, verified]

    async def close(self):
        for upstream, _ in self._made.values():
            await upstream.close()


class Always:
    """Admission that admits."""

    async def enter(self, *, is_retry):
        return None

    async def record(self, permit, error, took):
        return None


def forget_the_peak():
    """From here on the most memory is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")


def mib(what):
    """`VmRSS`, what this process holds, or `VmHWM`, the most that it held."""
    return int(re.search(rf"{what}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def waited_for_a_processor():
    """Seconds for which this thread could have run and another had the processor; nought where nobody counts them."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


class Ticker:
    """Notes the most processor time of this process that passed while the event loop did not come round.

    Wall-clock time would be the other processes' too. While another thread works and the loop comes round, it is the
    loop's turn every few milliseconds. What the loop's thread waited for a processor that others had is taken off.
    """

    def __init__(self):
        self.most = 0.0

    async def run(self):
        while True:
            before, waited = time.process_time(), waited_for_a_processor()
            await asyncio.sleep(TICK_SECONDS)
            self.most = max(self.most, time.process_time() - before - (waited_for_a_processor() - waited))


async def measured(one, clients, start):
    clients.of(one["target"], verified=one["verified"])
    trim()
    forget_the_peak()
    ticker = Ticker()
    ticking = asyncio.create_task(ticker.run())
    await asyncio.sleep(2 * TICK_SECONDS)
    began = time.process_time()
    try:
        outcome, detail = await clients.come_of(one["target"], verified=one["verified"])
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        outcome, detail = f"{type(error).__name__}", str(error)[:200]
    took = time.process_time() - began
    # What held the loop last is told when the loop comes round again.
    await asyncio.sleep(2 * TICK_SECONDS)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return {
        "outcome": outcome,
        "detail": detail[:120],
        "cpu_seconds": round(took, 3),
        "mib": round(mib("VmHWM") - start, 1),
        "stopped_ms": round(ticker.most * 1000, 1),
    }


def trim():
    """Gives back to the system what earlier answers took, so that it is not there for the next one to hide in."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


async def main(url, certificate):
    """Answers lines until there are no more; what is held after the first one is where memory is counted from."""
    clients, start = Clients(url, certificate), None
    for line in sys.stdin:
        one = json.loads(line)
        print(json.dumps(await measured(one, clients, start or 0.0)), flush=True)
        if start is None:
            gc_tuning.settle()
            trim()
            start = mib("VmRSS")
    await clients.close()


if __name__ == "__main__":
    say_nothing()
    logging.disable()
    asyncio.run(main(*sys.argv[1:]))
