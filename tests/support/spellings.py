"""Many ways to write the address of something inside, as those make them who look for one that a guard forgot."""

import random
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

INSIDE = ["127.0.0.1", "127.8.9.10", "10.1.2.3", "100.100.100.200", "169.254.169.254", "172.20.0.5", "192.168.7.1"]

_EMBEDDED: tuple[Callable[[int], int], ...] = (
    lambda v4: v4,  # compatible, long given up
    lambda v4: 0xFFFF << 32 | v4,  # mapped
    lambda v4: 0xFFFF << 48 | v4,  # translated
    lambda v4: 0x64FF9B << 96 | v4,  # NAT64
    lambda v4: 0x2002 << 112 | v4 << 80,  # 6to4
    lambda v4: 0x20010000 << 96 | 0x0A000001 << 64 | v4 ^ 0xFFFFFFFF,  # Teredo
)
_DIGITS: tuple[Callable[[int], str], ...] = (str, "0x{:x}".format, "0X{:08X}".format, "0{:o}".format, "0000{:o}".format)


def spellings(seed: int, count: int) -> list[str]:
    """Different hosts for addresses of `INSIDE`, as they stand in an URL."""
    chance, found = random.Random(seed), dict[str, None]()
    while len(found) < count:
        value = int(IPv4Address(chance.choice(INSIDE)))
        found[_short(chance, value) if chance.random() < 0.6 else _embedded(chance, value)] = None
    return list(found)


def leads_here(host: str) -> bool:
    """Whether this machine's resolver reads a host as this machine itself, without asking anybody."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), 1, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    address = ip_address(str(found[0][4][0]).partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or str(address) == "0.0.0.0"


def _short(chance: random.Random, value: int) -> str:
    """One to four numbers, each to any base; the last one stands for all bytes that are left."""
    parts = chance.randint(1, 4)
    numbers = [value >> 8 * (3 - place) & 0xFF for place in range(parts - 1)]
    numbers.append(value & (1 << 8 * (5 - parts)) - 1)
    return ".".join(chance.choice(_DIGITS)(number) for number in numbers)


def _embedded(chance: random.Random, value: int) -> str:
    """An IPv4 address within one of version 6, shortened or in full."""
    address = IPv6Address(chance.choice(_EMBEDDED)(value))
    return f"[{chance.choice(list(_forms(address)))}]"


def _forms(address: IPv6Address) -> Iterator[str]:
    yield address.compressed
    yield address.compressed.upper()
    yield address.exploded
    head, _, _ = address.exploded.rpartition(":")
    yield f"{head.rpartition(':')[0]}:{IPv4Address(int(address) & 0xFFFFFFFF)}"
