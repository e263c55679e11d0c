"""What the tests of the chaos programs share."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

Found = list[dict[str, Any]]


@pytest.fixture
def chaos(project, clean_environment) -> Callable[..., tuple[int, str, Found]]:
    """Runs one of the programs to its end: its exit status, its standard error, and the JSON of each printed line."""

    def run(*arguments: str) -> tuple[int, str, Found]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            output, errors = process.communicate(timeout=400)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.communicate(timeout=60)
            raise
        return process.returncode, errors, [json.loads(line) for line in output.splitlines()]

    return run
