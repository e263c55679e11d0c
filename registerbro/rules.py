"""Rules in force: an installation's rules file, read anew when it changes, or the default rules without one.

Each process looks at the file about once a second while it uses the rules, so that a change holds everywhere without a
restart. A file that is refused at the start ends the process; one that is refused later changes nothing, and is logged
and counted: the rules of before may be a day old, and without rules no page could be shown.
"""

import time
from functools import partial

import structlog

from config.reloading import Unusable, Watched
from config.rules_file import RulesFileError, parse
from config.settings import PREFIX, Settings
from domain.rules import DEFAULT_RULES, Rules
from registerbro.telemetry import metrics

log = structlog.get_logger()

SETTING = f"{PREFIX}RULES_FILE"
LOOK_EVERY_SECONDS = 1.0
"""How often the file is checked while the rules are used: every process uses a change within about that time."""


class CurrentRules:
    """Rules of a process. Raises SettingsError when the file is unusable at the start."""

    def __init__(self, settings: Settings) -> None:
        path = settings.rules_file
        self._file: Watched[Rules] | None = None
        self._look_at = time.monotonic() + LOOK_EVERY_SECONDS
        if path is not None:
            self._file = Watched(
                SETTING, path, partial(_parsed, str(path)), reloaded=_reloaded, not_reloaded=_not_reloaded
            )

    def now(self) -> Rules:
        """The rules as they are now: those of the file's last content that could be used."""
        if self._file is None:
            return DEFAULT_RULES
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_SECONDS
            self._file.look()
            # Not with a reload alone: a file that was moved away and back again is no change.
            metrics.RULES_REFUSED.set(float(self._file.is_refused))
        return self._file.value


def usable(settings: Settings) -> None:
    """Raises SettingsError when the rules file cannot be used: a process that would use it is not to start."""
    CurrentRules(settings)


def _parsed(name: str, content: bytes) -> Rules:
    try:
        return parse(content)
    except RulesFileError as error:
        raise Unusable(f"{name}:{error}") from None


def _reloaded(setting: str) -> None:
    log.info("rules_reloaded", setting=setting)


def _not_reloaded(setting: str, why: str) -> None:
    metrics.RULES_REFUSALS.inc()
    log.error("rules_not_reloaded", setting=setting, detail=why)
