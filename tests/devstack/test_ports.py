"""A taken port is named, together with who holds it."""

import os
import socket

import pytest

from devstack.errors import StackError
from devstack.ports import HOST, check_free, free_base, is_free


def test_a_taken_port_is_named_with_its_purpose_and_its_holder():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(StackError, match=rf"port {port} \(for the API\) is taken by .* \(pid {os.getpid()}\)"):
            check_free({"the API": port})


def test_a_port_taken_on_every_address_is_taken():
    with socket.create_server(("0.0.0.0", 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_whose_last_connection_lingers_is_free():
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection((HOST, port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()

    assert is_free(port)


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_a_port_that_does_not_exist_is_refused(port: int):
    with pytest.raises(StackError, match="does not exist"):
        check_free({"the API": port})


def test_free_ports_come_in_a_row():
    base = free_base(5)

    assert all(is_free(base + offset) for offset in range(5))
