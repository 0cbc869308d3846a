"""The guard on addresses that users name: nothing of ours is reached through a webhook or a fetched address.

What counts is the address a socket is about to be connected to, so it is looked at there and nowhere else: neither a
name that resolves to something else the second time nor an odd way to write an address gets past. Redirects are the
caller's to refuse (``allow_redirects=False``), and so are proxies (``trust_env`` stays off): a proxy's address is not
the one named.
"""

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import AddrInfoType, TCPConnector
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import DefaultResolver
from yarl import URL

_NOT_PUBLIC_V4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's NAT, and some clouds' metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host, reached from every machine there
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_V4_WITHIN_V6 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""Mapped addresses and NAT64: they lead to the IPv4 address in their last 32 bits."""


class Refused(OSError):  # noqa: N818 - named for what happened
    """The address is not a public one."""


class BadUrl(ValueError):  # noqa: N818 - named for what it is
    """An URL that is not delivered to; the message says why, for the person who named it."""


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address belongs to somebody on the public Internet, as IANA's registries have it."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _NOT_PUBLIC_V4)
    if any(address in block for block in _V4_WITHIN_V6):
        return public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _PUBLIC_V6 and not any(address in block for block in _NOT_PUBLIC_V6)


def guarded_connector(
    *, allow_private: bool = False, resolver: AbstractResolver | None = None, limit: int = 100
) -> TCPConnector:
    """Connector of an `aiohttp.ClientSession` that opens no socket to an address that is not `public`.

    A request to such an address fails with `aiohttp.ClientConnectorError`, whose ``os_error`` is `Refused`, before a
    packet is sent. A name with several addresses is reached by the public ones.

    Parameters
    ----------
    allow_private
        Switches the guard off, for development and tests.
    resolver
        Where names are looked up; aiohttp's own by default.
    limit
        Connections at once.
    """
    return TCPConnector(
        resolver=resolver, limit=limit, socket_factory=None if allow_private else _public_socket, use_dns_cache=False
    )


def _public_socket(info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, where = info
    if not public(ip_address(where[0])):
        # The same words for every address: they do not say what a name resolves to in here.
        raise Refused("the address is not public")
    return socket.socket(family, kind, protocol)


async def open_guarded(
    host: str, port: int, *, allow_private: bool = False, resolver: AbstractResolver | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a TCP connection for somebody else: the name is looked up once, and what was looked at is connected to.

    Raises
    ------
    Refused
        When none of the name's addresses is `public`; no packet was sent.
    OSError
        When the name is not known, or nobody answers at any of its public addresses.
    """
    found = await (resolver or DefaultResolver()).resolve(host, port, socket.AF_UNSPEC)
    where = [one for one in found if allow_private or public(ip_address(one["host"]))]
    last: OSError = Refused("the address is not public")
    for one in where:
        try:
            return await asyncio.open_connection(one["host"], port, family=one["family"], flags=socket.AI_NUMERICHOST)
        except OSError as error:
            last = error
    raise last


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Refuse at once what could never be delivered to: a courtesy to users, the guard proper is in the connector.

    Raises
    ------
    BadUrl
        Not an http or https URL with a host, or credentials in it, or a host that is plainly not public.
    """
    if any(c.isspace() or not c.isprintable() for c in url):
        raise BadUrl("must not contain spaces or control characters")
    try:
        parsed = URL(url)
        host = parsed.host
    except ValueError:
        raise BadUrl("is not a URL") from None
    if parsed.scheme not in {"http", "https"} or not host:
        raise BadUrl("must be an http or https URL with a host")
    if parsed.user is not None or parsed.password is not None:
        raise BadUrl("must not contain a user name or password")
    if not allow_private and _plainly_private(host.rstrip(".").lower()):
        raise BadUrl("must be a public address")


def _plainly_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not public(ip_address(host))
    except ValueError:
        pass
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    # A decimal, octal, hexadecimal or shortened form: nobody honest writes a public address that way.
    return True
