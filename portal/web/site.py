"""What all pages share: who is visiting, the frame around a page, and whether a form comes from a page of ours."""

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

from config.windows import DENMARK
from portal.web import dates, texts
from portal.web.api import Api, Http
from portal.web.assets import Assets
from portal.web.control import Control
from portal.web.session import Session, Sessions, SignedIn
from portal.web.settings import WebSettings
from portal.web.signing import jwks

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_FORM_BYTES = 256 * 1024
"""A report of 500 characters is 4.5 KB at most, as a form sends it; one that is far too long comes back whole."""
MOST_FIELDS = 20
OWN_PAGES = frozenset({"same-origin", "none"})
"""What Sec-Fetch-Site says of a form of ours, and of one that the browser itself sends again."""


class Refused(Exception):
    """A form that is not of this session, or was sent from elsewhere."""


class FormTooLarge(Exception):
    """A form with more in it than any of ours."""


class NotThere(Exception):
    """A page that does not exist, or not for this citizen."""


class LogInFirst(Exception):
    """A page for citizens, and nobody is logged in."""


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
        # Said at the start, and not to the first citizen who logs in.
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

    async def begin(self, request: Request) -> None:
        """Finds the request's session, for `visit`: none where it does not open, is over, or was ended."""
        found = self.sessions.read(request.cookies.get(self.sessions.cookie))
        if found is not None and found.user is not None and await self.settings.ended.has(found.mark):
            found = None
        request.state.session = found or Session.begin()
        request.state.new = found is None

    async def end(self, request: Request) -> None:
        """Ends the request's session if somebody is logged in: no copy of its cookie is good for anything any more."""
        session = self.visit(request)
        if session.user is not None:
            await self.settings.ended.note(session.mark, max(1, session.expires - int(time.time())))

    def visit(self, request: Request) -> Session:
        """The request's session; a new one, which the answer has to bring, where there is none."""
        session: Session = request.state.session
        return session

    def user(self, request: Request) -> SignedIn:
        """Who is logged in. Raises LogInFirst."""
        user = self.visit(request).user
        if user is None:
            raise LogInFirst
        return user

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:  # noqa: ANN401
        """A whole page; `context` is the template's own."""
        session = self.visit(request)
        response = HTMLResponse(self.rendered(template, **self._frame(request, session), **context), status)
        if request.state.new:
            self.sessions.write(response, session)
        return response

    def rendered(self, template: str, /, **context: Any) -> str:  # noqa: ANN401 - templates take all sorts
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
    """The path that was asked for. That of `request.url` is made with the Host header, which anybody may fill."""
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
