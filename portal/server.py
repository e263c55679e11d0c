"""The portal's server process: the HTTP API, and in the demo the reference portal beside it, under one address."""

import socket
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import STARTUP_FAILURE

from config import logging
from config.settings import PortalSettings, Settings
from demo import reference_portal as web
from demo.ended_sessions import EndedSessions
from portal import api
from portal.body_timeout import BodyTimeout
from portal.connection_limits import Config
from portal.head_requests import HeadRequests
from portal.shutdown import Shutdown, ShutdownMiddleware
from registerbro import gc_tuning
from registerbro.storage.sealing.keyring import Keyring

END_WITHIN_SECONDS = 10
"""How long requests that are under way are waited for at the end; event streams are told instead."""


def create(settings: Settings, own_url: str) -> ASGIApp:
    """The application. `own_url` is where it is served, since the reference portal calls the API as any portal does.

    Raises SettingsError when something is missing that only the portal needs.
    """
    pages = reference_portal(settings, own_url)
    if pages is None:
        whole: ASGIApp = api.create(settings)
    else:
        whole = _Both(api.create(settings, at_end=lambda: web.close(pages)), HeadRequests(pages))
    return BodyTimeout(whole, settings.portal.body_timeout)


class _Both:
    """Two applications under one address, each with its own way with headers, sizes and errors."""

    def __init__(self, http_api: ASGIApp, pages: ASGIApp) -> None:
        self._api = http_api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] != "http" or any(
            scope["path"] == path or scope["path"].startswith(f"{path}/") for path in api.PATHS
        )
        await (self._api if is_api else self._pages)(scope, receive, send)


def reference_portal(settings: Settings, api_url: str) -> Starlette | None:
    """The pages; None where the demo's settings are missing, as they are wherever real citizens are served."""
    demo = settings.demo
    if demo.signing_key_file is None or demo.control_url is None:
        return None
    return web.create(
        web.WebSettings(
            api_url=api_url,
            seal=Keyring(settings).sealer,
            signing_key_file=demo.signing_key_file,
            issuer=settings.jwt_issuer or "",
            audience=settings.jwt_audience or "",
            control_url=str(demo.control_url).rstrip("/"),
            secure=False,
            ended=EndedSessions(settings),
        )
    )


def run(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises SettingsError when something is missing that only the portal needs."""
    own_host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - it is compared, not bound
    serve(create(settings, f"http://{own_host}:{port}"), host, port, settings.portal)


def serve(app: ASGIApp, host: str, port: int, settings: PortalSettings) -> None:
    """Serves `app` as `run` does; exit status 3, as uvicorn's own, when it cannot begin."""
    gc_tuning.settle()
    logging.limit()
    shutdown = Shutdown()
    config = Config(
        ShutdownMiddleware(app, shutdown),
        settings,
        host=host,
        port=port,
        timeout_graceful_shutdown=END_WITHIN_SECONDS,
        # Our own logging and log lines: its access log would write down what people type into paths.
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = _Server(config, shutdown)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


class _Server(uvicorn.Server):
    """uvicorn, which begins the shutdown before it waits for the answers that are under way."""

    def __init__(self, config: uvicorn.Config, shutdown: Shutdown) -> None:
        super().__init__(config)
        self._shutdown_state = shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells the requests of the shutdown, then shuts down as uvicorn does."""
        self._shutdown_state.begin_shutdown()
        await super().shutdown(sockets)
        # The signal that ended it may be the process's own end.
        logging.tell_left_out()
