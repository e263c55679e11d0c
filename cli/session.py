"""Session of an operator's command: the settings, the operator, the citizen it is about, `Services` and the audit log.

An error that a command expects ends it in one line. What changes something, or shows a citizen, is on record before it
is done, and is not done where it cannot be recorded.
"""

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

from cli.process import fail
from config import logging
from config.settings import PREFIX, Settings, SettingsError, settings
from domain.cpr import Cpr, InvalidCpr
from domain.hidden_characters import HiddenCharacter, require_visible
from registerbro.audit_log import Action, AuditNotWritten, usable
from registerbro.event_loop import EventLoop
from registerbro.services import Services
from registerbro.storage.redis_client import REDIS_DOWN

T = TypeVar("T")

LONGEST_REASON = 500
"""Characters, as at the API; the audit log keeps no more."""
SERVICE_USER = 10001
"""The number of the user of every container (Dockerfile)."""
SERVICES = frozenset({"registerbro", "root", "nobody", "redis", "celery", "portal"})
"""User names of services and machines: an operator goes by none of them, whatever the user's number."""
FIRST_PERSON, NOBODY = 500 if sys.platform == "darwin" else 1000, 65534
"""The lowest number of a person's user (UID_MIN of login.defs), and the number of the user `nobody`."""
NO_SHELLS = frozenset({"nologin", "false"})
"""Shells of users that no person signs in as."""
LONGEST_LINE = 1000
"""Characters of standard input that are read for a number of ten: the input may be a file, or a device without end."""


def open_settings() -> Settings:
    """Reads the settings and sets up logging. A wrong setting ends the process in one line."""
    logging.configure(settings().log_level)
    return settings()


def auditable() -> Settings:
    """The settings, for a command that goes on record. Ends the command in one line where it cannot be recorded."""
    chosen = open_settings()
    try:
        usable(chosen)
    except SettingsError as error:
        fail(f"{error}: this is put on record, or not done")
    return chosen


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator who gives a command, as the audit log and an override name them."""

    by: str
    """The name that was given, or else that of the system's user."""
    user: str
    """The system's user of this process: `jane (uid 1000)`, or `uid 4711` for a user without a name."""

    def acts(
        self, services: Services, action: Action, *, target: str = "", citizen_id: str = "", reason: str = ""
    ) -> AbstractAsyncContextManager[None]:
        """A block of code that is on record, as this operator's, before it begins. Raises AuditNotWritten."""
        return services.audit_log.action(
            action, self.by, user=self.user, target=target, citizen_id=citizen_id, reason=reason
        )

    @contextmanager
    def recorded(self, action: Action, *, target: str, reason: str = "") -> Iterator[None]:
        """The same for a command without an event loop. Ends the command in one line where it cannot be recorded."""
        loop = EventLoop(auditable())
        record = AsyncExitStack()
        try:
            try:
                loop.run(record.enter_async_context(self.acts(loop.services, action, target=target, reason=reason)))
            except AuditNotWritten as error:
                _not_recorded(error)
            try:
                yield
            except BaseException as error:
                loop.run(record.__aexit__(type(error), error, error.__traceback__))
                raise
            loop.run(record.aclose())
        finally:
            loop.close()


def operator(name: str = "") -> Operator:
    """The operator: the process's user, and the `name` that was given.

    Ends the command in one line where the user is no person's and no name was given. The system is asked for the user,
    and not the environment, because anybody sets `LOGNAME` as they like.
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
    """Whether a user can be one person's own: services and machines run as none of these."""
    return (
        entry.pw_uid >= FIRST_PERSON
        and entry.pw_uid not in {SERVICE_USER, NOBODY}
        and entry.pw_name not in SERVICES
        and Path(entry.pw_shell).name not in NO_SHELLS
    )


def _shown_to_others(text: str) -> str:
    """The text of an option that others will read, without white space around it. Raises BadParameter."""
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def about_a_citizen(by: str) -> tuple[Operator, Cpr, Settings]:
    """Begins a command about one citizen: the operator, the citizen's number from standard input, and the settings.

    Ends the command in one line where one of them is missing, or where the command cannot be recorded.
    """
    return operator(by), cpr_from_input(), auditable()


def cpr_from_input() -> Cpr:
    """The CPR number on standard input: an argument could be read by every user of the machine."""
    try:
        at_console = sys.stdin.isatty()
        text = typer.prompt("CPR number", hide_input=True) if at_console else sys.stdin.readline(LONGEST_LINE)
    except UnicodeError:
        # The error's own text would hold the input.
        fail("standard input is not text")
    except OSError as error:
        fail(f"standard input cannot be read: {error.strerror}", status=1)
    try:
        return Cpr.parse(text.strip())
    except InvalidCpr as error:
        fail(str(error))


def with_services(settings: Settings, use: Callable[[Services], Awaitable[T]], redis_down: str) -> T:
    """Runs `use` with `Services` of its own. Returns what that returns.

    A Redis that does not answer ends the command in one line, which begins with `redis_down`; so does an audit log that
    cannot be written, or, where `use` goes by the rules, a rules file that is refused.
    """

    async def run() -> T:
        services = Services(settings)
        try:
            return await use(services)
        finally:
            await services.close()

    try:
        return asyncio.run(run())
    except AuditNotWritten as error:
        _not_recorded(error)
    except SettingsError as error:
        fail(str(error))
    except REDIS_DOWN as error:
        fail(f"{redis_down}: {str(error) or type(error).__name__}", status=1)


def _not_recorded(error: AuditNotWritten) -> NoReturn:
    fail(f"the audit log cannot be written, so nothing was done: {error}", status=1)
