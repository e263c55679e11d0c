"""Which servers `make test-servers` tries, and what it says of those that it does not find."""

import os
import subprocess
import sys

import pytest

from tests.system.servers.__main__ import DEPEND, OTHERWISE, PROMISED, by_kind, programs


@pytest.fixture
def make_program(tmp_path):
    """Makes a program that says which server it is, and is none."""

    def make(folder, name, says):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{says} sha=00000000:0 malloc=libc bits=64 build=1'\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


def test_the_first_server_of_each_kind_is_tried_those_that_are_named_before_those_on_the_path(make_program):
    named = [
        make_program("a", "redis-server", "Redis server v=7.2.4"),
        make_program("b", "redis-server", "Redis server v=8.0.2"),
        make_program("c", "redis-server", "Redis server v=7.0.15"),
    ]
    on_path = [
        make_program("d", "redis-server", "Redis server v=8.2.0"),
        make_program("d", "valkey-server", "Valkey server v=8.1.1"),
    ]
    environment = {"REDIS_PROGRAMS": ":".join(named), "PATH": os.path.dirname(on_path[0])}
    found = by_kind(path for path in programs(environment) if path in {*named, *on_path})
    assert {name: (str(kind), path) for name, (kind, path) in found.items()} == {
        "Redis 7": ("Redis 7.2", named[0]),
        "Redis 8": ("Redis 8.0", named[1]),
        "Valkey": ("Valkey 8.1", on_path[1]),
    }
    assert set(found) < set(PROMISED)


def test_a_kind_that_is_asked_for_and_not_there_is_a_failure(project, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "tests.system.servers", "--only", "Valkey"], cwd=project, capture_output=True, text=True,
        env=os.environ | {"PATH": str(tmp_path), "REDIS_PROGRAMS": ""}, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "Valkey: not found on this machine\n", "")


def test_what_is_run_and_what_is_left_out_is_there(project):
    assert [path for path in DEPEND if not (project / path).exists()] == []
    for name in OTHERWISE:
        path, _, test = name.partition("::")
        assert f"def {test}(" in (project / path).read_text(encoding="utf-8")
