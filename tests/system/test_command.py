"""The command as a process: what tests of tests/cli run within their own process is what a shell gets."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import NUMBER


@pytest.fixture
def registerbro(make_settings, project):
    """Runs the command with the test's settings; gives the ended process."""
    make_settings()

    def run(*arguments, stdin=f"{NUMBER}\n"):
        return subprocess.run(
            [sys.executable, "-m", "cli.app", *arguments], input=stdin, capture_output=True, text=True, cwd=project,
            timeout=60, check=False, env=os.environ,
        )  # fmt: skip

    return run


def test_a_refresh_says_what_became_of_each_register(registerbro):
    ended = registerbro("refresh", "--register", "su", "--contact-group", "12")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "su: pending\n", "")


def test_a_malformed_cpr_number_is_one_line_without_the_number(registerbro):
    ended = registerbro("page", stdin="610299123\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "registerbro: length: a CPR number has ten digits\n"


def test_the_simulators_are_started_from_here_too(registerbro):
    ended = registerbro("simulate", "--help")
    assert ended.returncode == 0
    assert "simulators" in ended.stdout


def test_shells_can_be_taught_the_commands(registerbro, monkeypatch):
    # Otherwise it is the shell from which the tests were started that is asked for.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "complete -o default" in registerbro("--show-completion", "bash").stdout
