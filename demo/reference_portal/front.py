"""The front page with its banner, log-in and log-out, and the pages that need nothing but the menu."""

from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal import texts
from demo.reference_portal.api import ApiRefused, ApiUnavailable, Banner
from demo.reference_portal.session import Session, SignedIn
from demo.reference_portal.simulator_client import ControlUnavailable, Person
from demo.reference_portal.site import Refused, Site, path_of
from demo.tokens import sign

log = structlog.get_logger()

PUBLIC = frozenset({"/kompetenceafklaring-og-sprogkort", "/tilgaengelighed"})
"""The pages that need no log-in."""
AFTER_LOG_IN = frozenset({
    "/", "/oplysninger-om-dig", "/kalender", "/book-moeder-med-frist", "/jeg-soeger-job-som", "/min-profil",
    "/fejlmeld-moedebooking", *texts.PAGES,
})  # fmt: skip
"""Pages to go to after the log-in: an address from outside must not choose another site."""


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
        banner = None if user is None else await _banner(self._site, user.token)
        if user is not None and banner is not None:
            # The rules may have changed since the log-in, or the citizen's age.
            self._site.renew(request, user.model_copy(update={"in_target_group": banner.in_target_group}))
        return self._site.render(
            request,
            "front.html",
            banner=banner is not None and banner.in_target_group and banner.visible,
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
        return self._site.render(
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
        await self._site.end_session(request)
        return self._site.redirect(_goal(form.get("side")), Session.begin(await _signed_in(self._site, person)))

    async def log_out(self, request: Request) -> Response:
        await self._site.form(request)
        await self._site.end_session(request)
        return self._site.redirect("/log-ind?af", Session.begin())

    async def other(self, request: Request) -> Response:
        if path_of(request) not in PUBLIC:
            self._site.user(request)
        heading, lead = texts.PAGES[path_of(request)]
        return self._site.render(request, "other.html", heading=heading, lead=lead)


async def _banner(site: Site, token: str) -> Banner | None:
    try:
        return await site.api.banner(token)
    except (ApiUnavailable, ApiRefused) as error:
        log.warning("banner_not_read", reason=str(error))
        return None


async def _signed_in(site: Site, person: Person) -> SignedIn:
    token = sign(
        site.signing_key,
        issuer=site.settings.issuer,
        audience=site.settings.audience,
        cpr=person.cpr,
        contact_groups=person.contact_groups,
        education_order=person.education_order,
    )
    banner = await _banner(site, token)
    # Kept in the session, so that the menu needs no answer of a server (R1, §3.1). Where it is not known, the menu has
    # the page, which says then that it cannot be had now, or is not there.
    return SignedIn(token=token, name=person.name, in_target_group=banner is None or banner.in_target_group)


def _goal(wanted: str | None) -> str:
    path = urlsplit(wanted or "").path
    return path if path in AFTER_LOG_IN else "/"
