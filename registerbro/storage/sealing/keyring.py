"""Keyring: current sealing keys and peppers, reloaded when their files change.

A rotation gives a new key to every process first, behind the old one, and moves it to the front only then
(`registerbro keys rotate`): so no process meets a value that was sealed with a key it does not have.
"""

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import structlog

from config.reloading import Unusable, Watched
from config.settings import PREFIX, Settings, parse_pepper, parse_peppers, parse_sealing_keys
from registerbro.storage.sealing.sealer import Sealer

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 1.0
"""How often the files are checked while they are used: every process uses a change within about that time."""

T = TypeVar("T")

Peppers: TypeAlias = Callable[[], tuple[bytes, ...]]
"""Returns the current peppers, newest first."""


class Keyring:
    """Keys of a process. Keys given as settings, and not as files, stay the same while it runs.

    Raises SettingsError when a file is unusable at the start; later, the process keeps the former keys.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pepper = self._watched("pepper", parse_pepper)
        self._others = self._watched("other_peppers", parse_peppers)
        self._keys = self._watched("sealing_keys", parse_sealing_keys)
        self._files = [file for file in (self._pepper, self._others, self._keys) if file is not None]
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        self._peppers = self._peppers_now()
        self.sealer = Sealer(self._keys_now(), self._reload)

    def peppers(self) -> tuple[bytes, ...]:
        """The current peppers, newest first."""
        self._reload()
        return self._peppers

    def _reload(self) -> None:
        now = time.monotonic()
        if not self._files or now < self._look_at:
            return
        self._look_at = now + LOOK_EVERY_SECONDS
        for file in self._files:
            file.look()
        self._peppers = self._peppers_now()
        self.sealer.use(self._keys_now())

    def _peppers_now(self) -> tuple[bytes, ...]:
        settings = self._settings
        newest = self._pepper.value if self._pepper else settings.pepper.get_secret_value()
        given = tuple(pepper.get_secret_value() for pepper in settings.other_peppers)
        others = self._others.value if self._others else given
        return tuple(pepper.encode() for pepper in dict.fromkeys((newest, *others)))

    def _keys_now(self) -> tuple[bytes, ...]:
        if self._keys:
            return self._keys.value
        return tuple(key.get_secret_value() for key in self._settings.sealing_keys)

    def _watched(self, name: str, parse: Callable[[str], T]) -> Watched[T] | None:
        path = self._settings.secret_file(name)
        if path is None:
            return None

        def parsed(content: bytes) -> T:
            try:
                return parse(content.decode().strip())
            except UnicodeDecodeError:
                raise Unusable("is not UTF-8") from None
            except ValueError as error:
                raise Unusable(str(error)) from None

        return Watched(
            f"{PREFIX}{name.upper()}_FILE",
            path,
            parsed,
            reloaded=lambda setting: log.info("keys_reloaded", setting=setting),
            not_reloaded=lambda setting, why: log.error("keys_not_reloaded", setting=setting, detail=why),
        )
