"""Files that change while they are used: certificates, keys."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from config.settings import SettingsError

T = TypeVar("T")


class Unusable(Exception):
    """A file does not hold what it should; the message says why, and holds nothing of it."""


class Watched(Generic[T]):
    """What a file holds, and holds anew when it changes; `setting` names it for people.

    Raises SettingsError when the file cannot be used at first. Later that leaves what there was, and `not_reloaded` is
    called once, until the file is in order again. `parse` raises Unusable or SettingsError.
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
        """Reads the file again if it has changed, or if it was not in order; for one thread at a time."""
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

    def _read(self) -> tuple[tuple[int, ...], T]:
        # The state comes first, so that a file that changes while it is read is read again.
        state = self._state()
        return state, self._parse(self._path.read_bytes())

    def _state(self) -> tuple[int, ...]:
        status = self._path.stat()
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _told(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
