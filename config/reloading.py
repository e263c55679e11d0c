"""Reloads certificate and key files when they change on disk."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from config.settings import SettingsError

T = TypeVar("T")


class Unusable(Exception):
    """A file's content cannot be used; the message says why, and holds nothing of it."""


class Watched(Generic[T]):
    """Parsed content of a file, which `look` replaces when the file changes; `setting` names the file in messages.

    The constructor raises SettingsError when the file cannot be used. A later change that cannot be used keeps the
    former content, and calls `not_reloaded` once, until the file can be used again. `parse` raises Unusable or
    SettingsError.
    """

    def __init__(
        self,
        setting: str,
        path: Path,
        parse: Callable[[bytes], T],
        reloaded: Callable[[str], object],
        not_reloaded: Callable[[str, str], object],
    ) -> None:
        self.setting = setting
        self._path = path
        self._parse = parse
        self._reloaded = reloaded
        self._not_reloaded = not_reloaded
        self._lock = threading.Lock()
        self._complained = False
        try:
            self._seen, self.value = self._read()
        except (Unusable, OSError) as error:
            raise SettingsError(f"{setting}: {_told(error)}") from None

    def look(self) -> None:
        """Reads the file again if it has changed, or could not be used; other threads wait meanwhile."""
        with self._lock:
            try:
                if self._state() != self._seen:
                    self._seen, self.value = self._read()
                    self._reloaded(self.setting)
            except (Unusable, SettingsError, OSError) as error:
                if not self._complained:
                    self._not_reloaded(self.setting, _told(error))
                self._complained = True
            else:
                self._complained = False

    @property
    def is_refused(self) -> bool:
        """Whether the file as it was last looked at cannot be used, so that `value` is of before."""
        return self._complained

    def _read(self) -> tuple[tuple[int, ...], T]:
        # The state is taken first, so that a file that changes during the read is read again.
        state = self._state()
        return state, self._parse(self._path.read_bytes())

    def _state(self) -> tuple[int, ...]:
        status = self._path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _told(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
