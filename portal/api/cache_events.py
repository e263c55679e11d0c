"""Cache events: one subscription per process that tells the open pages when a citizen's entries change.

Events may be lost, as while the cache is away; so an event stream also reads its page without one, now and then.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from config.settings import Settings
from registerbro.storage.keys import ENTRY_CHANNELS, entry_channel
from registerbro.storage.redis_client import REDIS_DOWN, connect

log = structlog.get_logger()

LISTEN_AGAIN = timedelta(milliseconds=250)
"""How long after a lost connection the process subscribes again."""


class Listener:
    """Subscriber to the cache's events. It holds one connection, while at least one page listens."""

    def __init__(self, settings: Settings) -> None:
        self._redis = connect(settings.cache_url.get_secret_value())
        self._listeners: dict[bytes, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Closes the connection."""
        await self._end()
        await self._redis.aclose()

    @contextmanager
    def hears(self, citizen_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when an entry of this citizen may have changed."""
        name, event = entry_channel(citizen_id).encode(), asyncio.Event()
        self._listeners.setdefault(name, set()).add(event)
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        try:
            yield event
        finally:
            self._listeners[name].discard(event)
            if not self._listeners[name]:
                del self._listeners[name]
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as pubsub:
                    await pubsub.psubscribe(ENTRY_CHANNELS)
                    # Changes before the subscription sent no event here: every page reads anew.
                    self._wake(event for events in self._listeners.values() for event in events)
                    while True:
                        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
                        if message is not None:
                            self._wake(self._listeners.get(message["channel"], ()))
            except REDIS_DOWN as error:
                log.warning("subscription_lost", detail=type(error).__name__)
                await asyncio.sleep(LISTEN_AGAIN.total_seconds())

    async def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def _wake(self, events: Iterable[asyncio.Event]) -> None:
        for event in events:
            event.set()
