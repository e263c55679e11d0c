"""A minute of chaos: nothing that was acknowledged is lost, and nothing is delivered twice."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("processes")


def test_in_a_minute_of_kills_and_outages_nothing_is_lost_and_nothing_comes_twice(project, clean_environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos.reports", "--seconds", "60", "--seed", "5"],
        cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=400)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.communicate(timeout=60)
        raise
    assert errors == ""
    found = json.loads(output.splitlines()[-1])
    assert process.returncode == 0, found
    assert found["accepted"] >= 1900
    assert found["delivered"] == found["accepted"]
    assert all(found["kills"].values()), "each kind was killed at least once"
