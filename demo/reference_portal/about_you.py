"""»Oplysninger om dig«: the page, its events, and one section of it at a time for the script that fills it."""

import json
from collections.abc import AsyncIterator

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from demo.reference_portal import overview_view, texts
from demo.reference_portal.api import OUTSIDE_TARGET_GROUP, ApiClosing, ApiRefused, ApiUnavailable, SectionAnswer
from demo.reference_portal.session import SignedIn
from demo.reference_portal.site import NotThere, Site, now

log = structlog.get_logger()

PATH = "/oplysninger-om-dig"
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy that gathers an answer before it passes it on (nginx does) would hold the events back until the last one."""


class AboutYou:
    """Endpoints of »Oplysninger om dig«: the page, its sections and its refresh."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PATH, self.get_page),
            Route(f"{PATH}/begivenheder", self.events),
            Route(f"{PATH}/afsnit/{{section}}", self.section),
            Route(f"{PATH}/igen", self.again, methods=["POST"]),
        ]

    async def get_page(self, request: Request) -> Response:
        user = await _member(self._site, request)
        answers = await _answers(self._site, user)
        return self._site.render(
            request,
            "about_you.html",
            page=overview_view.page_view(answers, now(), show_all=request.query_params.getlist("vis")),
            too_soon=request.query_params.get("besked") == "vent",
        )

    async def section(self, request: Request) -> Response:
        name = request.path_params["section"]
        user = await _member(self._site, request)
        if name not in texts.SECTIONS:
            raise NotThere
        answer = (await _answers(self._site, user))[name]
        view = overview_view.section(answer, now(), whole="hele" in request.query_params)
        return HTMLResponse(self._site.render_text("section.html", section=view, open=False))

    async def events(self, request: Request) -> Response:
        user = await _member(self._site, request)
        return StreamingResponse(_told(self._site, user), media_type="text/event-stream", headers=UNBUFFERED)

    async def again(self, request: Request) -> Response:
        user = await _member(self._site, request)
        await self._site.form(request)
        try:
            await self._site.api.refresh(user.token)
        except ApiRefused as error:
            if error.kind == "rate-limited":
                return self._site.redirect(f"{PATH}?besked=vent")
            log.warning("refresh_refused", reason=error.kind)
        except ApiUnavailable as error:
            log.warning("refresh_not_requested", reason=error.reason)
        return self._site.redirect(PATH)


async def _member(site: Site, request: Request) -> SignedIn:
    """The citizen, if the page exists for them today (R1). Raises LogInFirst and NotThere.

    A session that says no may be of before midnight, and the rule of today another; one that says yes is tried by the
    API with each answer.
    """
    user = site.user(request)
    if user.in_target_group:
        return user
    try:
        banner = await site.api.banner(user.token)
    except (ApiRefused, ApiUnavailable) as error:
        log.warning("target_group_not_read", reason=str(error))
        raise NotThere from None
    if not banner.in_target_group:
        raise NotThere
    return user


async def _answers(site: Site, user: SignedIn) -> dict[str, SectionAnswer]:
    try:
        return await site.api.overview(user.token)
    except ApiRefused as error:
        if error.kind == OUTSIDE_TARGET_GROUP:
            # Since the log-in: the citizen turned 25, or the rule changed.
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
                yield _event("section", id=answer.section.id, mark=overview_view.mark(answer))
    except ApiClosing:
        end = "closing"
    except (ApiUnavailable, ApiRefused) as error:
        log.warning("events_ended", reason=str(error))
        # Not all was said: the page looks for itself, and asks again later.
        end = "broken"
    yield _event(end)


def _event(name: str, **data: str) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
