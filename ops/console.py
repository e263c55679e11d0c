"""What every command does alike: it reads the settings first, and ends with one line when something is wrong.

`run` is where each command begins and ends, so that none of them can end in a traceback: the standard streams are made
fit for whatever is written to them before the command sees them, and whatever leaves it is one line and an exit status.
"""

import codecs
import errno
import io
import os
import pwd
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from config.settings import PREFIX, Settings, settings
from config.visible import HiddenCharacter, require_visible
from ops.terminal import remark
from workers.domain.cpr import Cpr, InvalidCpr

LONGEST_REASON = 500
"""Characters, as at the API; the audit log keeps no more."""
SERVICE_USER = 10001
"""The number of the user of every container (Dockerfile)."""
SERVICES = frozenset({"registerbro", "root", "nobody", "redis", "celery", "portal"})
"""Names that are a service's or a machine's, whatever their number, and so no operator's."""
FIRST_PERSON, NOBODY = 500 if sys.platform == "darwin" else 1000, 65534
"""The lowest number of a user who can be a person (UID_MIN of login.defs), and that of the user who is nobody."""
NO_SHELLS = frozenset({"nologin", "false"})
"""Shells of users as whom nobody signs in."""
LONGEST_LINE = 1000
"""Characters of standard input that are looked at for a number of ten: it may be a file, or a device without end."""
_PROJECT = Path(__file__).resolve().parent.parent
_ESCAPED = "registerbro.escaped"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What says that something cannot be written, and not what: more than a stream's buffer fails where it is printed."""


def run(command: Callable[[], object]) -> NoReturn:
    """Runs a command, and ends the process with its exit status; 1 when it failed in a way that it does not know of.

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
        # Who reads no more of what was written, as `head` does, knows why.
        said = () if lost.errno == errno.EPIPE else (f"standard output cannot be written: {lost.strerror}",)
    for line in said:
        _say(line)
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


@dataclass(frozen=True, slots=True)
class Operator:
    """Who gives a command, as the audit log and an override have it."""

    by: str
    """The name that was given, or else that of the system's user."""
    user: str
    """The system's user whom this process belongs to: `jane (uid 1000)`, or `uid 4711` where it has no name."""


def operator(name: str = "") -> Operator:
    """Who gives the command: the process's user, and the `name` that was given.

    Ends the command in one line where the user is no person's and no name was given. The environment is not asked for
    the user, since anybody sets `LOGNAME` as they like.
    """
    number = os.getuid()
    try:
        entry = pwd.getpwuid(number)
    except KeyError:
        # As in a container whose user has no entry in /etc/passwd.
        entry = None
    user = f"{entry.pw_name} (uid {number})" if entry else f"uid {number}"
    if name in SERVICES:
        fail(f"--by: {name} is the name of a service, and not yours")
    if name:
        return Operator(name, user)
    if entry is None or not _is_a_persons(entry):
        fail(f"{user} is a service's user: say who you are, with --by NAME or {PREFIX}OPERATOR")
    return Operator(entry.pw_name, user)


def _is_a_persons(entry: pwd.struct_passwd) -> bool:
    """Whether a user can be one person's own, and not what services and machines run as."""
    return (
        entry.pw_uid >= FIRST_PERSON
        and entry.pw_uid not in {SERVICE_USER, NOBODY}
        and entry.pw_name not in SERVICES
        and Path(entry.pw_shell).name not in NO_SHELLS
    )


def _shown_to_others(text: str) -> str:
    """What a person types for others to read, without white space around it. Raises BadParameter."""
    try:
        shown = require_visible(text).strip()
    except HiddenCharacter as error:
        raise typer.BadParameter(str(error)) from None
    if len(shown) > LONGEST_REASON:
        raise typer.BadParameter(f"has {len(shown)} characters, and at most {LONGEST_REASON} are kept")
    return shown


By = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="NAME",
        envvar=f"{PREFIX}OPERATOR",
        callback=_shown_to_others,
        show_default=False,
        help="Who you are; needed where the system's user is a service's. Kept on record, beside that user.",
    ),
]
Reason = Annotated[str, typer.Option(callback=_shown_to_others, help="Why; kept on record, and shown to who looks.")]


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
        remark(f"registerbro: {message}")
    except OSError:
        # There is nowhere left to say it; the exit status does.
        return


def _ended(code: str | int | None) -> tuple[int, Sequence[str]]:
    """The status of a SystemExit, and the lines that it says: Python gives 1 to one with a text."""
    if isinstance(code, str):
        return 1, [line.removeprefix("registerbro: ") for line in code.split("\n")]
    return code or 0, ()


def _mistyped(error: typer.TyperException) -> Sequence[str]:
    """What is wrong with a command line, and whose help is of use; nothing where that help has been shown."""
    context, message = getattr(error, "ctx", None), error.format_message()
    of = " ".join(context.command_path.split()) if context else "registerbro"
    return (f"{message} (see {of} --help)",) if message else ()


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
