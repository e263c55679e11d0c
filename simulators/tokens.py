"""OAuth 2.0 token endpoint of an upstream (RFC 6749, client credentials), and the check of calls that show its tokens.

Off until the control sets what it expects: then each call of the upstream must show a token that this endpoint issued,
and that has neither ended nor been revoked.
"""

import secrets
import time
from base64 import b64decode
from contextlib import suppress
from typing import Any
from urllib.parse import unquote_plus

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

PATH = "/oauth2/token"


class Expected(BaseModel):
    """The client that tokens are issued to: its id, its secret (None where a certificate says who asks), and scopes.

    Each token lasts `expires_in` seconds, and starts with the text `prefix`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str
    client_secret: str | None = None
    scope: str
    expires_in: float = 60.0
    prefix: str = ""


class TokenEndpoint:
    """Issues tokens, and knows them again."""

    def __init__(self) -> None:
        self.expected: Expected | None = None
        self.issued = 0
        self.refused = 0
        self._ends_at: dict[str, float] = {}

    def admits(self, request: web.Request) -> bool:
        """Whether a call may be answered."""
        if self.expected is None:
            return True
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and self._ends_at.get(token, 0.0) > time.monotonic()

    def revoke(self) -> None:
        """Revokes all tokens."""
        self._ends_at.clear()

    def forget(self) -> None:
        """As at the start."""
        self.expected = None
        self.issued = self.refused = 0
        self.revoke()

    async def serve(self, request: web.Request) -> web.Response:
        """The token endpoint."""
        expected = self.expected
        if expected is None:
            return web.Response(status=404)
        form = await request.post()
        error, status = self._error(request, form, expected)
        if error:
            self.refused += 1
            return web.json_response({"error": error, "error_description": "simulated"}, status=status)
        self.issued += 1
        token = expected.prefix + secrets.token_urlsafe(32)
        self._ends_at[token] = time.monotonic() + expected.expires_in
        told = {"access_token": token, "token_type": "Bearer", "expires_in": expected.expires_in}
        return web.json_response(told, headers={"Cache-Control": "no-store"})

    def _error(self, request: web.Request, form: Any, expected: Expected) -> tuple[str | None, int]:  # noqa: ANN401
        basic = _basic(request.headers.get("Authorization", ""))
        shown = basic or (form.get("client_id"), form.get("client_secret"))
        if basic and "client_id" in form:
            return "invalid_request", 400
        if shown != (expected.client_id, expected.client_secret):
            return "invalid_client", 401
        if form.get("grant_type") != "client_credentials":
            return "unsupported_grant_type", 400
        if form.get("scope") != expected.scope:
            return "invalid_scope", 400
        return None, 200


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, pair = header.partition(" ")
    if scheme != "Basic":
        return None
    with suppress(ValueError):
        client_id, _, secret = b64decode(pair, validate=True).decode().partition(":")
        return unquote_plus(client_id), unquote_plus(secret)
    return None


def refusal() -> web.Response:
    """The answer to a call without a token that is in force (RFC 6750, 3)."""
    return web.Response(status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def control_routes(prefix: str, tokens: TokenEndpoint) -> list[web.RouteDef]:
    """The control of the token endpoint: what it expects, how often it was asked, and revocation."""

    async def state(_: web.Request) -> web.Response:
        return web.json_response({"issued": tokens.issued, "refused": tokens.refused})

    async def expect(request: web.Request) -> web.Response:
        try:
            tokens.expected = Expected.model_validate_json(await request.read())
        except ValidationError as error:
            problems = [".".join(map(str, problem["loc"])) for problem in error.errors()]
            return web.json_response(problems, status=422)
        return web.Response(status=204)

    async def forget(_: web.Request) -> web.Response:
        tokens.forget()
        return web.Response(status=204)

    async def revoke(_: web.Request) -> web.Response:
        tokens.revoke()
        return web.Response(status=204)

    return [
        web.get(f"{prefix}/tokens", state),
        web.put(f"{prefix}/tokens", expect),
        web.delete(f"{prefix}/tokens", forget),
        web.post(f"{prefix}/tokens/revoke", revoke),
    ]
