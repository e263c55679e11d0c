"""RabbitMQ as the broker: all of it works, nothing is lost with a worker, and what it cannot tell is said so."""

import json
import os
import subprocess
import sys

import pytest

from config.celery import QUEUES
from demo.installation import wait_for
from simulators import citizens
from simulators.control import Control

pytestmark = pytest.mark.xdist_group("processes")

SHOWN = {"ready", "empty"}


@pytest.fixture
def here(rabbitmq, install):
    return install(rabbitmq)


@pytest.fixture
def control(here):
    with Control(here.upstreams) as it:
        yield it


def command(here, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, **here.environment, "COLUMNS": "200", "REGISTERBRO_OPERATOR": "tester"},
    )  # fmt: skip


def test_pages_reports_schedule_and_status_with_rabbitmq(here, control):
    api = here.api
    assert api.call("POST", "/v1/overview/refresh").status_code == 202
    for register in ("udb", "su", "eindkomst", "ydelse"):
        wait_for(lambda register=register: api.sections(register) <= SHOWN, register)
    assert {name: control.calls(name).total for name in ("udb", "su", "ydelse")} == {"udb": 1, "su": 1, "ydelse": 1}

    report = {"text": "Zebrafinken sang"}
    handed_in = api.call("POST", "/v1/fault-reports", json=report, headers={"Idempotency-Key": "k"})
    assert handed_in.status_code == 202
    wait_for(control.reports, "the report")

    # What waits is counted; for how long it has, RabbitMQ does not tell.
    told = json.loads(command(here, "status", "--json").stdout)
    queues = {name: queue for seen in told["upstreams"].values() for name, queue in seen["queues"].items()}
    assert set(queues) == set(QUEUES)
    assert all(isinstance(queue["messages"], int) and queue["oldest_seconds"] is None for queue in queues.values())
    assert all(queue["consumed"] for queue in queues.values())
    assert told["dead_letters"] is None
    dead = command(here, "queue", "dead", "list")
    assert dead.returncode == 2
    assert dead.stderr.startswith("registerbro: dead letters are kept by the transport of Redis brokers")

    # The schedule's chunks go through the bulk queue.
    before = control.calls("su").total
    with here.redis["cache"].client() as cache, here.redis["broker"].client() as coordination:
        for key in cache.scan_iter("entry:*:su"):
            cache.hset(key, "fresh_until", 1)
        for citizen_id in coordination.zrange("timetable:due:{su}", 0, -1):
            coordination.zadd("timetable:due:{su}", {citizen_id: 1})
    wait_for(lambda: control.calls("su").total == before + 1, "the schedule")


def test_what_a_killed_worker_held_is_done_by_the_next(here, control):
    control.fault("udb", {"kind": "hang_before_headers"})
    here.api.call("POST", "/v1/overview/refresh", cpr=citizens.CITIZENS[0].cpr)
    wait_for(lambda: control.calls("udb").total > 0, "the call")
    here.processes["worker-udb"].kill()
    control.mend("udb")
    here.start_worker("udb")
    wait_for(lambda: here.api.sections("udb", citizens.CITIZENS[0].cpr) <= SHOWN, "the page")
