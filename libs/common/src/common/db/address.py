"""PostgreSQL's address: whether what goes there can be read on the way."""

import ipaddress
import os
import re
from urllib.parse import parse_qs, unquote, urlsplit

ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
"""Values of ``sslmode`` with which nothing is sent in clear; by default a server that says no to TLS is believed."""

_PORT = re.compile(r"\[(?P<v6>[^]]+)\](?::\d*)?|(?P<other>[^:]*)(?::\d*)?")


def is_exposed(address: str) -> bool:
    """Whether an address leads to another machine and does not ask for TLS.

    Parameters
    ----------
    address
        A ``postgresql://`` URL, read as asyncpg reads it: what it does not say comes from ``PGHOST`` and ``PGSSLMODE``,
        and without any host PostgreSQL is on this machine.

    Raises
    ------
    ValueError
        When it is none.
    """
    try:
        url = urlsplit(address)
    except ValueError:  # Its words quote the address, and the password in it.
        msg = "DATABASE_URL is no address that can be read"
        raise ValueError(msg) from None
    said = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if (said.get("sslmode") or os.environ.get("PGSSLMODE")) in ENCRYPTED:
        return False
    before, at, after = url.netloc.partition("@")
    hosts = unquote(after if at else before) or said.get("host") or os.environ.get("PGHOST") or ""
    return not all(_is_here(host) for host in hosts.split(","))


def _is_here(host: str) -> bool:
    if not host or host.startswith("/"):
        return True  # a socket of this machine
    found = _PORT.fullmatch(host)
    name = (found["v6"] or found["other"]) if found else host
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
