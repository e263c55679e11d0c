"""The session: one sealed cookie, and on the server nothing but which of them a log-out has ended."""

import base64
import binascii
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from typing import Protocol, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from starlette.responses import Response

from registerbro.storage.sealing.sealer import Sealer, Unreadable

BOUND_TO = "session"
LASTS_SECONDS = 3600
"""As long as the token inside it."""
MOST_ENDED = 100_000
"""Marks that a process keeps: more log-outs than an hour has."""


class SignedIn(BaseModel):
    """A citizen who is logged in. `token` is for the API, and never leaves the server but sealed."""

    model_config = ConfigDict(frozen=True)

    token: str
    name: str
    in_target_group: bool

    def __repr_args__(self) -> Iterable[tuple[str | None, object]]:
        """Nothing, for whatever shows objects by their parts."""
        return ()


class Booked(BaseModel):
    """The meeting that was booked last, for its receipt: no address holds it, and a page loaded anew books nothing."""

    model_config = ConfigDict(frozen=True)

    start: AwareDatetime
    end: AwareDatetime
    place: str

    def __repr__(self) -> str:
        return "Booked(…)"

    __str__ = __repr__


class Session(BaseModel):
    """A browser's visit. `csrf` is repeated in every form; `expires` is in seconds of Unix time."""

    model_config = ConfigDict(frozen=True)

    csrf: str
    expires: int
    user: SignedIn | None = None
    booked: Booked | None = None

    @classmethod
    def begin(cls, user: SignedIn | None = None) -> Self:
        """A new one, with a form token of its own, so that nothing of an earlier visit is worth anything in it."""
        return cls(csrf=secrets.token_urlsafe(32), expires=int(time.time()) + LASTS_SECONDS, user=user)

    @property
    def mark(self) -> str:
        """The session's id on the server: the same in all its cookies, and no credential."""
        return sha256(self.csrf.encode()).hexdigest()

    def owns(self, form_token: str) -> bool:
        """Whether a form comes from this session; compares in constant time."""
        return hmac.compare_digest(self.csrf.encode(), form_token.encode())


class Ended(Protocol):
    """Knows which sessions have ended before their time."""

    async def record(self, mark: str, seconds: int) -> None:
        """The session with this mark has ended, and would have lasted so many seconds more. Raises nothing."""
        ...

    async def has(self, mark: str) -> bool:
        """Whether the session with this mark has ended. Raises nothing."""
        ...

    async def close(self) -> None:
        """Closes what it needs for that."""
        ...


class EndedHere:
    """The sessions that ended in this process; enough where there is one."""

    def __init__(self) -> None:
        self._until: OrderedDict[str, float] = OrderedDict()

    async def record(self, mark: str, seconds: int) -> None:
        """See `Ended`."""
        now = time.monotonic()
        self._until[mark] = now + seconds
        while len(self._until) > MOST_ENDED or next(iter(self._until.values())) < now:
            self._until.popitem(last=False)

    async def has(self, mark: str) -> bool:
        """See `Ended`."""
        return self._until.get(mark, 0.0) > time.monotonic()

    async def close(self) -> None:
        """See `Ended`."""


class Sessions:
    """Reads and writes the cookie. With `secure` it is for HTTPS alone, and for this host alone."""

    def __init__(self, sealer: Sealer, *, secure: bool) -> None:
        self._sealer = sealer
        self._secure = secure
        self.cookie = "__Host-session" if secure else "session"

    def read(self, value: str | None) -> Session | None:
        """The session in a cookie; None when there is none, or it does not open, or its time is up."""
        if not value:
            return None
        try:
            opened = self._sealer.open(base64.urlsafe_b64decode(value), BOUND_TO)
            session = Session.model_validate_json(opened)
        except (binascii.Error, UnicodeError, ValueError, Unreadable, ValidationError):
            return None
        # One that is to last longer than any was begun by a clock that was ahead, and has no end that could be trusted.
        return session if 0 < session.expires - time.time() <= LASTS_SECONDS else None

    def write(self, response: Response, session: Session) -> None:
        """Gives the browser this session in place of the one it has."""
        sealed = self._sealer.seal(session.model_dump_json().encode(), BOUND_TO)
        response.set_cookie(
            self.cookie,
            base64.urlsafe_b64encode(sealed).decode(),
            max_age=max(0, session.expires - int(time.time())),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
