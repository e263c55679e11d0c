"""»Oplysninger om dig«: the page, its events, and one section of it at a time for the script that fills it."""

import json
from collections.abc import AsyncIterator

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from portal.web import texts, views
from portal.web.api import OUTSIDE_TARGET_GROUP, ApiClosing, ApiRefused, ApiUnavailable, SectionAnswer
from portal.web.session import SignedIn
from portal.web.site import NotThere, Site, now

log = structlog.get_logger()

PATH = "/oplysninger-om-dig"
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy that gathers an answer before it passes it on (nginx does) would hold the events back until the last one."""


class AboutYou:
    """The page and what belongs to it."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PATH, self.page),
            Route(f"{PATH}/begivenheder", self.events),
            Route(f"{PATH}/afsnit/{{section}}", self.section),
            Route(f"{PATH}/igen", self.again, methods=["POST"]),
        ]

    async def page(self, request: Request) -> Response:
        answers = await _answers(self._site, _member(self._site, request))
        return self._site.page(
            request,
            "about_you.html",
            page=views.page(answers, now(), show_all=request.query_params.getlist("vis")),
            too_soon=request.query_params.get("besked") == "vent",
        )

    async def section(self, request: Request) -> Response:
        name = request.path_params["section"]
        user = _member(self._site, request)
        if name not in texts.SECTIONS:
            raise NotThere
        answer = (await _answers(self._site, user))[name]
        view = views.section(answer, now(), whole="hele" in request.query_params)
        return HTMLResponse(self._site.rendered("section.html", section=view, open=False))

    async def events(self, request: Request) -> Response:
        user = _member(self._site, request)
        return StreamingResponse(_told(self._site, user), media_type="text/event-stream", headers=UNBUFFERED)

    async def again(self, request: Request) -> Response:
        user = _member(self._site, request)
        await self._site.form(request)
        try:
            await self._site.api.refresh(user.token)
        except ApiRefused as error:
            if error.kind == "rate-limited":
                return self._site.redirect(f"{PATH}?besked=vent")
            log.warning("refresh_refused", reason=error.kind)
        except ApiUnavailable as error:
            log.warning("refresh_not_asked_for", reason=error.reason)
        return self._site.redirect(PATH)


def _member(site: Site, request: Request) -> SignedIn:
    """The citizen, if the page exists for them (R1). Raises LogInFirst and NotThere."""
    user = site.user(request)
    if not user.in_target_group:
        raise NotThere
    return user


async def _answers(site: Site, user: SignedIn) -> dict[str, SectionAnswer]:
    try:
        return await site.api.overview(user.token)
    except ApiRefused as error:
        if error.kind == OUTSIDE_TARGET_GROUP:
            # Since the log-in: somebody turned 25.
            raise NotThere from None
        raise


async def _told(site: Site, user: SignedIn) -> AsyncIterator[str]:
    """The API's events as the page needs them: which section to fetch anew, and that nothing more will come.

    The data themselves go another way, as HTML, so that there is one place that makes it.
    """
    end = "settled"
    try:
        async with site.api.events(user.token) as answers:
            async for answer in answers:
                yield _event("section", id=answer.section.id, mark=views.mark(answer))
    except ApiClosing:
        end = "closing"
    except (ApiUnavailable, ApiRefused) as error:
        log.warning("events_ended", reason=str(error))
        # Not all was said: the page looks for itself, and asks again later.
        end = "broken"
    yield _event(end)


def _event(name: str, **data: str) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
