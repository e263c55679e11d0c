"""A measurement leaves no process, whether it was allowed to end or not."""

import subprocess
import sys

import psutil
import pytest

from bench import people
from demo.installation import PROJECT

MEASUREMENT = """
import subprocess, sys, time
from bench.harness import contained
with contained():
    # A child with a session of its own, which starts another, and leaves it an orphan.
    subprocess.run(["sh", "-c", "setsid sleep 1000 & echo $!"], start_new_session=True)
    sys.stdin.readline()
    {then}
"""


@pytest.mark.parametrize("then", ["pass", "raise ValueError", "time.sleep(1000)"])
def test_whatever_a_measurement_started_ends_with_it(then):
    with subprocess.Popen(
        [sys.executable, "-c", MEASUREMENT.format(then=then)], cwd=PROJECT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        orphan = psutil.Process(int(process.stdout.readline()))
        if "sleep" in then:
            process.terminate()
        process.communicate("looked at\n", timeout=60)
    assert not orphan.is_running()


def test_every_constructed_citizen_is_another_and_none_is_real():
    numbers = people.numbers(100_000)
    assert len(set(numbers)) == len(numbers)
    assert all(int(number[:2]) > 60 and len(number) == 10 for number in numbers)
