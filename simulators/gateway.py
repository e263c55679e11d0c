"""TLS gateway in front of a simulator: refuses clients without a certificate of the authority that it trusts.

With threads and not with asyncio, whose server closes the connection before the alert is out; a gateway sends it, and
hears the client out, so that no reset overtakes it.
"""

import select
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Self
from urllib.parse import urlsplit

LOOK_EVERY_SECONDS = 0.1


class Gateway:
    """Passes on to `url` what it decrypts, as a context manager. `certificate` is its own, with its key.

    `handshakes` says of each connection whether it was taken; `shown` is the subject of each certificate that was.
    """

    def __init__(
        self, url: str, certificate: Path, trusts: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> None:
        behind = urlsplit(url)
        self._behind = (behind.hostname or "", behind.port or 80)
        self._path = behind.path
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.load_verify_locations(trusts)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.maximum_version = newest
        self._stopped = threading.Event()
        self._noted = threading.Condition()
        self.handshakes: list[bool] = []
        self.shown: list[str] = []
        gateway = self

        class Handler(BaseRequestHandler):
            def handle(self) -> None:
                gateway._serve(self.request)

        class Server(ThreadingTCPServer):
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK_EVERY_SECONDS,))

    def waited_for(self, handshakes: int, seconds: float = 10.0) -> bool:
        """Whether so many connections came; a refusal is out before it is noted here, so this waits for it."""
        with self._noted:
            return self._noted.wait_for(lambda: len(self.handshakes) >= handshakes, seconds)

    def _record(self, *, taken: bool, shown: str = "") -> None:
        with self._noted:
            self.handshakes.append(taken)
            if shown:
                self.shown.append(shown)
            self._noted.notify_all()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address, with the path of the simulator behind it."""
        return f"https://127.0.0.1:{self.port}{self._path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, connection: socket.socket) -> None:
        with self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
            try:
                secured.do_handshake()
            except OSError:
                self._record(taken=False)
                _hear_out(secured)
                return
            self._record(taken=True, shown=_common_name(secured))
            with suppress(OSError), socket.create_connection(self._behind) as plain:
                self._pass_on(secured, plain)

    def _pass_on(self, secured: ssl.SSLSocket, plain: socket.socket) -> None:
        while not self._stopped.is_set():
            ready = [secured] if secured.pending() else select.select([secured, plain], [], [], LOOK_EVERY_SECONDS)[0]
            for source, target in ((secured, plain), (plain, secured)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)


def _common_name(secured: ssl.SSLSocket) -> str:
    subject = (secured.getpeercert() or {}).get("subject", ())
    names = [str(pair[1]) for part in subject for pair in part if isinstance(pair, tuple) and pair[0] == "commonName"]
    return names[0]


def _hear_out(secured: ssl.SSLSocket) -> None:
    with socket.socket(fileno=secured.detach()) as plain, suppress(OSError):
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(4096):
            pass
