"""The README: its example is carried out as it is written."""

import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import redis

from redis_transport.store import Store
from tests.redis_transport.servers import Process, RedisServer, wait_for

README = files("redis_transport").joinpath("README.md").read_text(encoding="utf-8")
DEFAULT_URL = "redis://localhost:6379/0"


def block(language: str, first: str) -> str:
    """The one block of code in this language that begins so."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if text.startswith(first)]
    return found


@pytest.mark.xdist_group("transport")
def test_the_example_greets_again_when_its_worker_is_killed(server: RedisServer, tmp_path: Path) -> None:
    environment = {"BROKER_URL": server.url}
    (tmp_path / "tasks.py").write_text(block("python", "import os"), encoding="utf-8")
    (tmp_path / "send.py").write_text(block("python", "from tasks"), encoding="utf-8")
    celery, *arguments = shlex.split(block("sh", "celery"))
    assert celery == "celery"
    command = [sys.executable, "-m", celery, *arguments]
    first = Process("first", [*command, "-n", "first"], tmp_path / "first.log", environment, tmp_path).start()
    second = None
    try:
        wait_for(lambda: first.has_logged("ready."), "the first worker")
        send = Process("send", [sys.executable, "send.py"], tmp_path / "send.log", environment, tmp_path).start()
        assert send.popen.wait(60) == 0, send.log.read_text()
        wait_for(lambda: first.has_logged("greeting Ada"), "the task")
        first.kill()
        second = Process("second", [*command, "-n", "second"], tmp_path / "second.log", environment, tmp_path).start()
        wait_for(lambda: second.has_logged("Hello, Ada!"), "the greeting")
        assert "Hello" not in first.log.read_text()
    finally:
        for worker in (first, second):
            if worker is not None:
                worker.kill()


def test_the_three_lines_are_all_that_an_app_needs() -> None:
    lines = block("python", "import redis_transport")
    code = f"from celery import Celery\n{lines}\nprint(app.connection_for_write().get_transport_cls().__module__)"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert told.strip() == "redis_transport.transport"


def test_the_lines_for_dead_letters_replay_each(
    server: RedisServer, client: redis.Redis, publish, capsys: pytest.CaptureFixture
) -> None:
    tag = publish()
    store = Store(client, max_deliveries=1)
    store.fetch("a", ["q"], 1)
    store.restore(-1)
    lines = block("python", "from redis import Redis")
    assert DEFAULT_URL in lines
    space: dict[str, object] = {}
    try:
        exec(lines.replace(DEFAULT_URL, server.url), space)
    finally:
        space["store"].close()
    assert "workers.do worker lost" in capsys.readouterr().out
    assert [message.tag for message in store.fetch("a", ["q"], 1).messages] == [tag]
