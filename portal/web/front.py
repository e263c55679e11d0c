"""The front page with its banner, log-in and log-out, and the pages that need nothing but the menu."""

from datetime import datetime
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from config.windows import DENMARK
from portal.web import texts
from portal.web.api import ApiRefused, ApiUnavailable
from portal.web.control import ControlUnavailable, Person
from portal.web.session import Session, SignedIn
from portal.web.signing import sign
from portal.web.site import Refused, Site, path_of
from workers.domain.target_group import in_target_group

log = structlog.get_logger()

PUBLIC = frozenset({"/kompetenceafklaring-og-sprogkort", "/tilgaengelighed"})
"""The pages that need no log-in."""
AFTER_LOG_IN = frozenset({
    "/", "/oplysninger-om-dig", "/kalender", "/book-moeder-med-frist", "/jeg-soeger-job-som", "/min-profil",
    "/fejlmeld-moedebooking", *texts.PAGES,
})  # fmt: skip
"""Where one may be sent after the log-in: nowhere that somebody else made up."""


class FrontPages:
    """Front page, banner, log-in, log-out, and the rest of the menu."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route("/", self.front),
            Route("/banner/fjern", self.dismiss, methods=["POST"]),
            Route("/log-ind", self.choose),
            Route("/log-ind", self.log_in, methods=["POST"]),
            Route("/log-ud", self.log_out, methods=["POST"]),
            *(Route(path, self.other) for path in texts.PAGES),
        ]

    async def front(self, request: Request) -> Response:
        user = self._site.visit(request).user
        return self._site.page(
            request,
            "front.html",
            banner=user is not None and user.in_target_group and await _banner_visible(self._site, user),
            stays=request.query_params.get("besked") == "bliver",
        )

    async def dismiss(self, request: Request) -> Response:
        user = self._site.user(request)
        await self._site.form(request)
        try:
            await self._site.api.dismiss_banner(user.token)
        except (ApiUnavailable, ApiRefused) as error:
            log.warning("banner_not_dismissed", reason=str(error))
            return self._site.redirect("/?besked=bliver")
        return self._site.redirect("/")

    async def choose(self, request: Request) -> Response:
        try:
            people = await self._site.control.people()
        except ControlUnavailable:
            people = ()
        return self._site.page(
            request,
            "log_in.html",
            people=people,
            goal=_goal(request.query_params.get("side")),
            logged_out="af" in request.query_params,
        )

    async def log_in(self, request: Request) -> Response:
        form = await self._site.form(request)
        try:
            people = await self._site.control.people()
        except ControlUnavailable:
            return self._site.redirect("/log-ind")
        person = next((one for one in people if one.name == form.get("borger")), None)
        if person is None:
            raise Refused
        await self._site.end(request)
        return self._site.redirect(_goal(form.get("side")), Session.begin(_signed_in(self._site, person)))

    async def log_out(self, request: Request) -> Response:
        await self._site.form(request)
        await self._site.end(request)
        return self._site.redirect("/log-ind?af", Session.begin())

    async def other(self, request: Request) -> Response:
        if path_of(request) not in PUBLIC:
            self._site.user(request)
        heading, lead = texts.PAGES[path_of(request)]
        return self._site.page(request, "other.html", heading=heading, lead=lead)


async def _banner_visible(site: Site, user: SignedIn) -> bool:
    try:
        return await site.api.banner_visible(user.token)
    except (ApiUnavailable, ApiRefused) as error:
        log.warning("front_page_without_banner", reason=str(error))
        return False


def _signed_in(site: Site, person: Person) -> SignedIn:
    token = sign(
        site.signing_key,
        issuer=site.settings.issuer,
        audience=site.settings.audience,
        cpr=person.cpr,
        contact_groups=person.contact_groups,
        education_order=person.education_order,
    )
    return SignedIn(
        token=token,
        name=person.name,
        # Kept in the session, so that the menu needs nobody's answer (R1, §3.1).
        in_target_group=in_target_group(
            born=person.cpr.birth_date,
            contact_groups=person.contact_groups,
            education_order=person.education_order,
            today=datetime.now(DENMARK).date(),
        ),
    )


def _goal(wanted: str | None) -> str:
    path = urlsplit(wanted or "").path
    return path if path in AFTER_LOG_IN else "/"
