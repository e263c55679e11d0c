"""HEAD requests: answered as GET without its body, for every route that has a GET (RFC 9110, 9.3.2)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware. The application sees a GET, so that no route can be without its HEAD, or answer it otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._answer(scope, receive, send)
        else:

            async def send_allowing(message: Message) -> None:
                await send(_allowing_heads(message))

            await self._app(scope, receive, send_allowing)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        as_get: Scope = {**scope, "method": "GET"}
        told = asyncio.Event()

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(_allowing_heads(message))
                await send({"type": "http.response.body", "body": b""})
                told.set()

        answering = asyncio.create_task(_as_coroutine(self._app, as_get, receive, send_head))
        hearing = asyncio.create_task(told.wait())
        try:
            await asyncio.wait({answering, hearing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The body is not waited for: that of events comes for as long as something may happen.
            hearing.cancel()
            answering.cancel()
            await asyncio.wait({answering})
            if "route" in as_get:
                scope["route"] = as_get["route"]
        if not answering.cancelled():
            answering.result()


async def _as_coroutine(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


def _allowing_heads(message: Message) -> Message:
    """Where a refusal of a method names those there are, HEAD is one of them beside GET."""
    if message["type"] == "http.response.start" and message["status"] == 405:
        headers = [(name, _with_head(value) if name == b"allow" else value) for name, value in message["headers"]]
        return {**message, "headers": headers}
    return message


def _with_head(allowed: bytes) -> bytes:
    methods = [method.strip() for method in allowed.split(b",")]
    return allowed + b", HEAD" if b"GET" in methods and b"HEAD" not in methods else allowed
