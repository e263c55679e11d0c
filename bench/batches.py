"""How long each script over many items holds Redis up, for one item and for a hundred: `python -m bench.batches`.

The time is the server's own, by its `INFO commandstats`, with the arguments of a refresh and data of one.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from config.settings import AdmissionSettings
from demo.installation import RedisServer
from domain.cpr import Cpr
from domain.overview import SuAttempts
from redis_admission import AdmissionController, Outcome
from registerbro.storage.batching import MOST_ITEMS, Batched
from registerbro.storage.cache.citizens import Citizens
from registerbro.storage.cache.entries import Entries
from registerbro.storage.cache.snapshots import Snapshots
from registerbro.storage.coordination.leases import CITIZENS_WISH, Lease, Leases
from registerbro.storage.keys import ACTIVE_KEY
from registerbro.storage.redis_client import Client, connect
from registerbro.storage.sealing.sealer import Sealer
from registerbro.terminal import say
from registerbro.upstreams.admission import limits_of

ROUNDS = 50
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
T = TypeVar("T")


async def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer("broker", Path(directory)).start()
        try:
            async with connect(server.url) as redis:
                for size in (1, MOST_ITEMS):
                    for name, microseconds in (await _measured(redis, size)).items():
                        say(f"{name:14} {size:4} items: {microseconds:7.1f} µs, {microseconds / size:5.1f} each")
        finally:
            server.stop()


async def _measured(redis: Client, size: int) -> dict[str, float]:
    """The server's time per command in µs, by what is asked for."""
    sealer = Sealer([b"k" * 32])
    leases, entries = Leases(redis), Entries(redis, sealer)
    citizens = Citizens(redis, sealer, lambda: (b"a pepper for measuring alone",), HOUR)
    snapshots = Snapshots(redis, entries, citizens)
    limits = limits_of(AdmissionSettings(max_in_flight=1000), SECOND)
    admission = AdmissionController(redis, "su", limits, redis_timeout=5.0, batching=Batched)
    ids = [await citizens.remember(Cpr.parse(f"010203{number}")) for number in range(4000, 4000 + size)]
    seconds, _ = await redis.time()
    await redis.zadd(ACTIVE_KEY, dict.fromkeys(ids, (seconds + 3600) * 1000))
    timer = Timer(redis)
    for turn in range(ROUNDS + 1):
        if turn == 1:
            # The scripts are loaded now.
            timer.spent.clear()
        for who in ids:
            await leases.acquire(who, "su", HOUR, CITIZENS_WISH)
        begun = await timer("begin", [leases.begin_refresh(who, "su", HOUR) for who in ids])
        await timer("snapshot", [snapshots.read(who, "su") for who in ids])
        permits = await timer("enter", [admission.enter() for _ in ids])
        await timer("record", [admission.record(permit, Outcome.OK) for permit in permits])
        await timer("store", [_store(entries, who) for who in ids])
        await timer("settle", [leases.settle(lease, HOUR, stored=True) for lease in begun if lease])
        taken = await timer("take", [leases.take(who, "su", HOUR, 1000) for who in ids])
        for lease in taken:
            if isinstance(lease, Lease):
                await leases.settle(lease, None)
    await redis.flushall()
    return {name: total / ROUNDS for name, total in timer.spent.items()}


def _store(entries: Entries, who: str) -> Awaitable[bool]:
    content = {"su_attempts": [SuAttempts(count=2)]}
    return entries.store(who, "su", content, age=timedelta(0), fresh_for=HOUR, usable_for=HOUR)


class Timer:
    """Asks for things at a time, and adds up what that took the server in µs, by name."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self.spent: Counter[str] = Counter()

    async def __call__(self, name: str, calls: Iterable[Awaitable[T]]) -> list[T]:
        """Returns the answers to all calls. Raises RuntimeError when they were several commands."""
        await self._redis.config_resetstat()
        found = await asyncio.gather(*calls)
        stats = (await self._redis.info("commandstats"))["cmdstat_evalsha"]
        if stats["calls"] - stats["failed_calls"] != 1 and self.spent[name]:
            raise RuntimeError(f"{name} took {stats['calls']} commands")
        self.spent[name] += stats["usec"]
        return found


if __name__ == "__main__":
    asyncio.run(main())
