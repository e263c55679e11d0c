"""Access tokens: OAuth 2.0 client credentials (RFC 6749, 4.4) of one upstream, from its token endpoint.

One token serves all calls of a process. It is renewed ahead of its end, by one request however many calls wait, and
while that request fails the token before it is used to its end. A token endpoint that is down, slow or hostile costs a
call no more than its attempt's time, and its failure is classed as an upstream's own. No message holds a secret.

No library does this (docs/decisions/0045): the grant is four fields out and three in; time, size and single flight are
ours either way.
"""

import asyncio
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode

import structlog
from pydantic import ByteSize, SecretStr

from config.settings import UpstreamSettings, parse_token
from registerbro.telemetry import metrics
from registerbro.upstreams.certificates import Certificates
from registerbro.upstreams.errors import (
    CallFailed,
    InvalidResponse,
    NotAuthorised,
    RateLimited,
    TooLong,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from registerbro.upstreams.http_client import HttpClient
from registerbro.upstreams.messages import Answer, Question
from registerbro.upstreams.observation import unobserved

log = structlog.get_logger()

MOST_ANSWER = ByteSize(64 * 1024)
"""Bytes of a token endpoint's answer: a token must fit into a header, of which servers take 8 to 64 KB."""
LIFE_UNTOLD_SECONDS = 300.0
"""Life of a token without `expires_in`, which RFC 6749 (5.1) only recommends; one that ends earlier is refused."""
LONGEST_LIFE_SECONDS = 86_400.0
AHEAD = 0.2
"""Last part of a token's life in which it is renewed while calls go on with it."""
MOST_AHEAD_SECONDS = 60.0
AHEAD_AGAIN_SECONDS = 5.0
"""Shortest time between two requests that no call waits for."""

_CODES = frozenset({
    "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
    "invalid_scope", "access_denied",
})  # fmt: skip
"""The codes of a refusal (RFC 6749, 5.2) that a message may name: another may hold anything."""


@dataclass(frozen=True, slots=True)
class Token:
    """An access token; times are of `time.monotonic`."""

    text: SecretStr
    renew_at: float
    ends_at: float


class ClientCredentials:
    """Access tokens of one upstream, within one event loop. `secret` gives CLIENT_SECRET as it is now."""

    def __init__(
        self,
        upstream: str,
        settings: UpstreamSettings,
        certificates: Certificates,
        secret: Callable[[], Awaitable[SecretStr | None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstream = upstream
        self._settings = settings
        self._secret = secret
        self._clock = clock
        bounded = settings.model_copy(update={"max_body": MOST_ANSWER, "max_connections": 1})
        self._http = HttpClient(str(settings.token_url), bounded, certificates)
        self._held: Token | None = None
        self._flight: asyncio.Task[Token | CallFailed] | None = None
        self._ahead_again_at = 0.0
        self._replace_again_at = 0.0
        self._refused: tuple[CallFailed, SecretStr | None, float] | None = None

    async def token(self, within: float) -> SecretStr:
        """The access token for a call, which waits so many seconds at the most. Raises CallFailed."""
        now = self._clock()
        held = self._held
        if held is None or held.ends_at <= now:
            return (await self._renewed(within)).text
        if held.renew_at <= now and self._ahead_again_at <= now:
            self._ahead_again_at = now + AHEAD_AGAIN_SECONDS
            self._begin_renewal()
        return held.text

    async def replace(self, refused: SecretStr) -> bool:
        """Forgets a token that a call was refused with; whether to call again with another.

        A token that was renewed for a refusal and is refused too is not the reason: for RETRY_AFTER, it is not replaced
        again, so that refused calls are not doubled.
        """
        now = self._clock()
        if self._held is None or self._held.text != refused:
            return True
        if now < self._replace_again_at:
            return False
        self._replace_again_at = now + self._settings.retry_after.total_seconds()
        self._held = None
        return True

    async def close(self) -> None:
        """Ends a request under way, and closes the connection."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])
        await self._http.close()

    async def _renewed(self, within: float) -> Token:
        flight = self._begin_renewal()
        done, _ = await asyncio.wait([flight], timeout=within)
        if not done:
            raise UpstreamTimeout(f"token endpoint: no answer within {within:.1f} s")
        result = flight.result()
        if isinstance(result, CallFailed):
            # Each call raises an error of its own: a traceback is of one.
            raise type(result)(str(result), retry_after=result.retry_after)
        return result

    def _begin_renewal(self) -> "asyncio.Task[Token | CallFailed]":
        """The request under way, or a new one. It belongs to no call: none cancels it, and it bears no call's trace."""
        if self._flight is None or self._flight.done():
            self._flight = asyncio.get_running_loop().create_task(self._renew(), context=Context())
        return self._flight

    async def _renew(self) -> Token | CallFailed:
        secret = await self._secret()
        if self._refused is not None:
            error, refused_secret, until = self._refused
            if refused_secret == secret and self._clock() < until:
                return error
            self._refused = None
        outcome = "issued"
        try:
            return await self._ask(secret)
        except CallFailed as error:
            # To a caller, TooLong would mean that its own question has too long an answer.
            kind = InvalidResponse if isinstance(error, TooLong) else type(error)
            failed = kind(f"token endpoint: {error}", retry_after=error.retry_after)
            outcome = failed.reason
            log.warning("token_not_issued", upstream=self._upstream, outcome=outcome, detail=str(failed))
            if isinstance(error, NotAuthorised):
                # Asked with every call, an endpoint may lock a client whose secret is wrong.
                until = self._clock() + self._settings.retry_after.total_seconds()
                self._refused = failed, secret, until
            return failed
        finally:
            metrics.TOKENS.labels(self._upstream, outcome).inc()

    async def _ask(self, secret: SecretStr | None) -> Token:
        began = self._clock()
        question = _question(self._settings, secret)
        # It holds our secret, and is no call of the upstream that is observed.
        with unobserved():
            answer = await self._http.send(question, {}, self._settings.attempt_timeout.total_seconds())
        if answer.status != 200:
            raise _refusal(answer)
        self._held = _token(answer, began)
        log.info("token_issued", upstream=self._upstream, seconds=round(self._held.ends_at - began))
        return self._held


def _question(settings: UpstreamSettings, client_secret: SecretStr | None) -> Question:
    client_id, secret = settings.client_id or "", client_secret.get_secret_value() if client_secret else None
    fields = {"grant_type": "client_credentials"}
    if settings.scope:
        fields["scope"] = settings.scope
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if secret is not None and settings.client_auth == "client_secret_basic":
        # Each part is form-encoded before they are joined (RFC 6749, 2.3.1).
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    else:
        fields["client_id"] = client_id
        if secret is not None:
            fields["client_secret"] = secret
    return Question("POST", "", headers, urlencode(fields).encode())


def _token(answer: Answer, began: float) -> Token:
    """The token of an answer to a request that began then. Raises InvalidResponse."""
    fields = _fields(answer)
    if fields is None:
        raise InvalidResponse("the answer is not a JSON object")
    if fields.kind != "bearer":
        raise InvalidResponse("the token is no bearer token")
    if fields.text is None:
        raise InvalidResponse("the answer holds no token that a header can hold")
    return Token(fields.text, began + fields.life - min(MOST_AHEAD_SECONDS, fields.life * AHEAD), began + fields.life)


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of an answer (RFC 6749, 5.1), as far as they are used; a `text` that no header can hold is None."""

    kind: str | None
    text: SecretStr | None
    life: float


def _fields(answer: Answer) -> _Fields | None:
    """The fields; None when the answer is no object. It raises nothing, so that no frame of an error holds a token."""
    told = _object(answer)
    if told is None:
        return None
    kind, text = told.get("token_type", "bearer"), told.get("access_token")
    usable = None
    with suppress(ValueError):
        usable = SecretStr(parse_token(text)) if isinstance(text, str) else None
    return _Fields(kind.lower() if isinstance(kind, str) else None, usable, _life(told.get("expires_in")))


def _life(told: object) -> float:
    """`expires_in` in seconds; some servers send it as text."""
    if isinstance(told, str) and told.isascii() and told.isdigit():
        told = int(told[:9])
    if isinstance(told, bool) or not isinstance(told, int | float):
        return LIFE_UNTOLD_SECONDS
    return float(min(max(told, 0), LONGEST_LIFE_SECONDS))


def _refusal(answer: Answer) -> CallFailed:
    """The error that an answer without a token means: the table of all upstreams, and RFC 6749's codes (5.2)."""
    status, retry_after = answer.status, answer.retry_after
    if status == 429:
        return RateLimited("HTTP 429", retry_after=retry_after)
    if status >= 500:
        return UpstreamUnavailable(f"HTTP {status}", retry_after=retry_after)
    if not 400 <= status < 500:
        return InvalidResponse(f"HTTP {status}")
    # Whatever it is, no call is let in, and none was wrong: BadRequest would be about the call.
    code = (_object(answer) or {}).get("error")
    return NotAuthorised(f"HTTP {status}: {code}" if isinstance(code, str) and code in _CODES else f"HTTP {status}")


def _object(answer: Answer) -> dict[str, object] | None:
    try:
        values = answer.json()
    except CallFailed:
        return None
    return values if isinstance(values, dict) else None
