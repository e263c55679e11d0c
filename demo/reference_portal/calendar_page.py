"""Endpoints of »Kalender«: a month at a time, with one entry or day opened (§3.2)."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal import calendar_view
from demo.reference_portal.site import Site, now, today
from domain.calendar_month import Month

PATH = "/kalender"


class CalendarPage:
    """The page, and the part of it that changes with the month."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [Route(PATH, self.get_page), Route(f"{PATH}/del", self.part)]

    async def get_page(self, request: Request) -> Response:
        return self._site.render(request, "calendar.html", calendar=await self._view(request))

    async def part(self, request: Request) -> Response:
        return HTMLResponse(self._site.render_text("calendar_part.html", calendar=await self._view(request)))

    async def _view(self, request: Request) -> calendar_view.CalendarView:
        user = self._site.user(request)
        asked = request.query_params
        month = calendar_view.chosen_month(asked.get("maaned")) or Month.of(today())
        return calendar_view.calendar(
            await self._site.api.calendar(user.token, month),
            month,
            now=now(),
            link=link,
            day=calendar_view.chosen_day(asked.get("dag")),
            opened=asked.get("vis"),
        )


def link(**parameters: Any) -> str:  # noqa: ANN401 - whatever can be written
    """The page's address with other parameters; its fragment is the part that opens."""
    query = urlencode({name: value for name, value in parameters.items() if value is not None})
    opens = {"dag", "vis"} & parameters.keys()
    return f"{PATH}?{query}" + (f"#{calendar_view.CHOSEN}" if opens else "")
