"""The reference portal: server-rendered pages that talk to the HTTP API alone. `create` makes the ASGI application."""

from portal.web.app import close, create
from portal.web.settings import WebSettings

__all__ = ["WebSettings", "close", "create"]
