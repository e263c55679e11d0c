"""ASGI middleware: trace context, body-size limit, access log, response headers."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.api.problems import Problem, Type
from registerbro.telemetry import trace
from registerbro.telemetry.trace import Kind

log = structlog.get_logger()

LONGEST_BODY_BYTES = 16 * 1024
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Machines ask for these all day: they are logged when they fail, and else with the debugging."""
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class RequestMiddleware:
    """ASGI middleware. The trace id is that of the caller's `traceparent` (W3C), or a new one; the answer names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        came_with = trace.parse(headers.get(b"traceparent", b"").decode("latin-1"))
        began, status, answered = time.monotonic(), 500, b""

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"traceparent", answered), *HEADERS]
            await send(message)

        with trace.span(scope["method"], Kind.SERVER, came_with) as span:
            answered = span.context.header.encode()
            try:
                if _length(headers) > LONGEST_BODY_BYTES:
                    await Problem(Type.BODY_TOO_LARGE).response()(scope, receive, send_with_headers)
                else:
                    await self._app(scope, _limited(receive), send_with_headers)
            finally:
                # The route, and never the path: a person may type anything into it.
                route = getattr(scope.get("route"), "path", "none")
                span.name(f"{scope['method']} {route}")
                span.set_attributes(status=status)
                level = log.debug if scope["path"] in QUIET and status < 400 else log.info
                level(
                    "request_answered",
                    method=scope["method"],
                    route=route,
                    status=status,
                    milliseconds=round((time.monotonic() - began) * 1000, 1),
                )


def _length(headers: dict[bytes, bytes]) -> int:
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        return LONGEST_BODY_BYTES + 1


def _limited(receive: Receive) -> Receive:
    """The body as it comes, however its length was declared; too much of it ends the request."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LONGEST_BODY_BYTES:
            raise Problem(Type.BODY_TOO_LARGE)
        return message

    return limited
