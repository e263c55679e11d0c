"""Shutdown of the server process, as its requests see it: open event streams are told, and end with a last event.

uvicorn waits for the answers that are under way, and tells the application only then; it would wait in vain for an
event stream, which lasts for as long as something may happen, and then cut it off.
"""

import asyncio
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger()

_NAME = "registerbro.ending"


class Shutdown:
    """State of the shutdown: whether the process was asked to end."""

    def __init__(self) -> None:
        self.begun = False
        self._waking: set[asyncio.Event] = set()

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "Shutdown":
        """The shutdown of the server that received a request; one that never begins where the scope has none."""
        found = scope.get(_NAME)
        return found if isinstance(found, Shutdown) else cls()

    def begin_shutdown(self) -> None:
        """The process was asked to end."""
        self.begun = True
        for event in self._waking:
            event.set()

    @contextmanager
    def wakes(self, event: asyncio.Event) -> Iterator[None]:
        """Sets `event` when the shutdown begins, or at once if it has."""
        self._waking.add(event)
        if self.begun:
            event.set()
        try:
            yield
        finally:
            self._waking.discard(event)


class ShutdownMiddleware:
    """ASGI middleware, the outermost: puts the shutdown into every scope, and logs a request that it cuts off."""

    def __init__(self, app: ASGIApp, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        try:
            await self._app({**scope, _NAME: self._shutdown}, receive, send)
        except asyncio.CancelledError:
            # uvicorn cancels what takes too long at its end, and would print where each of them was.
            if not self._shutdown.begun:
                raise
            log.warning("request_cut_off", detail="it was under way when the server ended")
