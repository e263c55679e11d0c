"""What every command does alike: it reads the settings first, and ends with one line when something is wrong.

`run` is where each command begins and ends, so that none of them can end in a traceback: the standard streams are made
fit for whatever is written to them before the command sees them, and whatever leaves it is one line and an exit status.
"""

import codecs
import errno
import getpass
import io
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from config.settings import Settings, settings
from workers.domain.cpr import Cpr, InvalidCpr

LONGEST_LINE = 1000
"""Characters of standard input that are looked at for a number of ten: it may be a file, or a device without end."""
_PROJECT = Path(__file__).resolve().parent.parent
_ESCAPED = "registerbro.escaped"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What says that something cannot be written, and not what: more than a stream's buffer fails where it is printed."""


def run(command: Callable[[], object]) -> NoReturn:
    """Runs a command, and ends the process with its exit status; 1 when it failed in a way that it does not know of."""
    settle()
    status: str | int | None = 0
    said = ""
    try:
        command()
    except SystemExit as ended:
        status = ended.code
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # noqa: BLE001 - the last place where it can be said
        status, said = 1, _said(error)
    lost = _flushed()
    if lost is not None:
        status = status or 1
        # Who reads no more of what was written, as `head` does, knows why.
        said = "" if lost.errno == errno.EPIPE else f"standard output cannot be written: {lost.strerror}"
    if said:
        _say(said)
    _drop_what_cannot_be_written()
    raise SystemExit(status)


def settle() -> None:
    r"""Makes the standard streams take and give whatever comes.

    A stream that is closed reads as empty, and what is written to it goes nowhere. What the console's encoding does not
    have is written as JSON would (`\u00e6`), so that JSON stays JSON; a byte that it cannot have is U+FFFD.
    """
    # Or the next socket would be what others take for standard output.
    while (unused := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(unused, True)  # noqa: FBT003 - os' own
    os.close(unused)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    codecs.register_error(_ESCAPED, _escaped)
    for stream, errors in ((sys.stdin, "replace"), (sys.stdout, _ESCAPED), (sys.stderr, _ESCAPED)):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


def fail(message: str, status: int = 2) -> NoReturn:
    """Ends the command with one line on stderr. Exit status 2: what was asked for cannot be; 1: it went wrong."""
    _say(message)
    raise typer.Exit(status)


def open_settings() -> Settings:
    """Reads the settings and sets up logging; a bad setting ends the process here, in one line."""
    from config import logging  # noqa: PLC0415 - `--help` needs none of it

    logging.configure(settings().log_level)
    return settings()


def operator() -> str:
    """Who gives the command, as the audit log has it: the system's name of the user, or else the user's number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # As in a container whose user has no entry in /etc/passwd; which of these it is depends on the Python.
        return f"uid {os.getuid()}"


def cpr_from_input() -> Cpr:
    """From standard input and never from an argument, which everybody on the machine could read."""
    try:
        at_console = sys.stdin.isatty()
        text = typer.prompt("CPR number", hide_input=True) if at_console else sys.stdin.readline(LONGEST_LINE)
    except UnicodeError:
        # Its text would hold what was typed.
        fail("standard input is not text")
    except OSError as error:
        fail(f"standard input cannot be read: {error.strerror}", status=1)
    try:
        return Cpr.parse(text.strip())
    except InvalidCpr as error:
        fail(str(error))


def _say(message: str) -> None:
    try:
        print(f"registerbro: {message}", file=sys.stderr, flush=True)
    except OSError:
        # There is nowhere left to say it; the exit status does.
        return


def _said(error: Exception) -> str:
    """An error in a line: the system's own words, which name no contents, or what kind it is and where."""
    if isinstance(error, OSError) and error.strerror:
        told = "it cannot be written: " if error.errno in _FULL and not error.filename else ""
        return f"{error.filename}: {error.strerror}" if error.filename else told + error.strerror
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PROJECT)] or frames
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"this is a defect, please report it: {type(error).__name__}{where}"


def _flushed() -> OSError | None:
    """Writes out what is left for standard output; the error when that cannot be."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def _drop_what_cannot_be_written() -> None:
    """Python writes out at its end what it still has, and tells in its own words what becomes of that."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""An error handler of codecs: each character as `\uXXXX`, in two of them where it takes two (RFC 8259, 7)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end
