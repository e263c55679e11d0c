"""Real servers on sockets in the place of eIndkomst and CVR, and upstreams that call them without ever waiting."""

import asyncio
from dataclasses import dataclass

import pytest
from aiohttp import web

from config.settings import CvrSettings, EindkomstSettings
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.support import ProcessAdmission


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict
    body: bytes


class Server:
    """Answers each request with what `respond` makes of it, and keeps what it received."""

    def __init__(self):
        self.received = []
        self.respond = None
        self.url = ""

    async def handle(self, request):
        received = Received(request.method, request.path_qs, request.headers, await request.read())
        self.received.append(received)
        return await self.respond(received)


def xml(body, status=200, content_type="text/xml; charset=utf-8"):
    return web.Response(status=status, body=body, headers={"Content-Type": content_type})


@pytest.fixture
async def server():
    it = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


@pytest.fixture
async def make_upstream(server):
    """Makes an upstream at the server, by name and settings."""
    made = []

    async def no_wait(_):
        await asyncio.sleep(0)

    def make(name, settings, url=None):
        http = HttpClient(url or server.url, settings)
        upstream = Upstream(name, settings, http, ProcessAdmission(name), NoTrail(), sleep=no_wait)
        made.append(upstream)
        return upstream

    yield make
    for upstream in made:
        await upstream.close()


@pytest.fixture
def eindkomst_settings():
    return EindkomstSettings(se_number="11223344")


@pytest.fixture
def cvr_settings():
    return CvrSettings()
