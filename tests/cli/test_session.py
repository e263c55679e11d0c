"""No command ends in a traceback: whatever console, stream or disk it has, it ends with a line and an exit status."""

import json
import os
import subprocess
import sys

import pytest

from cli import process
from config.settings import PREFIX
from tests.cli.conftest import NUMBER

ASCII = {"PYTHONIOENCODING": "ascii"}
C_LOCALE = {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
TOLD = (("doctor",), ("page",), ("--help",))
"""Commands that look and change nothing, each with another way to its words; `page` has Danish ones."""


@pytest.fixture
def start(make_settings, project):
    """Starts the command with the test's settings and the streams that a test gives it."""
    make_settings()

    def run(*arguments, shell=None, stdin=f"{NUMBER}\n", pass_fds=(), **environment):
        command = [sys.executable, "-m", "cli.app", *arguments]
        if shell:
            command = ["bash", "-c", f'exec "$0" "$@" {shell}', *command]
        return subprocess.run(
            command, input=stdin.encode() if isinstance(stdin, str) else stdin, capture_output=True, cwd=project,
            timeout=120, check=False, pass_fds=pass_fds, env={**os.environ, **environment},
        )  # fmt: skip

    return run


def no_traceback(ended):
    assert b"Traceback" not in ended.stderr + ended.stdout
    assert b"Exception ignored" not in ended.stderr
    assert b"Error:" not in ended.stderr
    assert ended.returncode in {0, 1, 2}


@pytest.mark.parametrize("environment", [ASCII, C_LOCALE], ids=["an ASCII console", "the locale C"])
@pytest.mark.parametrize("command", TOLD, ids=" ".join)
def test_a_console_without_danish_letters_is_told_all_the_same(start, command, environment):
    ended = start(*command, **environment)
    no_traceback(ended)
    assert ended.stdout.isascii()
    assert ended.stdout


def test_json_is_json_on_every_console(start):
    plain, escaped = start("page"), start("page", **ASCII)
    assert not plain.stdout.isascii()
    headings = [[one["source"] for one in of["sections"]] for of in json.loads(plain.stdout)["overviews"]]
    assert headings == [[one["source"] for one in of["sections"]] for of in json.loads(escaped.stdout)["overviews"]]
    assert b"\\u" in escaped.stdout


@pytest.mark.parametrize("command", TOLD, ids=" ".join)
def test_a_full_disk_is_one_line(start, command):
    ended = start(*command, shell="> /dev/full")
    no_traceback(ended)
    assert ended.returncode == 1
    last = ended.stderr.decode().splitlines()[-1]
    assert last.startswith("registerbro: ")
    assert last.endswith(" cannot be written: No space left on device")


@pytest.mark.parametrize("command", TOLD, ids=" ".join)
def test_a_reader_that_stops_reading_is_no_error_to_speak_of(start, command):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = start(*command, shell=f">&{writer} {writer}>&-", pass_fds=[writer])
    finally:
        os.close(writer)
    no_traceback(ended)
    assert ended.returncode == 1
    assert b"registerbro:" not in ended.stderr


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "0<&- 1>&- 2>&-", "2> /dev/full", "1> /dev/full 2> /dev/full"])
@pytest.mark.parametrize("command", ["status", "nonsense"])
def test_a_stream_that_is_closed_or_full_ends_no_command_in_a_traceback(start, command, closed):
    no_traceback(start(command, shell=closed))


def test_closed_standard_input_has_no_number(start):
    ended = start("page", shell="0<&-")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert ended.stderr == b"registerbro: length: a CPR number has ten digits\n"


@pytest.mark.parametrize(
    "typed",
    [b"\xff\xfe6102991234\n", "61029912æ4\n".encode(), b"\x00" * 10, b"6102991234" * 1000],
    ids=["bytes", "a letter", "zeros", "without end"],
)
def test_what_is_no_number_on_standard_input_is_one_line_without_it(start, typed):
    ended = start("page", stdin=typed, **ASCII)
    no_traceback(ended)
    assert (ended.returncode, ended.stdout, ended.stderr.count(b"\n")) == (2, b"", 1)
    assert b"6102" not in ended.stderr


def test_standard_input_without_end_is_not_read_to_its_end(start):
    ended = start("page", shell="< /dev/zero")
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"registerbro: ")


def test_standard_input_that_cannot_be_read_is_one_line(start, tmp_path):
    ended = start("page", shell=f"0> {tmp_path / 'written'}")
    no_traceback(ended)
    assert (ended.returncode, ended.stderr.count(b"\n")) == (1, 1)
    assert ended.stderr.startswith(b"registerbro: standard input cannot be read: ")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError(NUMBER), "registerbro: this is a defect, please report it: ValueError at test_session.py:"),
        (OSError(28, "No space left on device", "/var/x"), "registerbro: /var/x: No space left on device"),
        (OSError(28, "No space left on device"), "registerbro: it cannot be written: No space left on device"),
    ],
    ids=["a defect", "a file", "something else of the system"],
)
def test_whatever_leaves_a_command_is_one_line_without_contents(capsys, error, said):
    def command():
        raise error

    with pytest.raises(SystemExit) as ended:
        process.run(command)
    told = capsys.readouterr().err
    assert ended.value.code == 1
    assert told.startswith(said)
    assert told.count("\n") == 1
    assert NUMBER not in told


def test_an_error_in_the_settings_is_told_on_every_console(start):
    ended = start("status", **ASCII, **{f"{PREFIX}PEPPER": "", f"{PREFIX}BROKER_URL": "æøå"})
    no_traceback(ended)
    assert ended.returncode == 1
    assert ended.stderr.isascii()
    assert b"BROKER_URL" in ended.stderr
