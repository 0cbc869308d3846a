"""Where a request comes from: the address a proxy we trust passed on, or the connection's own."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from aiohttp import web

_LONGEST_AGENT = 300

_KEPT = 1024
"""Addresses that need not be read again: reading one costs as much as checking a key."""


class Callers:
    """Reads addresses.

    Parameters
    ----------
    trusted
        Networks whose ``X-Forwarded-For`` is believed, such as ``10.0.0.0/8``; others' is not, for anyone can send one.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def address(self, request: web.BaseRequest) -> str:
        """The nearest address that is no proxy of ours, as written by `ipaddress`."""
        hops = [hop for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
        address = _near(request.remote or "")
        # The right end was written by the proxy next to us; left of a stranger everything may be made up.
        while hops and address is not None and any(address in network for network in self._trusted):
            before = _read(hops.pop())
            if before is None:
                break
            address = before
        return str(address) if address is not None else "unknown"

    def trusts(self, request: web.BaseRequest) -> bool:
        """Whether the connection comes from a proxy of ours."""
        address = _near(request.remote or "")
        return address is not None and any(address in network for network in self._trusted)

    def agent(self, request: web.BaseRequest) -> str | None:
        """The program, as it names itself, cut short."""
        agent = request.headers.get("User-Agent")
        if not agent:
            return None
        return agent.encode("ascii", "replace").decode()[:_LONGEST_AGENT]


@lru_cache(maxsize=_KEPT)
def is_loopback(address: str) -> bool:
    """Whether the address is this machine's own; False for something that is none."""
    read = _read(address)
    return read is not None and read.is_loopback


@lru_cache(maxsize=_KEPT)
def neighbourhood(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 of an IPv6 one, of which everybody has 2^64."""
    read = _read(address)
    if isinstance(read, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((read, 64), strict=False))
    return address


def _read(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        read = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return read.ipv4_mapped or read if isinstance(read, ipaddress.IPv6Address) else read


_near = lru_cache(maxsize=_KEPT)(_read)
"""The connection's own address, which is the same for one request after the other."""
