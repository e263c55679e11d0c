"""Takes down what leaves processes otherwise than into a kept file: commands to Redis, and short-lived files."""

import contextlib
import os
import socket
import threading
from pathlib import Path


class Monitor:
    """Writes every command that a Redis server receives to a file, with Redis' own MONITOR."""

    def __init__(self, port: int, path: Path, user: str, password: str) -> None:
        self.path = path
        self._socket = socket.create_connection(("127.0.0.1", port))
        for command in (f"AUTH {user} {password}", "MONITOR"):
            self._socket.sendall(f"{command}\r\n".encode())
            if (answer := self._socket.recv(64)) != b"+OK\r\n":
                raise RuntimeError(f"{command.partition(' ')[0]}: {answer!r}")
        self._thread = threading.Thread(target=self._write, name="monitor", daemon=True)
        self._thread.start()

    def _write(self) -> None:
        with self.path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while data := self._socket.recv(1 << 16):
                file.write(data)

    def close(self) -> None:
        """Ends it. What the server had sent by then is in the file; a server that has ended has ended it already."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


class Everything:
    """Keeps hold of every file that comes into being under a directory, also when its maker removes it.

    It looks ten times a second; what is made and removed in between is not seen.
    """

    def __init__(self, directory: Path, kept: Path) -> None:
        self._directory, self._kept = directory, kept
        kept.mkdir()
        self._known: set[tuple[int, int]] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="files", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._look()

    def _look(self) -> None:
        for folder, _, names in os.walk(self._directory):
            for name in names:
                # A second name for the same file: it outlives the first.
                with contextlib.suppress(OSError):
                    facts = os.lstat(path := os.path.join(folder, name))
                    if (facts.st_dev, facts.st_ino) not in self._known:
                        os.link(path, self._kept / f"{len(self._known)}-{name}", follow_symlinks=False)
                        self._known.add((facts.st_dev, facts.st_ino))

    def close(self) -> list[Path]:
        """Looks a last time. Returns all that was found."""
        self._ended.set()
        self._thread.join()
        self._look()
        return sorted(self._kept.iterdir())
