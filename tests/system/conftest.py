"""Control of the simulators of a whole installation, which a file of tests calls `here`; and a RabbitMQ."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from demo.installation import Process, free_port, wait_for
from simulators.control import Control

LIB = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Where Debian has the program itself; the one on PATH changes to another user first."""


def answers_amqp(port):
    """RabbitMQ listens before it serves."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            connection.settimeout(1)
            return bool(connection.recv(1))
    except OSError:
        return False


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory):
    """The URL of a RabbitMQ of our own. Without one the tests are skipped, except where everything has to be there."""
    program = str(LIB) if LIB.exists() else shutil.which("rabbitmq-server")
    if program is None or shutil.which("epmd") is None:
        why = "there is no rabbitmq-server on this machine (Debian: apt-get install rabbitmq-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("rabbitmq")
    port, names = free_port(), free_port()
    (directory / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n", encoding="utf-8")
    (directory / "plugins").write_text("[].", encoding="utf-8")
    environment = {
        "HOME": str(directory),
        "ERL_EPMD_PORT": str(names),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"test-{os.getpid()}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
    }
    # In the foreground, so that RabbitMQ starts none that would outlive it.
    epmd = Process("epmd", ["epmd", "-port", str(names)], directory / "epmd.log", environment).start()
    server = Process("rabbitmq", [program], directory / "rabbitmq.log", environment).start()
    try:
        wait_for(lambda: server.has_logged("completed with") and answers_amqp(port), "rabbitmq", 120)
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        server.stop()
        epmd.stop()


@pytest.fixture
def control(here):
    with Control(here.upstreams) as it:
        it.reset()
        yield it
        it.reset()
