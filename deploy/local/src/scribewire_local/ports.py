"""Loopback TCP ports: finding a free one, telling whether one is taken."""

import random
import socket

import psutil

HOST = "127.0.0.1"
# Below the range the kernel hands to outgoing connections, so that nobody takes the port of a part that is restarting.
_RANGE = range(20_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Pick a free loopback port at random; two callers at once all but never get the same one."""
    for port in random.SystemRandom().sample(_RANGE, 200):
        if is_free(port):
            return port
    msg = f"no free port between {_RANGE.start} and {_RANGE.stop}"
    raise OSError(msg)


def listener(port: int) -> str:
    """Return ` (by NAME, pid N)` of who listens on a port, or nothing where the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
                return f" (by {psutil.Process(connection.pid).name()}, pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
