"""The simulators as a process of their own, and as a thread of a test."""

import json
import signal
import socket
import subprocess
import sys
import threading

import httpx
import pytest

from demo.installation import free_ports
from simulators import Simulation
from tests.simulators.calls import UPSTREAMS, call, subscribe


@pytest.fixture
def start():
    """Starts the simulators as a process, with what they say on their streams."""
    started = []

    def start(*arguments):
        command = [sys.executable, "-m", "simulators", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_it_says_where_it_listens_and_stops_cleanly_when_told(start, number):
    process = start()
    urls = json.loads(process.stdout.readline())
    assert set(urls) == {*UPSTREAMS, "control"}
    assert call("udb").send(urls["udb"]).status_code == 200
    process.send_signal(number)
    rest, errors = process.communicate(timeout=30)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_call_that_hangs_does_not_keep_the_process_from_stopping(start):
    process = start()
    urls = json.loads(process.stdout.readline())
    httpx.put(f"{urls['control']}/__sim__/udb/faults", json=[{"kind": "hang_after_headers"}], verify=False)
    with call("udb").stream(urls["udb"]):
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_how_late_ungedatabasen_has_events_can_be_chosen(start):
    urls = json.loads(start("--events-after", "3600").stdout.readline())
    assert subscribe().send(urls["udb"]).status_code == 200
    assert call("udb").send(urls["udb"]).json()["haendelser"] == []


def test_ports_can_be_chosen(start):
    udb, su, control = free_ports(3)
    process = start("--host", "127.0.0.1", "--port", f"udb={udb}", f"su={su}", "--port", f"control={control}")
    urls = json.loads(process.stdout.readline())
    assert {name: urls[name] for name in ("udb", "su", "control")} == {
        "udb": f"http://127.0.0.1:{udb}",
        "su": f"http://127.0.0.1:{su}",
        "control": f"http://127.0.0.1:{control}",
    }


@pytest.mark.parametrize("port", ["udb=x", "nemid=1", "udb", "udb=65536"])
def test_a_port_that_is_none_is_refused(start, port):
    process = start("--port", port)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "is not NAME=N" in errors


@pytest.mark.parametrize("name", ["udb", "control"])
def test_a_port_that_is_taken_is_one_line_that_names_it(start, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", f"{name}={port}")
        output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (1, "")
    assert errors.startswith("simulators: cannot listen: ")
    assert str(port) in errors
    assert errors.count("\n") == 1


def test_as_a_thread_it_leaves_nothing_behind():
    before = set(threading.enumerate())
    with Simulation() as simulation:
        urls = simulation.urls
        assert call("udb").send(urls["udb"]).status_code == 200
        simulation.control.fault("su", {"kind": "gone"})
    assert set(threading.enumerate()) == before
    with pytest.raises(httpx.ConnectError):
        call("udb").send(urls["udb"])


def test_two_simulations_do_not_meet():
    with Simulation() as one, Simulation() as other:
        call("udb").send(one.urls["udb"])
        assert (one.control.calls("udb").total, other.control.calls("udb").total) == (1, 0)
        assert not set(one.urls.values()) & set(other.urls.values())
