"""The command: what is wrong is one line that names it, and never the CPR number itself."""

import json

import pytest

from config.celery import REGISTERS
from tests.cli.conftest import NUMBER


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("610299123", "length: a CPR number has ten digits"),
        ("61029912345", "length: a CPR number has ten digits"),
        ("610299-123x", "characters: only ASCII digits may occur, and one hyphen after the sixth"),
        ("9913991234", "no such date: the first six digits are not a day of the calendar"),
        ("0000000000", "unknown person: this number stands for nobody"),
        ("", "length: a CPR number has ten digits"),
    ],
)
@pytest.mark.parametrize("command", ["page", "refresh"])
def test_a_malformed_cpr_number_is_one_line_without_the_number(registerbro, command, number, expected):
    ended = registerbro(command, stdin=number + "\n")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"registerbro: {expected}\n"


def test_an_unknown_register_is_one_line_with_those_there_are(registerbro):
    ended = registerbro("refresh", "--register", "nemid", "--contact-group", "12")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"registerbro: no such register: nemid (there are {', '.join(REGISTERS)})\n"


def test_a_citizen_outside_the_target_group_is_refused_in_one_line(registerbro):
    ended = registerbro("refresh")
    assert ended.returncode == 2
    assert ended.stderr.startswith("registerbro: outside-target-group: ")
    assert ended.stderr.count("\n") == 1


def test_a_refresh_says_what_became_of_each_register(registerbro):
    ended = registerbro("refresh", "--register", "su", "--contact-group", "12")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "su: pending\n", "")


def test_a_page_is_json_with_every_section(registerbro):
    ended = registerbro("page")
    sections = [section for overview in json.loads(ended.stdout)["overviews"] for section in overview["sections"]]
    assert len(sections) == 7
    assert NUMBER not in ended.stdout + ended.stderr


def test_without_redis_a_refresh_fails_without_a_traceback(registerbro):
    ended = registerbro("refresh", "--contact-group", "12", CACHE_URL="redis://127.0.0.1:1/0")
    assert ended.returncode == 1
    assert ended.stdout == "".join(f"{name}: unavailable\n" for name in ("udb", "su", "eindkomst", "ydelse"))
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["nonsense"], ["refresh", "--contact-group", "many"]])
def test_a_mistyped_command_is_told_without_a_traceback(registerbro, arguments):
    ended = registerbro(*arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
