"""TCP ports of the stack on the loopback address: free ones, and who holds a taken one."""

import asyncio
import contextlib
import errno
import random
import socket
from collections.abc import Mapping

import psutil

from devstack.errors import StackError

HOST = "127.0.0.1"
# Below the range that the kernel hands out for outgoing connections, so that no client socket sits on our port.
_CANDIDATES = range(12_000, 32_000, 10)
_POLL = 0.05
_LAST_PORT = 65_535


def is_free(port: int) -> bool:
    """Whether a server could listen on *port* of the loopback address now.

    Raises:
        StackError: the port is not one that this user may listen on.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that lingers in TIME_WAIT does not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"port {port} cannot be used: {error.strerror}; choose others with --base-port") from error
    return True


def check_free(ports: Mapping[str, int]) -> None:
    """Refuse to go on when one of *ports* (what it is for -> number) is taken.

    Raises:
        StackError: names the port, what it is for, and who holds it where that can be seen.
    """
    for purpose, port in ports.items():
        if not 0 < port <= _LAST_PORT:
            raise StackError(f"port {port} (for {purpose}) does not exist: choose another with --base-port")
        if not is_free(port):
            raise StackError(
                f"port {port} (for {purpose}) is taken{_holder(port)}: stop that, or choose others with --base-port"
            )


async def accepts(host: str, port: int) -> None:
    """Return once something accepts connections on *port* of *host*."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(_POLL)
        else:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return


def free_base(count: int) -> int:
    """The first of *count* consecutive free ports."""
    for base in random.sample(_CANDIDATES, len(_CANDIDATES)):
        if all(is_free(base + offset) for offset in range(count)):
            return base
    raise StackError("no free TCP ports on the loopback address")


def _holder(port: int) -> str:
    """' by NAME (pid N)' for the process that listens on *port*, or nothing where it cannot be seen."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        return ""
    return ""
