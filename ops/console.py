"""What every command does alike: it reads the settings first, and ends with one line when something is wrong."""

import sys
from typing import NoReturn

import typer

from config.settings import Settings, settings
from workers.domain.cpr import Cpr, InvalidCpr


def fail(message: str, status: int = 2) -> NoReturn:
    """Ends the command with one line on stderr. Exit status 2: what was asked for cannot be; 1: it went wrong."""
    print(f"registerbro: {message}", file=sys.stderr)
    raise typer.Exit(status)


def open_settings() -> Settings:
    """Reads the settings and sets up logging; a bad setting ends the process here, in one line."""
    from config import logging  # noqa: PLC0415 - `--help` needs none of it

    logging.configure(settings().log_level)
    return settings()


def cpr_from_input() -> Cpr:
    """From standard input and never from an argument, which everybody on the machine could read."""
    text = typer.prompt("CPR number", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    try:
        return Cpr.parse(text.strip())
    except InvalidCpr as error:
        fail(str(error))
