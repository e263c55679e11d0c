"""Connection limits of the server: how many connections there may be, and how long each may wait for its client.

uvicorn limits the idle time between two requests, and nothing else. Here, each wait for a client has a limit. When all
places are taken, the connection that has waited longest is ended for the next, so that silent clients keep no other
out.
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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.settings import PortalSettings
from registerbro.telemetry import metrics

log = structlog.get_logger()

BACKLOG = 128
"""Connections that the kernel keeps until they are accepted, and that are accepted in one go."""
RESERVED = 256
"""Files that are no client's: a batch that is accepted while those that made room for it close, Redis, upstreams."""
STREAMS_SHARE = 4
"""One of so many connections may be an event stream: each has one of the reference portal beside it."""
CHECK_EVERY_SECONDS = 0.5
BODY_GRACE_SECONDS = 5.0
"""How long after the time for a body a connection is ended on which that got no answer."""

MOST_FRAMING_BYTES = 64 * 1024
"""Bytes of a head, a trailer or a chunk's extension, beyond the part in which it begins."""
MOST_PIPELINED = 8
"""Requests that wait on a connection for the answer to the one before them (RFC 9112, 9.3.2)."""

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
    """What a connection waits for; WORK when it does not wait for its client."""

    HEAD = "head"
    BODY = "body"
    IDLE = "idle"
    UNREAD = "unread"
    """The client does not read what was sent to it."""
    WORK = "work"


class ConnectionLimits:
    """Places for the connections of one process."""

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
        self._next_check: asyncio.TimerHandle | None = None
        if self.most < settings.max_connections:
            log.warning("connections_limited_by_files", most=self.most, wanted=settings.max_connections)

    def enter(self, connection: "Connection") -> bool:
        """Takes a place for a new connection, ending another one if it must. False when none can be ended."""
        if len(self._open) >= self.most:
            log.warning("connections_full", most=self.most)
            longest = next(iter(self._waiting), None)
            if longest is None:
                metrics.CONNECTIONS_ENDED.labels("refused").inc()
                return False
            self._end(longest, "made_room")
        self._open.add(connection)
        if self._next_check is None:
            self._next_check = asyncio.get_running_loop().call_later(CHECK_EVERY_SECONDS, self._end_overdue)
        return True

    def record_wait(self, connection: "Connection") -> None:
        """Records what a connection waits for, if that has changed."""
        waits = connection.waits()
        if connection not in self._open or waits is connection.recorded_wait:
            return
        connection.recorded_wait = waits
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

    def _end_overdue(self) -> None:
        """Ends the connections whose time is over."""
        self._next_check = None
        for connection in list(self._open):
            self.record_wait(connection)
        now = time.monotonic()
        for connection, since in list(self._waiting.items()):
            if now - since >= self._seconds[connection.recorded_wait]:
                log.info("connection_ended", waited_for=connection.recorded_wait)
                self._end(connection, connection.recorded_wait)
        if self._open:
            self._next_check = asyncio.get_running_loop().call_later(CHECK_EVERY_SECONDS, self._end_overdue)


class Config(uvicorn.Config):
    """uvicorn's configuration, with the limits that its connections share."""

    def __init__(self, app: ASGIApp, settings: PortalSettings, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(
            app,
            http=Connection,
            # A request to change the protocol is a request like any other.
            ws="none",
            # A proxy's headers about the client are not believed.
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=math.ceil(settings.idle_timeout.total_seconds()),
            **options,
        )
        self.limits = ConnectionLimits(settings)


class Connection(HttpToolsProtocol):
    """uvicorn's connection on llhttp, which reports its waits to ConnectionLimits.

    llhttp has no limits of its own: a head, a trailer and a chunk's extension may be of any length, and any number of
    requests may come before the first is answered. Here, MOST_FRAMING_BYTES and MOST_PIPELINED limit them.
    """

    config: Config

    recorded_wait = Waits.WORK
    """The wait that ConnectionLimits has on record."""
    _framing_bytes = 0
    """Bytes in a row that brought neither a whole head nor a part of a body."""
    _is_new = False
    """Whether the bytes that are being read brought one of these."""
    _is_in_head = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own annotation
        """asyncio's: a client has connected."""
        super().connection_made(transport)
        if self.config.limits.enter(self):
            self.config.limits.record_wait(self)
        else:
            transport.write(_FULL)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio's: the connection is closed."""
        self.config.limits.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """asyncio's: something came."""
        self._is_new = False
        super().data_received(data)
        self._framing_bytes = 0 if self._is_new else self._framing_bytes + len(data)
        if self._framing_bytes > MOST_FRAMING_BYTES and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")
        self.config.limits.record_wait(self)

    def send_400_response(self, msg: str) -> None:
        """uvicorn's: ends the connection. An answer that is under way is cut short, and has nothing written into it."""
        latest = self.cycle
        if self.pipeline or (latest is not None and latest.response_started and not latest.response_complete):  # type: ignore[redundant-expr] # None before the first
            self.transport.close()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        """llhttp's: a request begins."""
        self._is_in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp's: a header. A trailer, behind a body in chunks, is none of the request's (RFC 9110, 6.5.1)."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """llhttp's: a head is whole. What is raised here ends the connection, as a malformed request does."""
        self._is_in_head, self._is_new = False, True
        if len(self.pipeline) >= MOST_PIPELINED:
            raise ValueError("too many requests before the first is answered")
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError("another version of HTTP")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """llhttp's: a part of a body."""
        self._is_new = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        """uvicorn's: an answer has ended."""
        super().on_response_complete()
        self.config.limits.record_wait(self)

    def pause_writing(self) -> None:
        """asyncio's: the client leaves too much unread."""
        super().pause_writing()
        self.config.limits.record_wait(self)

    def resume_writing(self) -> None:
        """asyncio's: the client reads again."""
        super().resume_writing()
        self.config.limits.record_wait(self)

    def waits(self) -> Waits:
        """The current wait."""
        if self.transport.is_closing() or self.flow.write_paused:
            return Waits.UNREAD
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # None before the first
            return Waits.HEAD if self.timeout_keep_alive_task is None else Waits.IDLE
        return Waits.BODY if self.cycle.more_body else Waits.WORK
