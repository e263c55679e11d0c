"""»Min profil«, with whether the CV can be found (§2.2), and the history of »Jeg søger job som« (§2.1, §3.4)."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal.site import Site

PROFILE, HISTORY = "/min-profil", "/jeg-soeger-job-som"


class ProfilePages:
    """Both pages: a heading, and a part that is filled when it can be."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PROFILE, self.profile),
            Route(f"{PROFILE}/del", self.cv_status),
            Route(HISTORY, self.history),
            Route(f"{HISTORY}/del", self.job_titles),
        ]

    async def profile(self, request: Request) -> Response:
        user = self._site.user(request)
        return self._site.render(request, "profile.html", cv=await self._site.api.cv_status(user.token))

    async def cv_status(self, request: Request) -> Response:
        user = self._site.user(request)
        answer = await self._site.api.cv_status(user.token)
        return HTMLResponse(self._site.render_text("cv_part.html", cv=answer))

    async def history(self, request: Request) -> Response:
        user = self._site.user(request)
        return self._site.render(request, "history.html", history=await self._site.api.job_titles(user.token))

    async def job_titles(self, request: Request) -> Response:
        user = self._site.user(request)
        answer = await self._site.api.job_titles(user.token)
        return HTMLResponse(self._site.render_text("history_part.html", history=answer))
