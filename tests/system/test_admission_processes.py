"""Many processes and one upstream that dies and returns."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
import redis as plain_redis

from simulators import Simulation, citizens

pytestmark = pytest.mark.xdist_group("processes")

PROBES = 2

CALLER = """
import asyncio, sys, json
from datetime import timedelta
from config.settings import AdmissionSettings, UpstreamSettings
from registerbro.storage.redis_client import connect
from registerbro.upstreams import admission as ours, errors
from registerbro.storage.ledger.overrides import Overrides
from registerbro.upstreams.http_client import HttpClient, Question
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Exchange, Upstream
url, broker, ledger, cpr, admission = sys.argv[1:]
# Who cannot wait for a busy machine's Redis rightly decides by itself; this is about those who decide together.
ours.REDIS_TIMEOUT = 20.0
class Telling(ours.UpstreamAdmission):
    async def enter(self, **rest):
        permit = await super().enter(**rest)
        print(permit.entered, flush=True)
        return permit
async def main():
    settings = UpstreamSettings(max_attempts=1, admission=AdmissionSettings(**json.loads(admission)))
    redis, overrides = connect(broker, timedelta(seconds=20)), Overrides(connect(ledger))
    guard = Telling.of("udb", settings.admission, redis, overrides, attempt=settings.attempt_timeout)
    upstream = Upstream("udb", settings, HttpClient(url, settings), guard, NoTrail())
    def read(answer):
        if answer.refusal(): raise answer.refusal()
    ask = Exchange(lambda _: Question("GET", "/v1/UDBhaendelser", {"x-civilRegistrationIdentifier": cpr}), read)
    print("ready", flush=True)
    while True:
        try:
            await upstream.ask(ask)
        except errors.UpstreamError:
            pass
        await asyncio.sleep(0.01)
asyncio.run(main())
"""


@pytest.fixture
def simulation():
    with Simulation() as running:
        yield running


class Changes(threading.Thread):
    """Listens to the breaker's events."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.seen = []
        self._pubsub = plain_redis.Redis.from_url(url).pubsub()
        self._pubsub.subscribe("events:admission")
        self._ended = False

    def run(self):
        while not self._ended:
            message = self._pubsub.get_message(timeout=0.1)
            if message and message["type"] == "message":
                self.seen.append(json.loads(message["data"]))

    def times(self, state):
        return [event["at"] / 1000 for event in self.seen if event["state"] == state]

    def end(self):
        self._ended = True
        self.join()
        self._pubsub.close()


def until(condition, within=90.0):
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_eight_processes_probe_as_one_and_close_as_one(empty_redis, simulation, project):
    changes = Changes(empty_redis["broker"].url)
    changes.start()
    arguments = [simulation.urls["udb"], empty_redis["broker"].url, empty_redis["ledger"].url, citizens.EXAMPLE.cpr]
    admission = json.dumps({"open_for": "PT0.5S", "open_at_most": "PT2S", "probes": PROBES})
    callers = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, *arguments, admission], stdout=subprocess.PIPE, cwd=project, text=True,
            env={**os.environ, "PYTHONPATH": str(project)},
        )
        for _ in range(8)
    ]  # fmt: skip
    try:
        for caller in callers:
            assert caller.stdout.readline() == "ready\n"
        until(lambda: simulation.control.calls("udb").total > 50)
        simulation.control.fault("udb", {"kind": "status", "status": 503})
        until(lambda: len(changes.times("half_open")) >= 4)
        simulation.control.mend("udb")
        mended = time.time()
        until(lambda: changes.times("closed"))
        after_closing = simulation.control.calls("udb").total
        until(lambda: simulation.control.calls("udb").total > after_closing + 100)
    finally:
        entered = []
        for caller in callers:
            caller.kill()
            # Log lines are among them, and the last line of one that is killed may be cut.
            entered += [int(line) for line in caller.communicate()[0].splitlines()[:-1] if line.isdigit()]
        changes.end()
    for begun in changes.times("half_open"):
        ended = min(at for at in changes.times("open") + changes.times("closed") if at > begun)
        # By the clock that decides, which tells who was let through, and not by when a busy machine had them arrive.
        assert 1 <= sum(begun <= at / 1000 < ended for at in entered) <= PROBES
    closed = changes.times("closed")[0]
    # The first probes after the return close it, however late a busy machine makes them.
    assert sum(mended < begun <= closed for begun in changes.times("half_open")) <= 1
