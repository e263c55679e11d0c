"""FastAPI dependencies: the process's collaborators, and the caller of a request by their token."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from config.settings import Settings
from domain.citizen import Citizen
from domain.service_windows import danish_today
from portal.api.citizen_limits import OneAtATime, Places, Rate
from portal.api.pages import Pages
from portal.api.problems import Problem, Type
from portal.api.tokens import Caller, InvalidToken, KeysUnavailable, Tokens
from registerbro import refresh
from registerbro.refresh.reporting import UnknownContactGroups
from registerbro.services import Services
from registerbro.storage.cache.booked_deadlines import BookedDeadlines
from registerbro.storage.ledger.dismissed_banners import DismissedBanners


@dataclass(frozen=True, slots=True)
class Portal:
    """The collaborators of one server process."""

    settings: Settings
    services: Services
    pages: Pages
    banner: DismissedBanners
    booked: BookedDeadlines
    tokens: Tokens
    refreshes: Rate
    dismissals: Rate
    booking_calls: Rate
    one_at_a_time: OneAtATime
    streams: Places
    unknown_groups: UnknownContactGroups


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
        """The caller by their token. Raises Problem."""
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
        portal_of(request).unknown_groups.report(citizen, danish_today())
        return citizen


class YoungCitizenWith(CitizenWith):
    """A dependency: the citizen of the token, if it has `scope` and the page is for them today (R1).

    A citizen outside the target group has no register fetched from now on, by the schedule either, and no subscription.
    """

    async def __call__(self, request: Request) -> Citizen:  # type: ignore[override]
        """The citizen. Raises Problem."""
        citizen = await super().__call__(request)
        if not citizen.is_in_target_group(portal_of(request).services.rules.now(), danish_today()):
            await refresh.end_fetching(portal_of(request).services, citizen)
            raise Problem(Type.OUTSIDE_TARGET_GROUP)
        return citizen


class TokenFirst(APIRoute):
    """A route that looks at the token before it reads a body, which may take its time: FastAPI reads the body first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, behind the checks of the token where there is a body to read."""
        handler = super().get_route_handler()
        checks = [one.call for one in self.dependant.dependencies if isinstance(one.call, CallerWith)]
        if self.body_field is None:
            return handler

        async def checked(request: Request) -> Response:
            for check in checks:
                await check(request)
            return await handler(request)

        return checked
