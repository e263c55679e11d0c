"""Dramatiq over Redis, with its AsyncIO middleware: `dramatiq bench.peers.with_dramatiq --processes 1 --threads N`.

`python -m bench.peers.with_dramatiq N` publishes. A thread holds each message until the actor's coroutine has ended, so
the threads are what is under way at once.
"""

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import AsyncIO

from bench.peers.aio import Fetcher
from bench.peers.work import BROKER
from bench.people import numbers

broker = RedisBroker(url=BROKER)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
_fetchers: list[Fetcher] = []


@dramatiq.actor(actor_name="fetch")
async def fetch(cpr: str) -> None:
    """The actor."""
    if not _fetchers:
        # Within the event loop, which has no event of its own for its start.
        _fetchers.append(Fetcher())
    await _fetchers[0].fetch(cpr)


if __name__ == "__main__":
    for number in numbers(int(sys.argv[1])):
        fetch.send(number)
