"""The short form of `make leak-check`: nothing of a citizen leaves a process, and what is planted is found."""

import json
import signal
import subprocess
import sys

import pytest

from tests.system.leak.check import leaks_of, verdict
from tests.system.leak.plants import COMES_BACK, NUMBER, PLANTED, WAYS
from tests.system.leak.scanner import Scanner, spellings_of

CHANNELS = {channel for _, channel, _ in PLANTED}

pytestmark = pytest.mark.xdist_group("processes")


def test_nothing_of_a_citizen_leaves_a_process_and_all_that_is_planted_is_found(project, clean_environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.system.leak.check", "--short"],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=500)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        raise
    assert process.returncode == 0, output + errors
    found = json.loads(output.splitlines()[-1])
    assert found.keys() == {"channels", "bytes", "planted", "planted_found", "leaks"}
    assert found["channels"] == len(CHANNELS)
    assert found["planted_found"] == found["planted"] == len(PLANTED)
    assert found["leaks"] == 0


def test_a_form_comes_back_to_its_author_and_its_words_go_nowhere_else():
    scanner = Scanner({COMES_BACK: spellings_of(COMES_BACK)})
    scanner.scan("http", "POST /fejlmeld-moedebooking", COMES_BACK.encode())
    assert leaks_of(scanner) == []
    scanner.scan("http", "GET /fejlmeld-moedebooking", COMES_BACK.encode())
    scanner.scan("logs", "POST /fejlmeld-moedebooking", COMES_BACK.encode())
    assert len(leaks_of(scanner)) == 2


def test_what_is_planted_and_not_found_is_counted():
    scanner = Scanner({NUMBER: WAYS})
    scanner.scan("logs", "a", WAYS["plain"])
    figures = verdict(scanner)
    assert (figures["planted"], figures["planted_found"], figures["leaks"]) == (len(PLANTED), 1, 0)
