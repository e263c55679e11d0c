"""Process of a command: its standard streams, the one line that it fails with, and its exit status.

`run` is where each command begins and ends, so that none ends in a traceback: it makes the standard streams fit for
whatever is written to them before the command sees them, and turns whatever leaves the command into one line and an
exit status. This module imports no more than the help needs, so that `registerbro --help` starts at once.
"""

import codecs
import errno
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import typer

from registerbro.terminal import remark

_PROJECT = Path(__file__).resolve().parent.parent
_ESCAPED = "registerbro.escaped"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors that name no file when a stream's buffer is written: they say why, and not what cannot be written."""


def run(command: Callable[[], object]) -> NoReturn:
    """Runs a command, and ends the process with its exit status: 1 after an error that the command does not handle.

    The status is what `command` returns, if that is a number, or the code of the SystemExit that it raises.
    """
    settle()
    status: int = 0
    said: Sequence[str] = ()
    try:
        ended = command()
        status = ended if isinstance(ended, int) else 0
    except SystemExit as error:
        status, said = _ended(error.code)
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except typer.TyperException as error:
        status, said = error.exit_code, _mistyped(error)
    except Exception as error:  # noqa: BLE001 - the last place where it can be said
        status, said = 1, (_said(error),)
    lost = _flushed()
    if lost is not None:
        status = status or 1
        # A reader that has closed the pipe, as `head` does, needs no word of it.
        said = () if lost.errno == errno.EPIPE else (f"standard output cannot be written: {lost.strerror}",)
    for line in said:
        _say(line)
    _drop_what_cannot_be_written()
    raise SystemExit(status)


def settle() -> None:
    r"""Makes the standard streams safe to read and write, whatever they are and whatever comes.

    A closed stream reads as empty and swallows what is written to it. A character that the console's encoding does not
    have is written as in JSON (`\u00e6`), so that JSON stays JSON; a byte that is invalid in it is read as U+FFFD.
    """
    # Otherwise the next socket would get the number that libraries take for standard output.
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
    """Ends the command with one line on standard error. Exit status 2: the request is wrong; 1: it failed."""
    _say(message)
    raise typer.Exit(status)


def _say(message: str) -> None:
    try:
        remark(f"registerbro: {message}")
    except OSError:
        # No stream is left to say it on; the exit status says it.
        return


def _ended(code: str | int | None) -> tuple[int, Sequence[str]]:
    """Exit status and lines of a SystemExit; with a text, the status is 1, as in Python itself."""
    if isinstance(code, str):
        return 1, [line.removeprefix("registerbro: ") for line in code.split("\n")]
    return code or 0, ()


def _mistyped(error: typer.TyperException) -> Sequence[str]:
    """The line for a wrong command line, with the help to read; none where that help has just been shown."""
    context, message = getattr(error, "ctx", None), error.format_message()
    of = " ".join(context.command_path.split()) if context else "registerbro"
    return (f"{message} (see {of} --help)",) if message else ()


def _said(error: Exception) -> str:
    """An error as a line: the system's own words, which hold no contents, or the error's type and place."""
    if isinstance(error, OSError) and error.strerror:
        told = "it cannot be written: " if error.errno in _FULL and not error.filename else ""
        return f"{error.filename}: {error.strerror}" if error.filename else told + error.strerror
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_PROJECT)] or frames
    where = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    return f"this is a defect, please report it: {type(error).__name__}{where}"


def _flushed() -> OSError | None:
    """Flushes standard output. Returns the error when that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def _drop_what_cannot_be_written() -> None:
    """Empties the streams' buffers, which Python would flush at exit, with an error in words of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _escaped(error: UnicodeError) -> tuple[str, int]:
    r"""Error handler for codecs: writes a character as `\uXXXX`, or as two where JSON needs two (RFC 8259, 7)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2)), error.end
