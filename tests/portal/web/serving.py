"""The portal on a real socket, for tests that need a browser or a real connection."""

import threading
from pathlib import Path
from typing import Self

import uvicorn

from portal import web
from portal.web.signing import new_key
from tests.portal.web.fake_api import AUDIENCE, ISSUER
from workers.cache.sealing import Sealer

SEALING_KEY = b"w" * 32


def settings(api_url: str, control_url: str, key_file: Path, *, secure: bool = False) -> web.WebSettings:
    """Settings for tests. A key is made when there is none."""
    if not key_file.exists():
        key_file.write_bytes(new_key())
    return web.WebSettings(api_url, Sealer([SEALING_KEY]), key_file, ISSUER, AUDIENCE, control_url, secure)


class Served:
    """An ASGI application in a thread of its own, as a context manager; `url` is its address."""

    def __init__(self, here: web.WebSettings) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                web.create(here),
                host="127.0.0.1",
                port=0,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._server.run, name="portal", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the portal did not start")
            self._thread.join(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(30)

    @property
    def running(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()
