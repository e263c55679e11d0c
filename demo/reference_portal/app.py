"""ASGI application of the reference portal: routes, sessions and error pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from demo.reference_portal import texts
from demo.reference_portal.about_you import AboutYou
from demo.reference_portal.api import Http
from demo.reference_portal.booking import BookingPages
from demo.reference_portal.calendar_page import CalendarPage
from demo.reference_portal.control_page import ControlPage
from demo.reference_portal.fault_report import FaultReports
from demo.reference_portal.front import FrontPages
from demo.reference_portal.headers import Headers
from demo.reference_portal.profile import ProfilePages
from demo.reference_portal.settings import WebSettings
from demo.reference_portal.site import FormTooLarge, LogInFirst, NotThere, Refused, Site, path_of

log = structlog.get_logger()


class Defects:
    """ASGI middleware: an error of our own ends in a page of ours, with its menu and with every header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        begun = False

        async def send_and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except ClientDisconnect:
            # The client has gone.
            return
        except Exception:
            if begun or scope["type"] != "http":
                raise
            log.exception("page_defect")
            page = _message(Request(scope, receive), 500, texts.DEFECT, texts.DEFECT_LEAD)
            await page(scope, receive, send)


class Visits:
    """ASGI middleware: the session is found before anything asks for it, since another process may have ended it."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            await self._site.open_session(Request(scope))
        await self._app(scope, receive, send)


def create(settings: WebSettings, http: Http | None = None) -> Starlette:
    """The application. `http` calls the API in place of a client of its own; it is closed in any case.

    It starts whether or not anything that it calls is up. Where it is mounted in another application, whose lifespan is
    the only one that runs, that one is to await `close` at its end. Raises OSError or ValueError when there is no
    usable signing key.
    """
    site = Site(settings, http)
    handlers: dict[type[Exception] | int, ExceptionHandler] = {
        LogInFirst: _log_in_first,
        Refused: _refused,
        FormTooLarge: _refused,
        NotThere: _not_there,
        HTTPException: _http_exception,
    }
    app = Starlette(
        routes=[
            *FrontPages(site).routes(),
            *AboutYou(site).routes(),
            *CalendarPage(site).routes(),
            *BookingPages(site).routes(),
            *ProfilePages(site).routes(),
            *FaultReports(site).routes(),
            *ControlPage(site).routes(),
            *site.assets.routes(),
        ],
        middleware=[
            Middleware(Headers, secure=settings.secure),
            Middleware(Defects),
            Middleware(Visits, site=site),
        ],
        exception_handlers=handlers,
        lifespan=_lifespan,
    )
    # A redirect would lead to the host that the request names, which may be any.
    app.router.redirect_slashes = False
    app.state.site = site
    return app


async def close(app: Starlette) -> None:
    """Closes the connections of an application that `create` made."""
    await _site(app).close()


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await close(app)


def _site(app: Starlette) -> Site:
    return cast("Site", app.state.site)


async def _log_in_first(request: Request, _: Exception) -> Response:
    site = _site(request.app)
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        # The page's script asked for a part: it gets the status, and loads the whole page.
        return Response(status_code=401)
    return site.redirect(f"/log-ind?side={quote(path_of(request))}")


async def _refused(request: Request, error: Exception) -> Response:
    log.warning("form_refused", reason=type(error).__name__)
    return _message(request, 403, texts.REFUSED, texts.REFUSED_LEAD)


async def _not_there(request: Request, _: Exception) -> Response:
    return _message(request, 404, texts.NOT_FOUND, texts.NOT_FOUND_LEAD)


async def _http_exception(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return await _not_there(request, error)
    return _message(request, status, texts.DEFECT, texts.DEFECT_LEAD)


def _message(request: Request, status: int, heading: str, lead: str) -> Response:
    return _site(request.app).render(request, "message.html", status, heading=heading, lead=lead)
