"""The work for everything that runs on an event loop: one HTTP session and one Redis client per process."""

import aiohttp
from redis.asyncio import BlockingConnectionPool, Redis

from bench.peers.work import AT_ONCE, CPR_HEADER, KEPT_FOR, STORE, UPSTREAM, checked, key


class Fetcher:
    """Opens its clients within the event loop that uses it."""

    def __init__(self) -> None:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE))
        # As many connections as registerbro has: more are slower, and without a limit there would be one per fetch.
        self._redis = Redis.from_pool(BlockingConnectionPool.from_url(STORE, max_connections=32, timeout=20))

    async def fetch(self, cpr: str) -> None:
        """Asks the register, and stores its answer."""
        async with self._http.get(UPSTREAM, headers={CPR_HEADER: cpr}) as answer:
            answer.raise_for_status()
            body = await answer.read()
        await self._redis.set(key(cpr), checked(cpr, body), px=KEPT_FOR)

    async def close(self) -> None:
        """Closes them."""
        await self._http.close()
        await self._redis.aclose()
