"""What an installation on this machine stands on."""

import socket

from ops.local import PORTS, free_port, free_ports


def test_no_two_of_many_free_ports_are_the_same():
    assert len({free_port() for _ in range(300)}) == 300


def test_ports_in_a_row_are_free_and_below_those_of_outgoing_connections():
    first, *others = free_ports(3)
    assert others == [first + 1, first + 2]
    for port in (first, *others):
        assert port in PORTS
        with socket.create_server(("127.0.0.1", port)):
            pass


def test_a_port_that_somebody_listens_on_is_not_given(monkeypatch):
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        beside = taken.getsockname()[1]
        monkeypatch.setattr("ops.local.PORTS", range(beside, beside + 2))
        assert free_port() == beside + 1
