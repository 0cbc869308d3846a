"""Where a request comes from: the address a proxy we trust passed on, or the connection's own."""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from aiohttp import web

_LONGEST_AGENT = 300

_WITH_PORT = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](:\d{1,5})?|(?P<v4>[0-9.]+):\d{1,5}", re.ASCII)

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

    def scheme(self, request: web.BaseRequest) -> str:
        """``https`` or ``http``, as the client asked: a proxy of ours passes on what it took by https."""
        # Of several proxies each adds its word; the first is of the one that the browser talked to.
        said = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        return "https" if request.secure or (said == "https" and self.trusts(request)) else "http"

    def address(self, request: web.BaseRequest) -> str:
        """The nearest address that is no proxy of ours, as written by `ipaddress`."""
        hops = [hop for line in request.headers.getall("X-Forwarded-For", ()) for hop in line.split(",")]
        address = _near(request.remote or "")
        # The right end was written by the proxy next to us; left of a stranger everything may be made up.
        while hops and address is not None and any(address in network for network in self._trusted):
            before = _hop(hops.pop())
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


def canonical(address: str) -> str | None:
    """An address as it is written in the audit log; None for something that is none."""
    read = _read(address)
    return str(read) if read is not None else None


def _hop(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """What a proxy wrote of who is before it; some add the port, as in ``192.0.2.1:5678`` or ``[2001:db8::1]:5678``."""
    found = _WITH_PORT.fullmatch(text.strip())
    return _read(found["v6"] or found["v4"] if found else text)


def _read(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        read = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return read.ipv4_mapped or read if isinstance(read, ipaddress.IPv6Address) else read


_near = lru_cache(maxsize=_KEPT)(_read)
"""The connection's own address, which is the same for one request after the other."""
