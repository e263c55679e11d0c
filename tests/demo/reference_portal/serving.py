"""The portal on a real socket, for tests that need a browser or a real connection."""

import threading
from pathlib import Path
from typing import Self

import uvicorn

from demo import reference_portal
from demo.tokens import new_key
from portal.head_requests import HeadRequests
from registerbro.storage.sealing.sealer import Sealer
from tests.demo.reference_portal.fake_api import AUDIENCE, ISSUER

SEALING_KEY = b"w" * 32


def settings(api_url: str, control_url: str, key_file: Path, *, secure: bool = False) -> reference_portal.WebSettings:
    """Settings for tests. A key is made when there is none."""
    if not key_file.exists():
        key_file.write_bytes(new_key())
    return reference_portal.WebSettings(api_url, Sealer([SEALING_KEY]), key_file, ISSUER, AUDIENCE, control_url, secure)


class Served:
    """An ASGI application in a thread of its own, as a context manager; `url` is its address."""

    def __init__(self, here: reference_portal.WebSettings) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                HeadRequests(reference_portal.create(here)),  # as portal/server.py serves it
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
