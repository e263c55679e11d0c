"""The keys that seal what is kept and the peppers that name citizens, as they are now: their files may change.

Whoever rotates gives a new key to everybody first, behind the old one, and moves it to the front only then
(`registerbro keys rotate`): so nobody ever meets a value that was sealed with a key they have not got.
"""

import time
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import structlog

from config.settings import PREFIX, Settings, parse_pepper, parse_peppers, parse_sealing_keys
from workers.cache.sealing import Sealer
from workers.watched import Unusable, Watched

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 1.0
"""How often the files are looked at while they are used: a change is in use everywhere within about that time."""

T = TypeVar("T")

Peppers: TypeAlias = Callable[[], tuple[bytes, ...]]
"""Gives the peppers of this moment, the one that names citizens now first."""


class Keyring:
    """The keys of a process. Those that are given directly, and not as a file, stay as they are while it runs.

    Raises SettingsError, at first alone, when a file cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pepper = self._watched("pepper", parse_pepper)
        self._others = self._watched("other_peppers", parse_peppers)
        self._keys = self._watched("sealing_keys", parse_sealing_keys)
        self._files = [file for file in (self._pepper, self._others, self._keys) if file is not None]
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        self._peppers = self._peppers_now()
        self.sealer = Sealer(self._keys_now(), self._look)

    def peppers(self) -> tuple[bytes, ...]:
        """The peppers, the one that names citizens now first."""
        self._look()
        return self._peppers

    def _look(self) -> None:
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
