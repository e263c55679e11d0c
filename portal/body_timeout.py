"""Time-out of a request's body (RFC 9110, 15.5.9)."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CLOSE = (b"connection", b"close")


class BodyTimeout:
    """ASGI middleware: the application's `receive` raises HTTPException 408 when the body is not whole in time.

    The time begins with the request. The connection is closed behind that answer, since what follows on it would be the
    rest of the body. An application that has begun to answer, and only waits for the disconnect, receives that.
    """

    def __init__(self, app: ASGIApp, within: timedelta) -> None:
        self._app = app
        self._within = within.total_seconds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ends = asyncio.get_running_loop().time() + self._within
        whole = late = answering = False

        async def receive_in_time() -> Message:
            nonlocal whole, late
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                late = True
                if answering:
                    return {"type": "http.disconnect"}
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
            whole = not message.get("more_body", False)
            return message

        async def send_and_close(message: Message) -> None:
            nonlocal answering
            answering = True
            if late and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await send(message)

        await self._app(scope, receive_in_time, send_and_close)
