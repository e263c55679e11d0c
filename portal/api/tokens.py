"""Whose request it is: JSON Web Tokens, checked against the key set of who logs citizens in."""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field

import jwt
import structlog
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from config.settings import Settings
from portal.api import jwks
from portal.api.jwks import ALGORITHMS
from workers.domain.cpr import Cpr, InvalidCpr
from workers.refresh import Citizen

log = structlog.get_logger()

LEEWAY_SECONDS = 10
"""How far two machines' clocks may be apart."""
AGAIN_AFTER_SECONDS = 5.0
"""How soon the key set is read again for a key that it does not have, so that wrong tokens cause no storm of reads."""
FETCH_SECONDS = 2.0
"""For a key set in all, whatever happens meanwhile: requests wait for it, and the next read begins after it."""
KNOWN_TOKENS = 4096
"""How many checked tokens are remembered, by their digest: a page asks several times with the same one."""


class InvalidToken(Exception):
    """The token says nothing that may be relied on. The message names why and holds nothing of it."""


class KeysUnavailable(Exception):
    """There is no key set to check a token with."""


class _Claims(BaseModel):
    """The claims of a token as design.md names them; citizens' tokens have `cpr`, operators' need none."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sub: str = Field(min_length=1, max_length=200, repr=False)
    exp: StrictInt
    cpr: str | None = Field(default=None, repr=False)
    contact_groups: list[StrictInt] = []
    education_order: StrictBool = False
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what the token lets them do. `citizen` is None for an operator."""

    subject: str = field(repr=False)
    scopes: frozenset[str]
    citizen: Citizen | None = field(repr=False)
    expires_at: int


class KeySet:
    """The public keys, read anew when they are old and when a token names one that is not among them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = jwks.File(settings.jwks_file) if settings.jwks_file is not None else None
        self._keys: jwks.Keys = {}
        self._read_at = -math.inf
        self._asked_at = -math.inf
        self._reading: asyncio.Task[None] | None = None

    async def key(self, name: str | None) -> jwt.PyJWK:
        """The key that a token names; its only key when it names none. Raises InvalidToken and KeysUnavailable."""
        if name is None and len(self._keys) == 1:
            (name,) = self._keys
        if name not in self._keys:
            await self._read_anew()
        elif time.monotonic() - self._read_at > self._settings.jwks_kept_for.total_seconds():
            # What is known is still good for this token: nobody waits for the key set of tomorrow.
            self._begin_reading()
        if not self._keys:
            raise KeysUnavailable
        if name is None and len(self._keys) == 1:
            (name,) = self._keys
        if name not in self._keys:
            raise InvalidToken("it was signed with a key that is not known")
        return self._keys[name]

    async def _read_anew(self) -> None:
        self._begin_reading()
        if self._reading is not None:
            await asyncio.shield(self._reading)

    def _begin_reading(self) -> None:
        if (self._reading is None or self._reading.done()) and time.monotonic() - self._asked_at > AGAIN_AFTER_SECONDS:
            self._asked_at = time.monotonic()
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        """Reads the key set; when that fails, the keys that are known stay in use."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                content = await self._content()
            keys = jwks.usable(content)
        except (OSError, ValueError) as error:
            log.error("key_set_not_readable", detail=type(error).__name__)
            return
        if not keys:
            log.error("key_set_not_readable", detail="it holds no key that is used for these signatures")
            return
        if keys.keys() != self._keys.keys():
            log.info("key_set_read", keys=sorted(name or "" for name in keys))
        self._keys = keys
        self._read_at = time.monotonic()

    async def _content(self) -> bytes:
        return await (self._file.read() if self._file else jwks.fetched(str(self._settings.jwks_url)))


class Tokens:
    """Checks tokens, and remembers for a while those that it has checked."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._keys = KeySet(settings)
        self._kept_for = settings.jwks_kept_for.total_seconds()
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Who the token says is asking. Raises InvalidToken and KeysUnavailable."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            caller, checked_at = known
            if caller.expires_at + LEEWAY_SECONDS > time.time() and time.monotonic() - checked_at < self._kept_for:
                return caller
            del self._known[digest]
        caller = await self._checked(token)
        self._known[digest] = caller, time.monotonic()
        if len(self._known) > KNOWN_TOKENS:
            self._known.popitem(last=False)
        return caller

    async def _checked(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise InvalidToken("it is not a JSON Web Token") from None
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken(f"it is not signed with {' or '.join(ALGORITHMS)}")
        key = await self._keys.key(header.get("kid"))
        try:
            claims = _Claims.model_validate(
                jwt.decode(
                    token,
                    key,
                    algorithms=ALGORITHMS,
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=LEEWAY_SECONDS,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(_REASONS.get(type(error), "it does not check out")) from None
        except ValidationError as error:
            wrong = ", ".join(sorted({str(one["loc"][0]) for one in error.errors()}))
            raise InvalidToken(f"its claims are not as agreed: {wrong}") from None
        return Caller(claims.sub, frozenset(claims.scope.split()), _citizen(claims), claims.exp)


_REASONS = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.InvalidAudienceError: "it is for somebody else",
    jwt.InvalidIssuerError: "it is from somebody else",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.ImmatureSignatureError: "it is not valid yet",
    jwt.MissingRequiredClaimError: "a claim is missing",
}


def _citizen(claims: _Claims) -> Citizen | None:
    if claims.cpr is None:
        return None
    try:
        cpr = Cpr.parse(claims.cpr)
    except InvalidCpr:
        raise InvalidToken("its claims are not as agreed: cpr") from None
    return Citizen(cpr, frozenset(claims.contact_groups), claims.education_order)
