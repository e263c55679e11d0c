"""The command, run within the test's own process, and the system's user whom it belongs to."""

import io
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
import structlog

from cli import process, session
from cli.app import cli
from config import logging as logs
from config import settings as settings_module
from config.settings import PREFIX

NUMBER = "6102991234"


@pytest.fixture
def registerbro(make_settings, monkeypatch, capsys):
    """Runs the command within this process: gives its exit status, and what it wrote on either stream.

    It runs in a thread, since an event loop of the test's may be running in this one. That it does the same as a
    process is what `tests/system/test_command.py` shows: a process takes two seconds to import it all.
    """
    make_settings()
    monkeypatch.setenv("COLUMNS", "4000")
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, sys.unraisablehook)

    configure = logs.configure

    def configure_for_one_run(*arguments, **more):
        configure(*arguments, **more)
        # A module's logger that is kept would write past the `capture_logs` of the tests after this one.
        structlog.configure(**structlog.get_config() | {"cache_logger_on_first_use": False})

    monkeypatch.setattr(logs, "configure", configure_for_one_run)

    def ended(arguments):
        with pytest.raises(SystemExit) as it:
            process.run(partial(cli, arguments, prog_name="registerbro", standalone_mode=False))
        return it.value.code

    def run(*arguments, stdin=f"{NUMBER}\n", **settings):
        with monkeypatch.context() as patch, ThreadPoolExecutor(1) as thread:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in settings.items():
                patch.setenv(PREFIX + name, value)
            settings_module.settings.cache_clear()
            status = thread.submit(ended, list(arguments)).result()
        written = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=written.out, stderr=written.err)

    yield run
    settings_module.settings.cache_clear()
    sys.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def run(registerbro):
    """The same, as a tuple, of a list of arguments."""

    def run(arguments):
        ended = registerbro(*arguments)
        return ended.returncode, ended.stdout, ended.stderr

    return run


@pytest.fixture
def system_user(monkeypatch):
    """Makes this process another user's; without a name, one who is not in the user database."""

    def become(number, name=None, shell="/bin/bash"):
        monkeypatch.setattr(session.os, "getuid", lambda: number)
        known = {} if name is None else {number: SimpleNamespace(pw_uid=number, pw_name=name, pw_shell=shell)}
        monkeypatch.setattr(session.pwd, "getpwuid", known.__getitem__)

    return become
