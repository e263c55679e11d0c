"""One HTTP client under measurement, as a process of its own: `python -P bench/http_caller.py CLIENT URL AUTHORITY`.

Reads a number of calls per line, makes them, and writes the milliseconds of processor time of one. CLIENT is `product`
(the product's client, with its default settings; of the tree that PYTHONPATH names) or `aiohttp` (alone, and set up as
its documentation advises).
"""

import asyncio
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from config.settings import UpstreamSettings
from registerbro import gc_tuning
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.messages import Question

AT_ONCE = 25
"""As bench/protection.py has; half of the connections that the product opens by default."""
WITHIN_SECONDS = 4.0
PATH = "/v1/su-forloeb"
OF_THE_QUESTION = {"x-civilRegistrationIdentifier": "6101004000", "Accept": "application/json"}
OF_THE_CALL = {
    "x-requestId": "0123456789abcdef-0123456789abcdef-1",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}
Call = Callable[[], Awaitable[bytes]]


async def main(name: str, url: str, authority: str) -> None:
    """Measures as often as it is asked to."""
    settings = UpstreamSettings(ca_bundle=Path(authority)) if authority else UpstreamSettings()
    question = Question("GET", PATH, OF_THE_QUESTION)
    product = HttpClient(url, settings)
    trusted = ssl.create_default_context(cafile=authority or None)
    connector = aiohttp.TCPConnector(ssl=trusted, limit=settings.max_connections)
    session = aiohttp.ClientSession(
        url, connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(WITHIN_SECONDS)
    )

    async def by_product() -> bytes:
        return (await product.send(question, OF_THE_CALL, WITHIN_SECONDS)).body

    async def by_aiohttp() -> bytes:
        headers = {"User-Agent": "registerbro", "Accept-Encoding": "gzip", **OF_THE_QUESTION, **OF_THE_CALL}
        async with session.get(PATH, headers=headers, allow_redirects=False) as answer:
            return await answer.read()

    call = {"product": by_product, "aiohttp": by_aiohttp}[name]
    if not (await call()).startswith(b"{"):
        raise ValueError("another body than the server's")
    gc_tuning.settle()
    for line in iter(sys.stdin.readline, ""):
        print(await _milliseconds(call, int(line)), flush=True)
    await session.close()
    await product.close()


async def _milliseconds(call: Call, calls: int) -> float:
    rest = iter(range(calls))

    async def work() -> None:
        for _ in rest:
            await call()

    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return 1000 * (time.process_time() - began) / calls


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
