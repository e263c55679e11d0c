"""The end of the server process, as its requests see it: who would hold one open is told, and says a last word.

uvicorn waits for the answers that are under way, and only then tells the application that it ends; an answer that lasts
for as long as something may happen would be waited for in vain, and then cut off.
"""

import asyncio
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger()

_NAME = "registerbro.ending"


class Ending:
    """Whether the process was asked to end."""

    def __init__(self) -> None:
        self.begun = False
        self._waking: set[asyncio.Event] = set()

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> "Ending":
        """That of the server which a request came to; one that never begins where the server says nothing of it."""
        found = scope.get(_NAME)
        return found if isinstance(found, Ending) else cls()

    def begin(self) -> None:
        """The process was asked to end."""
        self.begun = True
        for event in self._waking:
            event.set()

    @contextmanager
    def wakes(self, event: asyncio.Event) -> Iterator[None]:
        """Sets `event` when it begins, or at once."""
        self._waking.add(event)
        if self.begun:
            event.set()
        try:
            yield
        finally:
            self._waking.discard(event)


class Ends:
    """ASGI middleware, the outermost: every request knows the ending, and one that it cuts off is a line in the log."""

    def __init__(self, app: ASGIApp, ending: Ending) -> None:
        self._app = app
        self._ending = ending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        try:
            await self._app({**scope, _NAME: self._ending}, receive, send)
        except asyncio.CancelledError:
            # uvicorn cancels what takes too long at its end, and would print where each of them was.
            if not self._ending.begun:
                raise
            log.warning("request_cut_off", detail="it was under way when the server ended")
