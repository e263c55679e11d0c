"""The server's connections: how long a client may take on one, and how many there may be.

uvicorn has a time for what is idle between two requests, and none for the rest. A connection that waits for its client
is ended when the time for that is over. When all places are taken, the one that has waited longest makes room for the
next, so that clients that say nothing keep nobody out.
"""

import asyncio
import enum
import math
import resource
import time
from collections import OrderedDict
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from config.settings import PortalSettings
from workers import metrics

log = structlog.get_logger()

BACKLOG = 128
"""Connections that the kernel keeps until they are accepted, and that are accepted in one go."""
RESERVED = 256
"""Files that are no client's: a batch that is accepted while those that made room for it close, Redis, upstreams."""
STREAMS_SHARE = 4
"""One of so many connections may be an event stream: each has one of the reference portal beside it."""
LOOK_EVERY_SECONDS = 0.5
BODY_GRACE_SECONDS = 5.0
"""How long after the time for a body a connection is ended on which that got no answer."""

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def most(settings: PortalSettings) -> int:
    """How many connections this process may have open, by its settings and by how many files it may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(1, min(settings.max_connections, files - min(RESERVED, files // 2)))


def most_streams(settings: PortalSettings) -> int:
    """How many event streams this process may have open."""
    return max(1, min(settings.event_streams, most(settings) // STREAMS_SHARE))


class Waits(enum.StrEnum):
    """What a connection waits for from its client; what it does otherwise is WORK."""

    HEAD = "head"
    BODY = "body"
    IDLE = "idle"
    UNREAD = "unread"
    """The client takes nothing of what was sent to it."""
    WORK = "work"


class Room:
    """The places for connections of one process. `ended` and `full` are for tests and metrics alike."""

    def __init__(self, settings: PortalSettings) -> None:
        self.most = most(settings)
        self._seconds = {
            Waits.HEAD: settings.head_timeout.total_seconds(),
            Waits.BODY: settings.body_timeout.total_seconds() + BODY_GRACE_SECONDS,
            Waits.UNREAD: settings.send_timeout.total_seconds(),
            # uvicorn's own time is shorter.
            Waits.IDLE: settings.idle_timeout.total_seconds() + BODY_GRACE_SECONDS,
        }
        self._open: set[Connection] = set()
        self._waiting: OrderedDict[Connection, float] = OrderedDict()
        """Since when each waits for its client, the longest first."""
        self._looking: asyncio.TimerHandle | None = None
        if self.most < settings.max_connections:
            log.warning("connections_limited_by_files", most=self.most, wanted=settings.max_connections)

    def enter(self, connection: "Connection") -> bool:
        """Takes a place for a new connection; another one makes room for it. False when none can."""
        if len(self._open) >= self.most:
            log.warning("connections_full", most=self.most)
            longest = next(iter(self._waiting), None)
            if longest is None:
                metrics.CONNECTIONS_ENDED.labels("refused").inc()
                return False
            self._end(longest, "made_room")
        self._open.add(connection)
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_SECONDS, self._look)
        return True

    def note(self, connection: "Connection") -> None:
        """What a connection does may have changed."""
        waits = connection.waits()
        if connection not in self._open or waits is connection.noted:
            return
        connection.noted = waits
        self._waiting.pop(connection, None)
        if waits is not Waits.WORK:
            self._waiting[connection] = time.monotonic()

    def leave(self, connection: "Connection") -> None:
        """The connection is closed, or about to be."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def _end(self, connection: "Connection", reason: str) -> None:
        metrics.CONNECTIONS_ENDED.labels(reason).inc()
        self.leave(connection)
        connection.transport.abort()

    def _look(self) -> None:
        """Ends the connections whose time is over."""
        self._looking = None
        for connection in list(self._open):
            self.note(connection)
        now = time.monotonic()
        for connection, since in list(self._waiting.items()):
            if now - since >= self._seconds[connection.noted]:
                log.info("connection_ended", waited_for=connection.noted)
                self._end(connection, connection.noted)
        if self._open:
            self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_SECONDS, self._look)


class Config(uvicorn.Config):
    """uvicorn's, with the room that its connections take their places in."""

    def __init__(self, app: ASGIApp, settings: PortalSettings, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(
            app,
            http=Connection,
            # A request to change the protocol is a request like any other.
            ws="none",
            # Nothing is made of who a proxy says it asks for.
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=math.ceil(settings.idle_timeout.total_seconds()),
            **options,
        )
        self.room = Room(settings)


class Connection(H11Protocol):
    """uvicorn's connection, which says what it waits for."""

    config: Config

    noted = Waits.WORK
    """What it was last seen to wait for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own annotation
        """asyncio's: a client has connected."""
        super().connection_made(transport)
        if self.config.room.enter(self):
            self.config.room.note(self)
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: the connection is closed."""
        self.config.room.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio's: something came."""
        super().data_received(data)
        self.config.room.note(self)

    def on_response_complete(self) -> None:
        """uvicorn's: an answer has ended."""
        super().on_response_complete()
        self.config.room.note(self)

    def pause_writing(self) -> None:
        """asyncio's: the client leaves too much unread."""
        super().pause_writing()
        self.config.room.note(self)

    def resume_writing(self) -> None:
        """asyncio's: the client reads again."""
        super().resume_writing()
        self.config.room.note(self)

    def waits(self) -> Waits:
        """What it waits for now."""
        if self.transport.is_closing() or self.flow.write_paused:
            return Waits.UNREAD
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # None before the first
            return Waits.HEAD if self.timeout_keep_alive_task is None else Waits.IDLE
        return Waits.BODY if self.cycle.more_body else Waits.WORK
