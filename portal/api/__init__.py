"""The HTTP API for any portal: `create` makes the ASGI application that `registerbro serve` runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from config.settings import Settings
from domain.overview import KONTAKTFORLOEB
from portal import connection_limits
from portal.api import booking, calendar_and_profile, fault_reports, operations, overview, problems
from portal.api.citizen_limits import OneAtATime, Places, Rate
from portal.api.dependencies import Portal
from portal.api.middleware import RequestMiddleware
from portal.api.pages import Pages
from portal.api.tokens import Tokens
from portal.head_requests import HeadRequests
from registerbro import audit_log, rules
from registerbro.refresh.reporting import UnknownContactGroups
from registerbro.services import Services
from registerbro.status import prometheus
from registerbro.storage.cache.booked_deadlines import BookedDeadlines
from registerbro.storage.ledger.dismissed_banners import DismissedBanners
from registerbro.telemetry import otel

__all__ = ["PATHS", "create"]

DESCRIPTION = """\
What four Danish registers know about a young job seeker, as one page that is always answered at once; every citizen's
calendar, job titles and CV status; the booking of meetings, and fault reports to the supplier of the booking system.
The citizen is the token's: no call names one.

Errors are problem details (RFC 9457) whose `type` is a stable name.
"""


PATHS = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Paths of the API; pages that are served under the same address begin with others."""


def create(settings: Settings, at_end: Callable[[], Awaitable[None]] | None = None) -> FastAPI:
    """The application; `at_end` is awaited when it ends.

    Raises SettingsError when it cannot check tokens, or use the rules file.
    """
    settings.require_portal()
    audit_log.usable(settings)
    rules.usable(settings)
    from registerbro.messaging import celery_app  # noqa: F401, PLC0415 - it reads the settings; publishing needs it

    limits = settings.portal

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services(settings)
        pages = Pages(settings, services)
        unknown_groups = UnknownContactGroups(services, services.rules)
        app.state.portal = Portal(
            settings,
            services,
            pages,
            DismissedBanners(services.ledger, services.citizens),
            BookedDeadlines(services.cache, services.citizens, services.entries, settings.register(KONTAKTFORLOEB)),
            Tokens(settings),
            refreshes=Rate(services, "refresh", settings.refreshes_per_minute, "refreshes"),
            dismissals=Rate(services, "banner", overview.DISMISSALS_PER_MINUTE, "dismissals"),
            booking_calls=Rate(services, "booking", limits.booking_calls_per_minute, "calls of the booking system"),
            one_at_a_time=OneAtATime(),
            streams=Places(connection_limits.most_streams(limits), limits.event_streams_per_citizen),
            unknown_groups=unknown_groups,
        )
        ends = [otel.enable(settings, "registerbro-portal"), prometheus.expose(settings)]
        tidying = asyncio.create_task(services.audit_log.keep_tidy())
        moving = asyncio.create_task(services.overrides.keep_moving())
        yield
        tidying.cancel()
        moving.cancel()
        for end in ends:
            await asyncio.to_thread(end)
        await pages.close()
        await unknown_groups.close()
        await services.close()
        if at_end is not None:
            await at_end()

    app = FastAPI(
        title="registerbro",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would lead to the host that the request names, which may be any.
        redirect_slashes=False,
        # Their pages come from elsewhere; /openapi.json opens in any viewer.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(HeadRequests)
    app.add_middleware(RequestMiddleware)
    problems.handle(app)
    for router in (
        overview.router,
        calendar_and_profile.router,
        booking.router,
        fault_reports.router,
        operations.router,
    ):
        app.include_router(router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's, with our problems in place of its validation errors."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = problems.SCHEMA
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path in schema["paths"].values():
            for operation in path.values():
                found = operation["responses"].get("422", {})
                if "HTTPValidationError" in str(found):
                    operation["responses"].pop("422")
                    operation["responses"] |= problems.documented(problems.Type.INVALID_REQUEST)
        app.openapi_schema = schema
    return app.openapi_schema
