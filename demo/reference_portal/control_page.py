"""The demo's control page: breaks and mends each upstream with a click, so that anyone can watch the page cope."""

from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal import texts
from demo.reference_portal.simulator_client import FAULTS, Condition, ControlUnavailable
from demo.reference_portal.site import Refused, Site

PATH = "/kontrol"


class ControlPage:
    """The page and its buttons."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [Route(PATH, self.get_page), Route(PATH, self.bring, methods=["POST"])]

    async def get_page(self, request: Request) -> Response:
        """How each upstream is, and the buttons."""
        upstreams = await self._site.control.upstreams(tuple(texts.UPSTREAMS))
        return self._site.render(request, "control.html", upstreams=upstreams, actions=tuple(FAULTS))

    async def bring(self, request: Request) -> Response:
        """One of the buttons."""
        form = await self._site.form(request)
        upstream, _, condition = form.get("skift", "").partition(":")
        if upstream not in texts.UPSTREAMS or condition not in FAULTS:
            raise Refused
        try:
            await self._site.control.bring(upstream, cast("Condition", condition))
        except ControlUnavailable:
            return self._site.redirect(PATH)
        return self._site.redirect(f"{PATH}#{upstream}")
