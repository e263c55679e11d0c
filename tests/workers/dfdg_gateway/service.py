"""A service of DFDG as a real server, which answers each path as a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from aiohttp import web
from aiohttp.test_utils import TestServer

from config.settings import UpstreamSettings
from domain.cpr import Cpr
from registerbro.refresh.register import Register
from registerbro.services import Services
from registerbro.storage.cache.entries import Entry
from registerbro.storage.coordination.leases import CITIZENS_WISH
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.look_up_log import NoTrail
from registerbro.upstreams.pipeline import Upstream
from tests.support import ProcessAdmission

UNKNOWN_PERSON = (404, {"fejl": [{"kode": "1010", "tekst": "Unknown cpr"}]})


class Service:
    """`answers` are a status and a JSON body by path; `asked` is what came, as method, path and the person's number."""

    def __init__(self) -> None:
        self.url = ""
        self.answers: dict[str, tuple[int, object]] = {}
        self.asked: list[tuple[str, str, str | None]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.raw_path, request.headers.get("x-civilRegistrationIdentifier")))
        status, body = self.answers[request.raw_path]
        return web.json_response(body, status=status)


@asynccontextmanager
async def served() -> AsyncIterator[Service]:
    """A service that runs."""
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    async with TestServer(app) as server:
        service.url = str(server.make_url("")).rstrip("/")
        yield service


@asynccontextmanager
async def asking(service: Service, path: str) -> AsyncIterator[Upstream]:
    """An upstream that leads to it, whose calls are not repeated."""
    settings = UpstreamSettings(path=path, max_attempts=1)
    async with HttpClient(service.url, settings) as http:
        yield Upstream("tested", settings, http, ProcessAdmission("tested"), NoTrail())


async def refreshed(services: Services, register: Register) -> Entry:
    """The citizen's entry after a refresh of what was outdated."""
    me = await services.citizens.remember(Cpr.parse("6102991234"))
    await services.entries.outdate(me, register.name)
    await services.leases.acquire(me, register.name, timedelta(minutes=1), CITIZENS_WISH)
    await register.refresh(services, me)
    return (await services.entries.read(me, [register.name]))[register.name]
