"""A service of DFDG as a real server, which answers each path as a test says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

from config.settings import UpstreamSettings
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
