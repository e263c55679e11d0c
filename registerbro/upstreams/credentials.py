"""Credentials of an upstream: the headers that let a call in, beside the client certificate of its connection.

They are HEADERS and a bearer token, from TOKEN or TOKEN_URL. A secret's file is read again when it changes. On its way
a secret is in objects whose repr hides it, so that whatever shows the frames of an error does not show it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

import structlog
from pydantic import SecretStr

from config.reloading import Unusable, Watched
from config.settings import Settings, SettingsError, parse_headers, parse_token, variable
from registerbro.upstreams.access_tokens import ClientCredentials
from registerbro.upstreams.certificates import CHECK_EVERY_SECONDS, Certificates
from registerbro.upstreams.messages import HiddenHeaders

log = structlog.get_logger()

T = TypeVar("T")

_AUTHORIZATION = "Authorization"
_BEARER = "Bearer "


class Tokens(Protocol):
    """Source of bearer tokens."""

    async def token(self, within: float) -> SecretStr:
        """The token for a call, which waits so many seconds at the most. Raises CallFailed."""
        ...

    async def replace(self, refused: SecretStr) -> bool:
        """Called after a token was refused; whether another is worth a call."""
        ...

    async def close(self) -> None:
        """Closes what it needs for that."""
        ...


class Secret(Generic[T]):
    """One secret of an upstream, parsed; its file is read again when it has changed.

    A changed file that cannot be used is logged, and the secret before it stays in use. The constructor raises
    SettingsError when the file cannot be used. `parse` raises ValueError, whose message holds nothing of the secret.
    """

    def __init__(self, settings: Settings, upstream: str, name: str, parse: Callable[[str], T]) -> None:
        path = settings.secret_file(name, upstream)
        text = None if path else settings.current_secret(upstream, name)
        self._value = None if text is None else parse(text)
        self._file = None
        self._check_at = time.monotonic() + CHECK_EVERY_SECONDS
        if path:
            self._file = Watched(
                f"{variable(upstream, name)}_FILE",
                path,
                partial(_parsed, parse),
                reloaded=lambda setting: log.info("secret_reloaded", setting=setting),
                not_reloaded=lambda setting, why: log.error("secret_not_reloaded", setting=setting, detail=why),
            )

    async def current(self, *, at_once: bool = False) -> T | None:
        """The secret; None when it is not set. A file is looked at every CHECK_EVERY_SECONDS, or at once."""
        if self._file is None:
            return self._value
        now = time.monotonic()
        if at_once or now >= self._check_at:
            self._check_at = now + CHECK_EVERY_SECONDS
            await asyncio.to_thread(self._file.look)
        return self._file.value


def _parsed(parse: Callable[[str], T], content: bytes) -> T:
    try:
        return parse(content.decode().strip())
    except UnicodeDecodeError:
        why = "not UTF-8"
    except ValueError as error:
        why = str(error)
    # The frame lives with the error, and is to hold nothing of the secret.
    del content
    raise Unusable(why)


def _hidden_token(text: str) -> SecretStr:
    return SecretStr(parse_token(text))


def _hidden_headers(text: str) -> HiddenHeaders:
    return HiddenHeaders(parse_headers(text))


class FixedToken:
    """TOKEN: issued for long, and exchanged by an operator."""

    def __init__(self, secret: Secret[SecretStr]) -> None:
        self._secret = secret

    async def token(self, within: float) -> SecretStr:
        """The token; a file is read in no time worth a limit."""
        del within
        return await self._secret.current() or SecretStr("")

    async def replace(self, refused: SecretStr) -> bool:
        """Whether the file holds another one meanwhile."""
        return await self._secret.current(at_once=True) != refused

    async def close(self) -> None:
        """Nothing is open."""


class Credentials:
    """Headers of one upstream's calls. Without arguments, no call has any."""

    def __init__(self, headers: Secret[HiddenHeaders] | None = None, tokens: Tokens | None = None) -> None:
        self._headers = headers
        self._tokens = tokens

    @classmethod
    def of(cls, settings: Settings, upstream: str, certificates: Certificates) -> Self:
        """The credentials of one upstream of an installation.

        Raises SettingsError when one is missing, or the file of one cannot be used.
        """
        chosen = settings.upstream(upstream)
        tokens: Tokens | None = None
        if chosen.token_url is not None:
            secret = Secret(settings, upstream, "client_secret", _hidden_token)
            tokens = ClientCredentials(upstream, chosen, certificates, secret.current)
        elif chosen.token is not None or settings.secret_file("token", upstream):
            tokens = FixedToken(Secret(settings, upstream, "token", _hidden_token))
        if chosen.missing_for_token is not None:
            raise SettingsError(f"{variable(upstream, chosen.missing_for_token)}: is missing")
        return cls(Secret(settings, upstream, "headers", _hidden_headers), tokens)

    async def headers(self, within: float) -> Mapping[str, str]:
        """The headers of a call, which waits for a token so many seconds at the most. Raises CallFailed."""
        headers = HiddenHeaders((self._headers and await self._headers.current()) or {})
        if self._tokens is not None:
            headers[_AUTHORIZATION] = _BEARER + (await self._tokens.token(within)).get_secret_value()
        return headers

    async def replace(self, refused: Mapping[str, str]) -> bool:
        """Called after the answer 401 to a call with these headers; whether to call again with others."""
        if self._tokens is None or _AUTHORIZATION not in refused:
            return False
        return await self._tokens.replace(SecretStr(refused[_AUTHORIZATION].removeprefix(_BEARER)))

    async def close(self) -> None:
        """Closes the connection to the token endpoint."""
        if self._tokens is not None:
            await self._tokens.close()
