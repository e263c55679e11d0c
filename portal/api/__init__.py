"""The HTTP API for any portal: `create` makes the ASGI application that `registerbro serve` runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from config.settings import Settings
from portal import connections
from portal.api import booking, citizen, fault_reports, operations, overview, problems
from portal.api.limits import OneAtATime, Places, Rate
from portal.api.pages import Pages
from portal.api.state import Portal
from portal.api.tokens import Tokens
from portal.api.wire import Wire
from portal.banner import Banner
from portal.booked import Booked
from portal.heads import Heads
from workers import audit, observed, tracing
from workers.runtime import Services

__all__ = ["PATHS", "create"]

DESCRIPTION = """\
What four Danish registers know about a young job seeker, as one page that is always answered at once; every citizen's
calendar, job titles and CV status; the booking of meetings, and fault reports to the supplier of the booking system.
The citizen is the token's: no call names one.

Errors are problem details (RFC 9457) whose `type` is a stable name.
"""


PATHS = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Where the API is; what else is served under its address begins otherwise."""


def create(settings: Settings, at_end: Callable[[], Awaitable[None]] | None = None) -> FastAPI:
    """The application; `at_end` is awaited when it ends. Raises SettingsError when it cannot check tokens."""
    settings.require_portal()
    audit.usable(settings)
    from workers import app as celery  # noqa: F401, PLC0415 - it reads the settings; publishing needs it

    limits = settings.portal

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Services(settings)
        pages = Pages(settings, services)
        app.state.portal = Portal(
            settings,
            services,
            pages,
            Banner(services),
            Booked(services),
            Tokens(settings),
            refreshes=Rate(services, "refresh", settings.refreshes_per_minute, "refreshes"),
            dismissals=Rate(services, "banner", overview.DISMISSALS_PER_MINUTE, "dismissals"),
            booking_calls=Rate(services, "booking", limits.booking_calls_per_minute, "calls of the booking system"),
            one_at_a_time=OneAtATime(),
            streams=Places(connections.most_streams(limits), limits.event_streams_per_citizen),
        )
        ends = [tracing.enable(settings, "registerbro-portal"), observed.expose(settings)]
        tidying = asyncio.create_task(services.journal.keep_tidy())
        moving = asyncio.create_task(services.overrides.keep_moving())
        yield
        tidying.cancel()
        moving.cancel()
        for end in ends:
            await asyncio.to_thread(end)
        await pages.close()
        await services.close()
        if at_end is not None:
            await at_end()

    app = FastAPI(
        title="registerbro",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would lead to whatever host the request names.
        redirect_slashes=False,
        # Their pages come from elsewhere; /openapi.json opens in any viewer.
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Heads)
    app.add_middleware(Wire)
    problems.handle(app)
    for router in (overview.router, citizen.router, booking.router, fault_reports.router, operations.router):
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
