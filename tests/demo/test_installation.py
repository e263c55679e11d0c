"""What an installation on this machine stands on."""

import socket

import pytest

from demo.processes import PORTS, CannotStart, ServerKind, find_redis, free_port, free_ports, kind_of


def program(path, says=""):
    path.write_text(f"#!/bin/sh\necho '{says}'\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_redis_that_is_asked_for_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("REDIS_PROGRAM", program(tmp_path / "another"))
    assert find_redis() == str(tmp_path / "another")


def test_a_redis_that_is_asked_for_and_missing_is_an_error_and_no_other_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("REDIS_PROGRAM", str(tmp_path / "missing"))
    with pytest.raises(CannotStart, match=r"REDIS_PROGRAM names \S*missing"):
        find_redis()


@pytest.mark.parametrize(
    ("says", "kind", "as_redis"),
    [
        ("Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=1", ServerKind("Redis", (6, 2)), (6, 2)),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=1", ServerKind("Redis", (7, 0)), (7, 0)),
        ("Redis server v=8.0.2 sha=00000000:0 malloc=libc bits=64 build=1", ServerKind("Redis", (8, 0)), (8, 0)),
        ("Valkey server v=8.1.1 sha=00000000:0 malloc=libc bits=64 build=1", ServerKind("Valkey", (8, 1)), (7, 2)),
    ],
    ids=lambda value: str(value).partition(" sha")[0],
)
def test_a_server_says_which_kind_it_is(tmp_path, says, kind, as_redis):
    found = kind_of(program(tmp_path / "server", says))
    assert (found, found.as_redis) == (kind, as_redis)


def test_no_two_of_many_free_ports_are_the_same():
    assert len({free_port() for _ in range(300)}) == 300


def test_ports_in_a_row_are_free_and_below_those_of_outgoing_connections():
    first, *others = free_ports(3)
    assert others == [first + 1, first + 2]
    for port in (first, *others):
        assert port in PORTS
        with socket.create_server(("127.0.0.1", port)):
            pass


@pytest.fixture
def two_ports(monkeypatch):
    """Two ports in a row that are free, and the only ones there are."""
    ports = range((first := free_ports(2)[0]), first + 2)
    monkeypatch.setattr("demo.processes.PORTS", ports)
    monkeypatch.setattr("demo.processes._given", [])
    return ports


def test_a_port_that_somebody_listens_on_is_not_given(two_ports):
    first, second = two_ports
    with socket.create_server(("127.0.0.1", first)):
        assert free_port() == second


def test_where_no_port_is_free_the_search_ends(two_ports):
    first, second = two_ports
    with socket.create_server(("127.0.0.1", first)):
        assert free_port() == second
        with pytest.raises(CannotStart, match=f"no 1 free ports in a row from {first} to {second}"):
            free_port()
