"""TCP relay in front of a server, whose connections a test can cut."""

import socket
import threading
from contextlib import suppress

from demo.installation import free_port


class Relay:
    """Listens on `port` of the loopback interface, and passes on to and fro."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.port = free_port()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> int:
        """Cuts all connections that are open, and returns how many; new ones are passed on."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(pair)
        return len(pairs)

    def close(self) -> None:
        """Listens no more."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._pairs.append((client, server))
                for ends in (client, server), (server, client):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    _close((source, target))


def _close(pair: tuple[socket.socket, socket.socket]) -> None:
    for one in pair:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
