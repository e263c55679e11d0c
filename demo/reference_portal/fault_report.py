"""»Fejlmeld mødebooking«: the form with its counter, and the receipt (§3.5, R9)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demo.reference_portal import dates, texts
from demo.reference_portal.api import ApiRefused, ApiUnavailable
from demo.reference_portal.session import SignedIn
from demo.reference_portal.site import FormTooLarge, NotThere, Refused, Site, now
from domain import fault_report as rule

log = structlog.get_logger()

PATH = "/fejlmeld-moedebooking"
LONGEST_CONTEXT = 50
"""Characters; an error code or a path of ours is a few, and anything longer is not one."""

MISTAKES: Mapping[str, str] = {
    "fault-report-empty": texts.REPORT_EMPTY,
    "fault-report-invalid-characters": texts.REPORT_CHARACTERS,
}
"""The API's refusals of a text that the page's own check let pass."""


@dataclass(frozen=True, slots=True)
class Form:
    """Content of the form. The idempotency key is made with it, so that a double click is one report."""

    key: str
    text: str = field(default="", repr=False)
    page: str | None = None
    error_code: str | None = None

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> Self:
        """From the fields of a form, or of a link to it."""
        return cls(
            key=_key(fields.get("noegle", "")),
            text=fields.get("tekst", ""),
            page=_context(fields.get("side")),
            error_code=_context(fields.get("fejlkode")),
        )


class FaultReports:
    """The form and the receipt."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[BaseRoute]:
        """The routes that lead here."""
        return [
            Route(PATH, self.blank),
            Route(PATH, self.hand_in, methods=["POST"]),
            Route(f"{PATH}/kvittering/{{number:uuid}}", self.receipt),
        ]

    def shown(self, request: Request, form: Form, mistake: str = "", trouble: str = "") -> Response:
        """The form; a `mistake` is the citizen's to mend, `trouble` is ours."""
        return self._site.render(
            request, "fault_report.html", 422 if mistake else 200, form=form, mistake=mistake, trouble=trouble
        )

    async def blank(self, request: Request) -> Response:
        self._site.user(request)
        given = {name: request.query_params[name] for name in ("side", "fejlkode") if name in request.query_params}
        return self.shown(request, Form.read({"side": "/moedebooking", **given}))

    async def hand_in(self, request: Request) -> Response:
        try:
            fields = await self._site.fields(request)
        except FormTooLarge:
            return self.shown(request, Form.read({}), texts.REPORT_BODY_TOO_LARGE.format(limit=rule.LIMIT))
        form = Form.read(fields)
        try:
            self._site.check(request, fields)
        except Refused:
            if self._site.is_elsewhere(request):
                raise
            # The form is older than the session: its text is kept in the new form, and not sent.
            stale = texts.REPORT_STALE if self._site.visit(request).user else texts.REPORT_LOGGED_OUT
            return self.shown(request, form, trouble=stale)
        user = self._site.user(request)
        try:
            text = rule.validate(form.text)
        except rule.FaultReportError as error:
            return self.shown(request, form, _mistake(error))
        return await self._handed_in(request, user, replace(form, text=text))

    async def _handed_in(self, request: Request, user: SignedIn, form: Form) -> Response:
        try:
            number = await self._site.api.hand_in(
                user.token, form.text, form.key, page=form.page, error_code=form.error_code
            )
        except ApiUnavailable as error:
            log.warning("report_not_handed_in", reason=error.reason)
            return self.shown(request, form, trouble=texts.REPORT_NOT_NOW)
        except ApiRefused as error:
            log.warning("report_not_handed_in", reason=error.kind)
            if error.kind in MISTAKES:
                return self.shown(request, form, MISTAKES[error.kind])
            if error.kind == "fault-report-too-long":
                return self.shown(request, form, _too_long(error.facts))
            if error.kind == "idempotency-key-reused":
                return self.shown(request, replace(form, key=_key("")), trouble=texts.REPORT_KEY_USED)
            if error.kind == "rate-limited":
                return self.shown(request, form, trouble=texts.REPORT_TOO_MANY)
            return self.shown(request, form, trouble=texts.REPORT_NOT_NOW)
        return self._site.redirect(f"{PATH}/kvittering/{number}")

    async def receipt(self, request: Request) -> Response:
        user = self._site.user(request)
        number = request.path_params["number"]
        try:
            report = await self._site.api.report(user.token, str(number))
        except ApiRefused as error:
            if error.kind == "not-found":
                raise NotThere from None
            report = None
        except ApiUnavailable:
            report = None
        return self._site.render(
            request,
            "receipt.html",
            number=number,
            report=report,
            state=texts.RECEIPT_STATES.get(report.status, report.status) if report else texts.RECEIPT_STATE_UNKNOWN,
            accepted_at=dates.clock(report.accepted_at, now()) if report else "",
        )


def _key(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return str(uuid.uuid4())


def _context(value: str | None) -> str | None:
    return value if value and len(value) <= LONGEST_CONTEXT and value.isprintable() else None


def _mistake(error: rule.FaultReportError) -> str:
    if isinstance(error, rule.FaultReportTooLong):
        return texts.REPORT_TOO_LONG.format(length=error.length, limit=error.limit, excess=error.excess)
    return texts.REPORT_EMPTY if isinstance(error, rule.FaultReportEmpty) else texts.REPORT_CHARACTERS


def _too_long(facts: Mapping[str, object]) -> str:
    numbers = {name: facts.get(name, "") for name in ("length", "limit", "excess")}
    return texts.REPORT_TOO_LONG.format(**numbers)
