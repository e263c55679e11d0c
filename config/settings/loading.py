"""Reads the settings from the environment, and turns what is wrong with them into one line per setting."""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from pydantic import ValidationError

from config.settings.tree import Settings, leaves, secret_names
from config.settings.types import DELIMITER, PREFIX, SettingsError


def unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that begin with PREFIX and name no setting, each with the setting that is nearest to it."""
    known = [name for name, _, _ in leaves()] + [f"{name}_FILE" for name in secret_names()]
    strangers = sorted(name for name in environment if name.startswith(PREFIX) and name not in known)
    return tuple(
        name + "".join(f" (did you mean {near}?)" for near in difflib.get_close_matches(name, known, n=1))
        for name in strangers
    )


def load() -> Settings:
    """Reads the settings from the environment. Raises SettingsError with one line per wrong setting."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None


def _lines(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        path = [str(part) for part in problem["loc"] if not isinstance(part, int)]
        name = PREFIX + DELIMITER.join(path).upper()
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            message = "is missing"
        if problem["type"] == "value_error" and message.split(" ", 1)[0].isupper():
            # The message of a check over several settings begins with the name of the wrong one.
            at_fault, _, message = message.partition(" ")
            name += DELIMITER + at_fault if path else at_fault
        yield f"{name}: {message}"


@cache
def settings() -> Settings:
    """The settings of this process, read at the first call. Ends the process with one line per wrong setting."""
    try:
        return load()
    except SettingsError as error:
        sys.exit("\n".join(f"registerbro: {line}" for line in str(error).splitlines()))


def environment_problems() -> tuple[str, ...]:
    """The variables of this process's environment that name no setting, as `unknown_names` has them; no error."""
    return unknown_names(os.environ)
