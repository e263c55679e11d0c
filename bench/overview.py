"""How fast a page is read: `GET /v1/overview` beside an empty route of the same server, turn and turn about."""

import asyncio
import itertools
import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from bench.harness import Row, Target, services
from bench.load import full_load, half_load, request
from bench.people import numbers
from config import logging
from demo.installation import Process, free_port, installation, listens, wait_for
from domain.cpr import Cpr
from domain.overview import REGISTERS, Employment, sections_of
from tests.portal.conftest import AUDIENCE, ISSUER, Signer

CITIZENS = 200
JOBS = [
    Employment(employer=f"Arbejdsgiver {n}", start=date(2015 + n, 1, 1), end=date(2015 + n, 9, 30)) for n in range(8)
]

SERVER = """
import sys
import uvicorn
from config import logging
from config.settings import settings
from portal import api, server
logging.configure(settings().log_level)
app = api.create(settings())
@app.get("/empty")
async def empty() -> dict[str, str]:
    return {}
server.serve(app, "127.0.0.1", int(sys.argv[1]), settings().portal)
"""


async def fill() -> None:
    """What workers leave behind: every register of every citizen, fresh."""
    async with services() as ours:
        for digits in numbers(CITIZENS):
            citizen_id = ours.citizens.id_of(Cpr.parse(digits))
            for register in REGISTERS:
                content = {section.id: JOBS if section.item is Employment else [] for section in sections_of(register)}
                await ours.entries.store(
                    citizen_id, register, content,
                    age=timedelta(0), fresh_for=timedelta(hours=12), usable_for=timedelta(hours=72),
                )  # fmt: skip


def compare(port: int, tokens: list[str], rounds: int, seconds: float) -> list[Row]:
    """Turn and turn about, so that whatever else the machine does happens to both."""
    empty = itertools.cycle([request("/empty")])
    pages = itertools.cycle([request("/v1/overview", Authorization=f"Bearer {token}") for token in tokens])
    asyncio.run(full_load(port, empty, 1))
    asyncio.run(full_load(port, pages, 2))
    pairs = [
        (asyncio.run(full_load(port, pages, seconds)), asyncio.run(full_load(port, empty, seconds)))
        for _ in range(rounds)
    ]
    rate = median(page for page, _ in pairs)
    took = asyncio.run(half_load(port, pages, rate / 2, seconds * rounds))
    return [
        Row.compared("overview_rate", "GET /v1/overview, beside an empty route of the same server",
                     Target("at least", 0.6), pairs, "requests/s", "an empty route"),
        Row.alone("overview_p99", "GET /v1/overview at half load, p99", Target("at most", 8, "ms"), took["p99"], "ms",
                  p50=took["p50"], requests_per_second=round(rate / 2)),
    ]  # fmt: skip


def measure(*, quick: bool) -> list[Row]:
    """The two rows of the page."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        signer = Signer(Path(folder) / "jwks.json")
        own = {"JWKS_FILE": str(signer.path), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}
        with installation(Path(folder), own) as here:
            here.start_redis()
            os.environ.update(here.environment)
            logging.configure("ERROR")
            asyncio.run(fill())
            port = free_port()
            server = Process("server", [sys.executable, "-c", SERVER, str(port)], Path(folder) / "server.log", {})
            server.start()
            try:
                wait_for(lambda: listens(port) or server.has_logged("\0"), "the server")
                ends = int(time.time()) + 3600
                tokens = [signer.token(digits, exp=ends) for digits in numbers(CITIZENS)]
                return compare(port, tokens, *((5, 0.5) if quick else (7, 2.0)))
            finally:
                server.stop()
