"""What the API's routes work with, and who is asking: FastAPI's dependencies."""

import math
import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from config.settings import Settings
from portal.api.pages import Pages, today
from portal.api.problems import Problem, Type
from portal.api.tokens import Caller, InvalidToken, KeysUnavailable, Tokens
from portal.banner import Banner
from portal.booked import Booked
from workers import refresh
from workers.connections import REDIS_DOWN
from workers.refresh import Citizen
from workers.runtime import Services


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
    """How often a citizen may ask for a refresh, over all processes together."""

    def __init__(self, settings: Settings, services: Services) -> None:
        url = settings.coordination.replace("unix://", "redis+unix://")
        storage = RedisStorage(
            f"async+{url}",
            implementation="redispy",
            key_prefix="limits",
            connection_pool=services.coordination.connection_pool,  # type: ignore[arg-type]
        )
        self._services = services
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._limit = RateLimitItemPerMinute(settings.refreshes_per_minute)

    async def check(self, citizen: Citizen) -> None:
        """Counts a request. Raises Problem when there were too many; without Redis there is nothing to spare."""
        who = self._services.citizens.id_of(citizen.cpr)
        try:
            if await self._limiter.hit(self._limit, "refresh", who):
                return
            reset = (await self._limiter.get_window_stats(self._limit, "refresh", who)).reset_time
        except REDIS_DOWN:
            return
        raise Problem(
            Type.RATE_LIMITED,
            f"more than {self._limit.amount} refreshes within a minute",
            retry_after=max(1, min(60, math.ceil(reset - time.time()))),
        )


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
