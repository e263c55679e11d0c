"""The demo as a newcomer runs it: it shows what it promises, fixes no port, and leaves nothing running."""

import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

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
            [sys.executable, "-m", "ops.cli", "demo", *arguments], cwd=project, text=True,
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


def test_a_machine_without_redis_is_told_what_to_install(project, tmp_path):
    script = (
        "import sys, shutil, ops.local; shutil.which = lambda _: None; "
        f"sys.executable = {str(tmp_path / 'python')!r}; ops.local.find_redis()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_PROGRAM"}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert "install redis-server or valkey-server" in ended.stderr.splitlines()[-1]
