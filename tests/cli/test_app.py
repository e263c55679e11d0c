"""The command's table: its help is true, and neither help nor completion imports what a command works with."""

import json
import subprocess
import sys

import pytest
from typer.core import TyperGroup

from cli import app

HEAVY = {
    *("aiohttp", "asyncio", "celery", "cryptography", "fastapi", "httpx", "jinja2", "jwt", "kombu", "lxml"),
    *("prometheus_client", "pydantic", "pydantic_settings", "redis", "signxml", "starlette", "structlog", "uvicorn"),
}
"""Libraries, each of which takes longer to import than the help takes in all, and two of the standard library."""
OUR_OWN = {"cli", "cli.app", "cli.process", "domain", "domain.hidden_characters", "registerbro", "registerbro.terminal"}
ROOMS = {"cli", "config", "demo", "domain", "portal", "redis_admission", "redis_transport", "registerbro", "workers"}
AFTER = """\
import json, sys
sys.argv[0] = "registerbro"
from cli import app
try:
    app.main()
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def imported(project, *arguments, **environment):
    """The modules that a command line has imported when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", AFTER, *arguments], cwd=project, capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": "", "PYTHONPATH": str(project), **environment},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_the_help_imports_the_table_alone(project):
    modules = imported(project, "--help")
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
    assert {name for name in modules if name.partition(".")[0] in ROOMS} == OUR_OWN


def test_completion_imports_the_table_alone(project):
    asked = {"COMP_WORDS": "registerbro re", "COMP_CWORD": "1", "_REGISTERBRO_COMPLETE": "complete_bash"}
    modules = imported(project, **asked)
    assert {name for name in modules if name.partition(".")[0] in ROOMS} == OUR_OWN


def test_a_commands_own_help_imports_its_own_modules(project):
    modules = imported(project, "serve", "--help")
    assert {name for name in modules if name.partition(".")[0] in ROOMS} == OUR_OWN | {"cli.start"}


@pytest.mark.parametrize("name", app.COMMANDS)
def test_the_table_says_of_a_command_what_its_own_help_says(name):
    command = app.load(name)
    assert " ".join(command.help.partition("\n\n")[0].split()) == app.COMMANDS[name].help
    assert isinstance(command, TyperGroup) or command.name == name
