"""The API as a real server on a real socket, over the test's Redis, and somebody who signs tokens for it."""

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import date, timedelta

import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from config.settings import UPSTREAMS
from demo.installation import free_port, listens, wait_for
from domain.cpr import Cpr
from domain.overview import Employment, sections_of
from portal import api
from portal.api import pages
from portal.connection_limits import Config
from registerbro.pages import reader
from registerbro.services import Services
from registerbro.storage.cache import booked_deadlines
from registerbro.storage.ledger import dismissed_banners
from simulators import citizens

ISSUER, AUDIENCE = "https://login.example", "registerbro"
ME, OTHER = citizens.EXAMPLE.cpr, citizens.FOUR_JOBS.cpr
CITIZEN_SCOPE = (
    "overview:read overview:refresh fault-report:write calendar:read profile:read booking:write banner:write"
)
JOB = Employment(employer="Føtex", start=date(2019, 1, 1), end=date(2020, 5, 31))


class Signer:
    """Who logs citizens in: keys, their public set in a file, and tokens."""

    def __init__(self, path, name="first"):
        self.path = path
        self.keys = {}
        self.new_key(name)

    def new_key(self, name, algorithm="ES256"):
        key = ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)
        self.keys[name] = (key, algorithm)
        self.publish()

    def forget(self, name):
        del self.keys[name]
        self.publish()

    def publish(self):
        keys = []
        for name, (key, algorithm) in self.keys.items():
            kind = jwt.get_algorithm_by_name(algorithm)
            keys.append({**json.loads(kind.to_jwk(key.public_key())), "kid": name, "alg": algorithm, "use": "sig"})
        self.path.write_text(json.dumps({"keys": keys}), encoding="utf-8")

    def token(self, cpr=ME, *, key="first", scope=CITIZEN_SCOPE, **claims):
        now = int(time.time())
        all_claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "iat": now, "exp": now + 600, "cpr": cpr,
            "contact_groups": [12], "education_order": False, "scope": scope,
        } | claims  # fmt: skip
        signing, algorithm = self.keys[key]
        kept = {name: value for name, value in all_claims.items() if value is not None}
        return jwt.encode(kept, signing, algorithm, headers={"kid": key})

    def public_pem(self, name="first"):
        public = self.keys[name][0].public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def signer(tmp_path):
    return Signer(tmp_path / "jwks.json")


@pytest.fixture
def own_settings():
    """What a test module sets otherwise."""
    return {}


@pytest.fixture
def settings(app, make_settings, signer, own_settings):
    return make_settings(
        **{"JWKS_FILE": str(signer.path), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        | {f"{name}__BASE_URL": "http://127.0.0.1:9" for name in map(str.upper, UPSTREAMS)}
        | own_settings
    )


@pytest.fixture(autouse=True)
def patience(request, monkeypatch):
    """A busy machine may take longer to read and to ask than a page waits; that is tried with a frozen Redis."""
    if "frozen" not in request.fixturenames:
        monkeypatch.setattr(pages, "ASK_WITHIN", timedelta(seconds=30))
        monkeypatch.setattr(pages, "REFRESH_WITHIN", timedelta(seconds=30))
        for module in (reader, booked_deadlines, dismissed_banners):
            monkeypatch.setattr(module, "ANSWER_WITHIN", timedelta(seconds=30))


@asynccontextmanager
async def serving(application, portal=None):
    """Its address, while it is served: as any ASGI application is, or with these settings as `registerbro serve` is."""
    if portal is None:
        config = uvicorn.Config(application, port=0, log_config=None, lifespan="on")
    else:
        config = Config(application, portal, port=0, log_config=None, lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    (listening, *_) = server.servers[0].sockets
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await task


@pytest.fixture
async def url(settings):
    async with serving(api.create(settings)) as address:
        yield address


@pytest.fixture
async def services(settings):
    it = Services(settings)
    yield it
    await it.close()


@pytest.fixture
def files():
    """How many files `portal` may open; None is as many as this process."""


@pytest.fixture
def portal(settings, project, tmp_path, files):
    """A process that serves, its address, and what it has written; it is there until a test ends it."""
    port = free_port()
    limited = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [*limited, sys.executable, "-m", "cli.app", "serve", "--port", str(port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=project, env=os.environ,
        )  # fmt: skip
    process.url, process.written = f"http://127.0.0.1:{port}", lambda: (tmp_path / "log").read_text("utf-8")
    wait_for(lambda: listens(port) or process.poll() is not None, "the portal")
    yield process
    process.kill()
    process.wait()


class Client:
    """Calls the API, with a citizen's token unless a test gives another."""

    def __init__(self, url, signer):
        self.http = httpx.AsyncClient(base_url=url, timeout=30)
        self.signer = signer

    async def call(self, method, path, token=None, **rest):
        headers = rest.pop("headers", {})
        bearer = {"Authorization": f"Bearer {token or self.signer.token()}"} if token != "" else {}
        return await self.http.request(method, path, headers={**bearer, **headers}, **rest)

    async def get(self, path, token=None, **rest):
        return await self.call("GET", path, token, **rest)

    async def post(self, path, token=None, **rest):
        return await self.call("POST", path, token, **rest)

    async def put(self, path, token=None, **rest):
        return await self.call("PUT", path, token, **rest)


@pytest.fixture
async def client(url, signer):
    it = Client(url, signer)
    yield it
    await it.http.aclose()


def problem(answer):
    """A problem's status and type; that it is one, and holds no CPR number."""
    assert answer.headers["content-type"] == "application/problem+json"
    assert ME not in answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, body["type"]


def sections(answer):
    return {section["id"]: section for overview in answer.json()["overviews"] for section in overview["sections"]}


async def settle(services, register, items=None, cpr=ME, **times):
    """What a worker does at the end of a refresh that went well."""
    ages = {"age": timedelta(0), "fresh_for": timedelta(hours=12), "usable_for": timedelta(hours=72)} | times
    content = {section.id: [] for section in sections_of(register)} | (items or {})
    await services.entries.store(services.citizens.id_of(Cpr.parse(cpr)), register, content, **ages)
