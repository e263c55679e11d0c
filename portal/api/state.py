"""What the API's routes work with, and who is asking: FastAPI's dependencies."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from config.settings import Settings
from portal.api.pages import Pages, today
from portal.api.problems import Problem, Type
from portal.api.tokens import Caller, InvalidToken, KeysUnavailable, Tokens
from portal.banner import Banner
from portal.booked import Booked
from workers import names, refresh
from workers.cache.scripts import ms
from workers.connections import REDIS_DOWN
from workers.refresh import Citizen
from workers.runtime import Services
from workers.steady import Steady

MINUTE = timedelta(minutes=1)

# KEYS: when a citizen asked. ARGV: how often they may, within how many ms, a name for this time. Returns 0, or in how
# many ms they may again.
_ASK = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then
  return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] + ARGV[2] - now
end
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
"""


@dataclass(frozen=True, slots=True)
class Portal:
    """The collaborators of one server process."""

    settings: Settings
    services: Services
    pages: Pages
    banner: Banner
    booked: Booked
    tokens: Tokens
    refreshes: "RefreshLimit"


class RefreshLimit:
    """How often a citizen may ask for a refresh, over all processes together.

    By a steady clock: an expiry of Redis' own, which is what libraries count by, lasts for as much longer as its clock
    is set back. `clock` and `monotonic` are those of `Steady`, for tests.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        clock: Callable[[], int] | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._citizens = services.citizens
        self._most = settings.refreshes_per_minute
        self._ask = Steady(services.coordination, clock, monotonic).script(_ASK)

    async def check(self, citizen: Citizen) -> None:
        """Counts a request. Raises Problem when there were too many; without Redis there is nothing to spare."""
        keys = [f"limits:refresh:{self._citizens.id_of(citizen.cpr)}", "limits:clock"]
        try:
            wait = await self._ask(keys=keys, args=[self._most, ms(MINUTE), names.name()])
        except REDIS_DOWN:
            return
        if wait > 0:
            detail = f"more than {self._most} refreshes within a minute"
            raise Problem(Type.RATE_LIMITED, detail, retry_after=math.ceil(wait / 1000))


def portal_of(request: Request) -> Portal:
    """The collaborators of this process."""
    here: Portal = request.app.state.portal
    return here


async def _portal(request: Request) -> Portal:
    return portal_of(request)


InPortal = Annotated[Portal, Depends(_portal)]


class CallerWith(HTTPBearer):
    """A dependency: the caller, if the token has `scope`.

    One object from the header to the citizen, since each further dependency costs a request more than what it does.
    """

    def __init__(self, scope: str) -> None:
        super().__init__(
            auto_error=False,
            scheme_name="token",
            bearerFormat="JWT",
            description="ES256 or RS256; `iss`, `aud` and `exp` are checked",
        )
        self._scope = scope

    async def __call__(self, request: Request) -> Any:  # type: ignore[override]  # noqa: ANN401 - see the subclasses
        """The caller. Raises Problem."""
        return await self.caller(request)

    async def caller(self, request: Request) -> Caller:
        """Who asks. Raises Problem."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Problem(Type.UNAUTHORISED, "there is no bearer token")
        try:
            who = await portal_of(request).tokens.caller(token.strip())
        except InvalidToken as error:
            raise Problem(Type.UNAUTHORISED, str(error)) from None
        except KeysUnavailable:
            raise Problem(Type.KEYS_UNAVAILABLE, retry_after=5) from None
        if self._scope not in who.scopes:
            raise Problem(Type.FORBIDDEN, f"the token has no scope {self._scope}")
        return who


class CitizenWith(CallerWith):
    """A dependency: the citizen of the token, if it has `scope`."""

    async def __call__(self, request: Request) -> Citizen:  # type: ignore[override]
        """The citizen. Raises Problem."""
        citizen = (await self.caller(request)).citizen
        if citizen is None:
            raise Problem(Type.FORBIDDEN, "the token is no citizen's")
        return citizen


class YoungCitizenWith(CitizenWith):
    """A dependency: the citizen of the token, if it has `scope` and the page is for them today (R1).

    For who is outside the target group nothing is fetched from now on, by the schedule either.
    """

    async def __call__(self, request: Request) -> Citizen:  # type: ignore[override]
        """The citizen. Raises Problem."""
        citizen = await super().__call__(request)
        if not citizen.is_in_target_group(today()):
            await refresh.left(portal_of(request).services, citizen)
            raise Problem(Type.OUTSIDE_TARGET_GROUP)
        return citizen
