"""»Oplysninger om dig«: the page, its timeline, its events, and one section at a time for the script that fills it."""

import json
from collections.abc import AsyncIterator, Mapping

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from demo.reference_portal import overview_view, texts, timeline_view
from demo.reference_portal.api import OUTSIDE_TARGET_GROUP, ApiClosing, ApiRefused, ApiUnavailable, SectionAnswer
from demo.reference_portal.session import SignedIn
from demo.reference_portal.site import NotThere, Site, now
from demo.reference_portal.timeline_layout import Place

log = structlog.get_logger()

PATH = "/oplysninger-om-dig"
TIMELINE = "tidslinje"
"""Of `vis`: the page is to show the timeline, too."""
UNBUFFERED = {"X-Accel-Buffering": "no"}
"""A proxy that gathers an answer before it passes it on (nginx does) would hold the events back until the last one."""


class AboutYou:
    """Endpoints of »Oplysninger om dig«: the page, its sections, its timeline and its refresh."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PATH, self.get_page),
            Route(f"{PATH}/begivenheder", self.events),
            Route(f"{PATH}/afsnit/{{section}}", self.section),
            Route(f"{PATH}/tidslinje", self.timeline),
            Route(f"{PATH}/igen", self.again, methods=["POST"]),
        ]

    async def get_page(self, request: Request) -> Response:
        user = await _member(self._site, request)
        answers = await _answers(self._site, user)
        shown = request.query_params.getlist("vis")
        return self._site.render(
            request,
            "about_you.html",
            page=overview_view.page_view(answers, now(), show_all=shown),
            timeline=_timeline(answers) if TIMELINE in shown else None,
            too_soon=request.query_params.get("besked") == "vent",
        )

    async def section(self, request: Request) -> Response:
        name = request.path_params["section"]
        user = await _member(self._site, request)
        if name not in texts.SECTIONS:
            raise NotThere
        answer = (await _answers(self._site, user))[name]
        view = overview_view.section(answer, now(), whole="hele" in request.query_params)
        return HTMLResponse(self._site.render_text("section.html", section=view, open=False, timeline=None))

    async def timeline(self, request: Request) -> Response:
        user = await _member(self._site, request)
        answers = await _answers(self._site, user)
        return HTMLResponse(self._site.render_text("about_you_timeline.html", timeline=_timeline(answers)))

    async def events(self, request: Request) -> Response:
        user = await _member(self._site, request)
        return StreamingResponse(_told(self._site, user), media_type="text/event-stream", headers=UNBUFFERED)

    async def again(self, request: Request) -> Response:
        user = await _member(self._site, request)
        kept = (await self._site.form(request)).get("vis") == TIMELINE
        try:
            await self._site.api.refresh(user.token)
        except ApiRefused as error:
            if error.kind == "rate-limited":
                return self._site.redirect(f"{PATH}?besked=vent{f'&vis={TIMELINE}' if kept else ''}")
            log.warning("refresh_refused", reason=error.kind)
        except ApiUnavailable as error:
            log.warning("refresh_not_requested", reason=error.reason)
        return self._site.redirect(f"{PATH}?vis={TIMELINE}" if kept else PATH)


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


def _timeline(answers: Mapping[str, SectionAnswer]) -> timeline_view.TimelineView:
    return timeline_view.timeline_view(answers, now(), _details)


def _details(section: str, index: int) -> str:
    """Where an item of the timeline stands on this page, also without a script, which alone opens what is hidden."""
    row = timeline_view.row_id(Place(section, index))
    hidden = section in overview_view.SHORTENED and index >= overview_view.SHOWN_ITEMS
    return f"{PATH}?vis={section}&vis={TIMELINE}#{row}" if hidden else f"#{row}"


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
