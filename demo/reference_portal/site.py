"""Shared parts of all pages: session, page frame, redirects, and the origin check of forms."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from demo.reference_portal import dates, texts
from demo.reference_portal.api import Api, Http
from demo.reference_portal.assets import Assets
from demo.reference_portal.session import Session, Sessions, SignedIn
from demo.reference_portal.settings import WebSettings
from demo.reference_portal.simulator_client import Control
from demo.tokens import jwks
from domain.service_windows import DENMARK

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_FORM_BYTES = 256 * 1024
"""A report of 500 characters is 4.5 KB at most, as a form sends it; one that is far too long comes back whole."""
MOST_FIELDS = 20
OWN_PAGES = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for our own forms, and for one that the browser itself sends again."""


class Refused(Exception):
    """A form that is not of this session, or was sent from elsewhere."""


class FormTooLarge(Exception):
    """A form with more in it than any of ours."""


class NotThere(Exception):
    """A page that does not exist, or not for this citizen."""


class LogInFirst(Exception):
    """The page needs a log-in, and the session has none."""


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of a menu."""

    path: str
    text: str


class Site:
    """The collaborators of all pages."""

    def __init__(self, settings: WebSettings, http: Http | None) -> None:
        self.settings = settings
        self.signing_key = settings.signing_key_file.read_bytes()
        # An unusable key fails here at the start, and not at the first log-in.
        jwks(self.signing_key)
        self.api = Api(settings.api_url, http)
        self.control = Control(settings.control_url)
        self.sessions = Sessions(settings.seal, secure=settings.secure)
        self.assets = Assets(settings.design_system)
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(t=texts, dates=dates, now=now, assets=self.assets)

    async def close(self) -> None:
        """Closes the connections."""
        await self.api.close()
        await self.control.close()
        await self.settings.ended.close()

    async def open_session(self, request: Request) -> None:
        """Finds the request's session, for `visit`: none where it does not open, is over, or was ended."""
        found = self.sessions.read(request.cookies.get(self.sessions.cookie))
        if found is not None and found.user is not None and await self.settings.ended.has(found.mark):
            found = None
        request.state.session = found or Session.begin()
        request.state.new = found is None

    async def end_session(self, request: Request) -> None:
        """Ends the request's session if it is logged in: every copy of its cookie is refused from then on."""
        session = self.visit(request)
        if session.user is not None:
            await self.settings.ended.record(session.mark, max(1, session.expires - int(time.time())))

    def visit(self, request: Request) -> Session:
        """The request's session; a new one, which the answer has to bring, where there is none."""
        session: Session = request.state.session
        return session

    def renew(self, request: Request, user: SignedIn) -> None:
        """Replaces what the session says of its citizen, if that has changed; the next whole page brings the cookie."""
        session = self.visit(request)
        if session.user != user:
            request.state.session = session.model_copy(update={"user": user})
            request.state.new = True

    def user(self, request: Request) -> SignedIn:
        """The citizen who is logged in. Raises LogInFirst."""
        user = self.visit(request).user
        if user is None:
            raise LogInFirst
        return user

    def render(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:  # noqa: ANN401
        """A whole page; `context` is the template's own."""
        session = self.visit(request)
        response = HTMLResponse(self.render_text(template, **self._frame(request, session), **context), status)
        if request.state.new:
            self.sessions.write(response, session)
        return response

    def render_text(self, template: str, /, **context: Any) -> str:  # noqa: ANN401 - templates take all sorts
        """A template as text."""
        return self._templates.get_template(template).render(**context)

    def redirect(self, path: str, session: Session | None = None) -> Response:
        """Another page, to be fetched with GET; the browser gets `session` with it, when there is one."""
        response = RedirectResponse(path, 303)
        if session is not None:
            self.sessions.write(response, session)
        return response

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a form of ours, each once. Raises Refused and FormTooLarge."""
        fields = await self.fields(request)
        self.check(request, fields)
        return fields

    def check(self, request: Request, fields: Mapping[str, str]) -> None:
        """Raises Refused when a form was not sent by one of our own pages, in this session."""
        if self.is_elsewhere(request) or not self.visit(request).owns(fields.get("csrf", "")):
            raise Refused

    def is_elsewhere(self, request: Request) -> bool:
        """Whether the browser says that the request comes from another site than ours."""
        where = request.headers.get("sec-fetch-site")
        if where is not None:
            # Said by the browser itself, also where it hides the origin.
            return where not in OWN_PAGES
        origin = request.headers.get("origin")
        return origin is not None and urlsplit(origin).netloc != request.headers.get("host")

    async def fields(self, request: Request) -> Mapping[str, str]:
        """The fields of any form, each once, and unchecked. Raises FormTooLarge, and Refused where it is no form."""
        if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
            raise Refused
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM_BYTES:
                raise FormTooLarge
        try:
            parsed = parse_qs(body.decode(), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
        except ValueError:
            raise Refused from None
        return {name: values[0] for name, values in parsed.items()}

    def _frame(self, request: Request, session: Session) -> dict[str, Any]:
        return {
            "path": path_of(request),
            "csrf": session.csrf,
            "user": session.user,
            "menu": list(menu(session.user)),
            "footer": {
                column: [Link(path, _NAMES[path]) for path in paths] for column, paths in texts.FOOTER_COLUMNS.items()
            },
        }


def path_of(request: Request) -> str:
    """The path that was asked for. That of `request.url` is made with the Host header, which a client may forge."""
    path: str = request.scope["path"]
    return path


def menu(user: SignedIn | None) -> Iterable[Link]:
    """The menu, from the session alone: nothing that fails takes any of it away (§3.1)."""
    yield Link("/", texts.FRONT_PAGE)
    if user is None:
        return
    if user.in_target_group:
        yield Link("/oplysninger-om-dig", texts.ABOUT_YOU)
    for path in ("/kalender", "/moedebooking", "/cv", "/jeg-soeger-job-som", "/jobforslag", "/joblog", "/min-profil"):
        yield Link(path, _NAMES[path])


def now() -> datetime:
    """The moment at which a page is made."""
    return datetime.now(UTC)


def today() -> date:
    """The day on which a page is made, in Denmark."""
    return now().astimezone(DENMARK).date()


_NAMES = {
    **{path: heading for path, (heading, _) in texts.PAGES.items()},
    "/fejlmeld-moedebooking": texts.FAULT_REPORT,
    "/kontrol": texts.CONTROL_PAGE,
    "/kalender": texts.CALENDAR,
    "/book-moeder-med-frist": texts.BOOK,
    "/jeg-soeger-job-som": texts.HISTORY,
    "/min-profil": texts.PROFILE,
}
