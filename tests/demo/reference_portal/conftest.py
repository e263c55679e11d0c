"""The portal without a browser: in front of a real API server and the real simulators, spoken to over HTTP."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from jinja2 import FileSystemBytecodeCache

from demo import reference_portal
from demo.reference_portal import simulator_client, site
from demo.tokens import jwks, new_key
from simulators.simulation import Simulation
from tests.demo.reference_portal.fake_api import FakeApi
from tests.demo.reference_portal.serving import settings

TRIES = 10
"""On a busy machine the list of citizens may be too late for a page, which then comes without it and its form."""


class Visitor:
    """A browser without a screen: keeps its cookies, follows redirects, and fills in forms."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.http.get(path, **more)

    async def csrf(self, path: str = "/log-ind") -> str:
        """The form token of this visit."""
        found = None
        for _ in range(TRIES):
            found = re.search(r'name="csrf" value="([^"]+)"', (await self.get(path)).text)
            if found:
                break
        return found[1]

    async def post(self, path: str, *, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Sends a form with the right token, unless another is given."""
        token = {"csrf": fields.pop("csrf", None) or await self.csrf()}
        return await self.http.post(path, data=token | fields, headers=headers)

    async def log_in(self, name: str = "Alma Eksempel", goal: str = "/") -> httpx.Response:
        answer = await self.post("/log-ind", borger=name, side=goal)
        for _ in range(TRIES):
            if answer.url.path != "/log-ind":
                break
            answer = await self.post("/log-ind", borger=name, side=goal)
        return answer


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture(autouse=True)
def _spared(monkeypatch: pytest.MonkeyPatch, compiled_templates: FileSystemBytecodeCache) -> None:
    """A busy machine is no outage of the simulators; and each portal is a new one, with the same templates."""
    monkeypatch.setattr(simulator_client, "ANSWER_WITHIN_SECONDS", 10.0)
    monkeypatch.setattr(site, "Environment", partial(site.Environment, bytecode_cache=compiled_templates))


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with Simulation() as running:
        yield running


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portal") / "key.pem"
    path.write_bytes(new_key())
    return path


@pytest.fixture(scope="module")
def fake_api(key_file: Path) -> Iterator[FakeApi]:
    with FakeApi(jwks(key_file.read_bytes())) as running:
        yield running


@pytest.fixture
def api(fake_api: FakeApi) -> FakeApi:
    """The API, with data in every section."""
    fake_api.reset()
    return fake_api


@pytest.fixture
def web_settings(api: FakeApi, simulation: Simulation, key_file: Path) -> reference_portal.WebSettings:
    return settings(api.url, simulation.urls["control"], key_file)


Visit = Callable[[reference_portal.WebSettings], Visitor]


@pytest.fixture
async def visit() -> AsyncIterator[Visit]:
    """Makes visitors of a portal with given settings."""
    opened: list[tuple[httpx.AsyncClient, Any]] = []

    def begin(here: reference_portal.WebSettings) -> Visitor:
        app = reference_portal.create(here)
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url=f"{'https' if here.secure else 'http'}://portal.test",
            follow_redirects=True,
        )
        opened.append((http, app))
        return Visitor(http)

    yield begin
    for http, app in opened:
        await http.aclose()
        await reference_portal.close(app)


@pytest.fixture
def visitor(visit: Visit, web_settings: reference_portal.WebSettings) -> Visitor:
    return visit(web_settings)
