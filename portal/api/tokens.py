"""Tokens: JSON Web Tokens, verified with the identity provider's key set, say who the caller is."""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import jwt
import structlog
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, ValidationError

from config.settings import Settings
from domain.citizen import Citizen
from domain.cpr import Cpr, InvalidCpr
from portal.api import jwks
from portal.api.jwks import ALGORITHMS

log = structlog.get_logger()

LEEWAY_SECONDS = 10
"""How far two machines' clocks may be apart."""
AGAIN_AFTER_SECONDS = 5.0
"""How soon the key set is read again for a key that it does not have, so that wrong tokens cause no storm of reads."""
FETCH_SECONDS = 2.0
"""For a key set in all, whatever happens meanwhile: requests wait for it, and the next read begins after it."""
KNOWN_TOKENS = 4096
"""How many checked tokens are remembered, by their digest: a page asks several times with the same one."""
KNOWN_AT_MOST_SECONDS = 300.0
"""How long a checked token, with its caller, stays in memory; JWKS_KEPT_FOR may shorten that."""
KEYS_TRIED = 16
"""How many keys one token is checked against at the most: a signature check takes up to a millisecond."""


class InvalidToken(Exception):
    """The token is not valid. The message says why, and holds nothing of the token."""


class _WrongSignature(InvalidToken):
    """None of the keys made the signature."""


class KeysUnavailable(Exception):
    """There is no key set to check a token with."""


class _Claims(BaseModel):
    """The claims of a token as design.md names them; citizens' tokens have `cpr`, operators' need none."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    sub: str = Field(min_length=1, max_length=200, repr=False)
    exp: StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
    cpr: str | None = Field(default=None, repr=False)
    contact_groups: list[StrictInt] = []
    education_order: StrictBool = False
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Caller of a request, and the scopes of their token. `citizen` is None for an operator."""

    subject: str = field(repr=False)
    scopes: frozenset[str]
    citizen: Citizen | None = field(repr=False)
    expires_at: float


class KeySet:
    """The public keys, read anew when they are old and when a token names one that is not among them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = jwks.File(settings.jwks_file) if settings.jwks_file is not None else None
        self._keys: jwks.Keys = ()
        self._content = b""
        self._read_at = -math.inf
        self._asked_at = -math.inf
        self._failed = False
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_current(self) -> bool:
        """Whether there are keys, and the last attempt to read the key set succeeded."""
        return bool(self._keys) and not self._failed

    async def is_usable(self) -> bool:
        """Whether there are keys to check tokens with; the key set is read when it has not been read yet."""
        if not self._keys:
            await self._read_anew()
        return bool(self._keys)

    async def named(self, name: str | None, algorithm: str) -> jwks.Keys:
        """The keys that may have signed a token: those of the name and algorithm that its header has.

        A token without a name (`kid`) may be signed with any key of its algorithm (RFC 7515, 4.1.4). At most KEYS_TRIED
        keys are returned, those without a name first. Raises InvalidToken and KeysUnavailable.
        """
        found = self._find(name, algorithm)
        if not found:
            await self._read_anew()
            found = self._find(name, algorithm)
        elif time.monotonic() - self._read_at > self._settings.jwks_kept_for.total_seconds():
            # The known keys are good for this token: no request waits for the next key set.
            self._begin_reading()
        if not self._keys:
            raise KeysUnavailable
        if not found:
            raise InvalidToken("it was signed with a key that is not known")
        return found

    async def is_changed(self) -> bool:
        """Reads the key set anew, unless that was done a moment ago; whether its content is another one since."""
        before = self._content
        await self._read_anew()
        return self._content != before

    def _find(self, name: str | None, algorithm: str) -> jwks.Keys:
        found = [key for key in self._keys if key.algorithm_name == algorithm and (name is None or key.key_id == name)]
        return tuple(sorted(found, key=lambda key: key.key_id is not None)[:KEYS_TRIED])

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
                content = await self._fetch()
            keys = jwks.usable(content)
        except (OSError, ValueError) as error:
            self._failed = True
            log.error("key_set_not_readable", detail=type(error).__name__)
            return
        self._failed = not keys
        if not keys:
            log.error("key_set_not_readable", detail="it holds no key that is used for these signatures")
            return
        if content != self._content:
            log.info("key_set_read", keys=sorted(key.key_id or "" for key in keys))
        self._keys, self._content = keys, content
        self._read_at = time.monotonic()

    async def _fetch(self) -> bytes:
        return await (self._file.read() if self._file else jwks.fetched(str(self._settings.jwks_url)))


class Tokens:
    """Checks tokens, and remembers for a while those that it has checked."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self.keys = KeySet(settings)
        self._kept_for = min(settings.jwks_kept_for.total_seconds(), KNOWN_AT_MOST_SECONDS)
        self._known: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()
        self._forgetting: asyncio.TimerHandle | None = None

    async def caller(self, token: str) -> Caller:
        """The caller whom the token names. Raises InvalidToken and KeysUnavailable."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        known = self._known.get(digest)
        if known is not None:
            caller, checked_at = known
            if caller.expires_at + LEEWAY_SECONDS > time.time() and time.monotonic() - checked_at < self._kept_for:
                return caller
            del self._known[digest]
        caller = await self._checked(token)
        self._remember(digest, caller)
        return caller

    def _remember(self, digest: bytes, caller: Caller) -> None:
        self._known[digest] = caller, time.monotonic()
        self._known.move_to_end(digest)
        if len(self._known) > KNOWN_TOKENS:
            self._known.popitem(last=False)
        if self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(self._kept_for, self._forget)

    def _forget(self) -> None:
        """Drops the tokens whose time in memory is over, the oldest first, and comes again for the next."""
        self._forgetting = None
        while self._known:
            _, checked_at = next(iter(self._known.values()))
            left = checked_at + self._kept_for - time.monotonic()
            if left > 0:
                self._forgetting = asyncio.get_running_loop().call_later(left, self._forget)
                return
            self._known.popitem(last=False)

    async def _checked(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise InvalidToken("it is not a JSON Web Token") from None
        name, algorithm = header.get("kid"), header.get("alg")
        if algorithm not in ALGORITHMS:
            raise InvalidToken(f"it is not signed with {' or '.join(ALGORITHMS)}")
        try:
            content = self._decode(token, await self.keys.named(name, algorithm))
        except _WrongSignature:
            # A key without a name may have been replaced, which its name cannot tell.
            if name is not None or not await self.keys.is_changed():
                raise
            content = self._decode(token, await self.keys.named(name, algorithm))
        try:
            claims = _Claims.model_validate(content)
        except ValidationError as error:
            wrong = ", ".join(sorted({str(one["loc"][0]) for one in error.errors()}))
            raise InvalidToken(f"its claims are not as agreed: {wrong}") from None
        return Caller(claims.sub, frozenset(claims.scope.split()), _citizen(claims), claims.exp)

    def _decode(self, token: str, keys: Sequence[jwt.PyJWK]) -> dict[str, Any]:
        """The claims of a token that one of `keys` signed. Raises InvalidToken."""
        for key in keys:
            try:
                return jwt.decode(
                    token,
                    key,
                    algorithms=ALGORITHMS,
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=LEEWAY_SECONDS,
                    options={"require": ["exp", "iss", "aud", "sub"]},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.PyJWTError as error:
                raise InvalidToken(_REASONS.get(type(error), "invalid token")) from None
        raise _WrongSignature("its signature is wrong")


_REASONS = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.InvalidAudienceError: "wrong audience",
    jwt.InvalidIssuerError: "wrong issuer",
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
