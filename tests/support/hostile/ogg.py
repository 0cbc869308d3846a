"""Ogg pages by hand: the same stream again and again under other serial numbers, each page with its checksum."""

import struct
from collections.abc import Iterator


def chained(stream: bytes, times: int) -> bytes:
    """A chain of copies of an Ogg stream, as if each were another recording."""
    pages = list(_pages(stream))
    return b"".join(_renumbered(page, serial) for serial in range(1, times + 1) for page in pages)


def _pages(stream: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(stream):
        segments = stream[at + 26]
        end = at + 27 + segments + sum(stream[at + 27 : at + 27 + segments])
        yield stream[at:end]
        at = end


def _renumbered(page: bytes, serial: int) -> bytes:
    blank = page[:14] + struct.pack("<I", serial) + page[18:22] + bytes(4) + page[26:]
    return blank[:22] + struct.pack("<I", _checksum(blank)) + blank[26:]


def _table() -> list[int]:
    made = []
    for value in range(256):
        rest = value << 24
        for _ in range(8):
            rest = (rest << 1 ^ (0x04C11DB7 if rest & 0x80000000 else 0)) & 0xFFFFFFFF
        made.append(rest)
    return made


_TABLE = _table()


def _checksum(data: bytes) -> int:
    rest = 0
    for byte in data:
        rest = (rest << 8 & 0xFFFFFFFF) ^ _TABLE[rest >> 24 ^ byte]
    return rest
