"""Answers that would exhaust a worker, each in full size: told as what they are, in little time and memory."""

import json
import subprocess
import sys

import pytest

from tests.system.fuzz.bombs import bombs

MOST_MB = 130
"""A quarter of a worker's `mem_limit` in docker-compose.yml; the rest is what it holds anyway, and other answers."""
MOST_SECONDS = 3
"""Of processor time, for an answer and its repetition; 1.4 was the most that was seen."""


@pytest.fixture(scope="module")
def gone_off(project):
    """What came of each."""
    ended = subprocess.run(
        [sys.executable, "-m", "tests.system.fuzz.bombs"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    told = [json.loads(line) for line in ended.stdout.splitlines()]
    return {(one["target"], one["name"]): one for one in told}


@pytest.mark.parametrize(("target", "name"), [(bomb.target, bomb.name) for bomb in bombs()])
def test_a_bomb_is_told_as_what_it_is_and_takes_neither_time_nor_memory(gone_off, target, name):
    one = gone_off[target, name]
    assert one["outcome"] == one["expected"]
    assert one["seconds"] < MOST_SECONDS
    assert one["grown_mb"] < MOST_MB
