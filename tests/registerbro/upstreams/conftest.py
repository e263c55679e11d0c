"""A real server on a socket whose answers the test decides, and an upstream that calls it."""

import asyncio
import socket
import struct

import pytest
from aiohttp import web

from config.settings import UpstreamSettings
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from simulators.authority import Authority
from tests.support import ProcessAdmission


class Server:
    """Answers calls with what `answers` holds, in turn (the last one for ever), and keeps what it was sent."""

    def __init__(self):
        self.answers = []
        self.requests = []
        self.bodies = []
        self.url = ""

    async def handle(self, request):
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await answer(request)

    @property
    def request_ids(self):
        return [request.headers["x-requestId"] for request in self.requests]


def answering(status=200, body=b"{}", content_type="application/json", **headers):
    async def answer(_):
        return web.Response(status=status, body=body, headers={"Content-Type": content_type, **headers})

    return answer


async def reset(request):
    linger = struct.pack("ii", 1, 0)
    request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.transport.abort()
    return web.Response()


async def hang(_):
    await asyncio.Event().wait()


async def truncated(request):
    response = web.StreamResponse(headers={"Content-Length": "100", "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(b"{")
    request.transport.close()
    return response


@pytest.fixture
async def server():
    it = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


@pytest.fixture
def upstream_settings():
    return UpstreamSettings(attempt_timeout="PT5S", total_timeout="PT30S", max_attempts=3)


@pytest.fixture
async def http(server, upstream_settings):
    async with HttpClient(server.url, upstream_settings) as client:
        yield client


@pytest.fixture
def waits():
    """The waits between attempts, in seconds: none of them is waited for."""
    return []


@pytest.fixture
def breaker():
    return ProcessAdmission("test")


@pytest.fixture
def upstream(http, upstream_settings, breaker, waits):
    async def sleep(seconds):
        waits.append(seconds)

    return Upstream("test", upstream_settings, http, breaker, NoTrail(), sleep=sleep)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "authority")
