"""The command, run within the test's own process, and the system's user whom it belongs to."""

import io
import logging
import sys
from functools import partial
from types import SimpleNamespace

import pytest
import structlog

from config import settings as settings_module
from ops import console
from ops.cli import cli
from tests.ops.test_cli import NUMBER


@pytest.fixture
def run(make_settings, monkeypatch, capsys):
    """Runs a command within this process: gives its exit status, and what it wrote on either stream."""
    make_settings()
    monkeypatch.setenv("COLUMNS", "4000")
    root = logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, sys.unraisablehook)
    settings_module.settings.cache_clear()

    def run(arguments):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{NUMBER}\n"))
        with pytest.raises(SystemExit) as ended:
            console.run(partial(cli, arguments, prog_name="registerbro", standalone_mode=False))
        return ended.value.code, *capsys.readouterr()

    yield run
    settings_module.settings.cache_clear()
    sys.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def system_user(monkeypatch):
    """Makes this process another user's; without a name, one who is not in the user database."""

    def become(number, name=None, shell="/bin/bash"):
        monkeypatch.setattr(console.os, "getuid", lambda: number)
        known = {} if name is None else {number: SimpleNamespace(pw_uid=number, pw_name=name, pw_shell=shell)}
        monkeypatch.setattr(console.pwd, "getpwuid", known.__getitem__)

    return become
