"""The reference portal: server-rendered pages that talk to the HTTP API alone. `create` makes the ASGI application."""

from demo.reference_portal.app import close, create
from demo.reference_portal.settings import WebSettings

__all__ = ["WebSettings", "close", "create"]
