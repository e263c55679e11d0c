"""Whoever else does not answer, or not to the end, is not waited for without one."""

import ast
import asyncio
import sys
from contextlib import suppress

import pytest

from registerbro.bounded_calls import TookTooLong, call, run

ENDLESS = {"run", "call", "check_call", "check_output", "get", "put", "post", "request", "stream", "delete"}
"""Functions of `subprocess` and `httpx` that wait for as long as the other side likes."""


@pytest.fixture
async def trickling():
    """The address of a server that sends a line of its head ten times a second, and never the last."""
    ended, gone = asyncio.Event(), asyncio.Event()

    async def drip(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not ended.is_set() and not writer.is_closing():
            writer.write(b"x-more: x\r\n")
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 0.1)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    ended.set()
    server.close()
    await gone.wait()


async def test_an_answer_that_never_ends_is_given_up_in_all(trickling):
    with pytest.raises(TookTooLong) as given_up:
        await call("GET", trickling, 0.5)
    assert str(given_up.value) == f"GET {trickling}: no answer within 0.5 s"


def test_a_program_that_never_ends_is_ended():
    with pytest.raises(TookTooLong, match=r"^python\S*: has not ended within 0.2 s$"):
        run([sys.executable, "-c", "import time; time.sleep(3600)"], 0.2)


def test_what_a_program_writes_is_kept_whatever_its_bytes_are():
    assert run([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'a\\xff')"]).stdout == "a\ufffd"


def endless(path):
    """The lines of a module that wait for somebody else by other means than registerbro/bounded_calls.py."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="subprocess" | "httpx"), attr=name) if name in ENDLESS:
                yield node.lineno


def test_no_module_waits_by_other_means(project):
    modules = sorted(path for room in ("cli", "demo", "tools") for path in project.glob(f"{room}/*.py"))
    assert {f"{path.name}:{line}" for path in modules for line in endless(path)} == set()
    assert list(endless(project / "registerbro" / "bounded_calls.py"))
