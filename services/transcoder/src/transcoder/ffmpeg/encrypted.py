"""Sees whether an MP4's tracks are encrypted, which ffmpeg only shows by decoding noise."""

import re
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

_MOOV_LIMIT = 16 * 1024 * 1024
"""Bytes of an index that are searched; the sample descriptions stand near the start of each track."""

_BOXES_LIMIT = 1000
"""Boxes that are stepped over in search of the index."""

_TABLES_LIMIT = 256
"""Places that are looked at as the descriptions of a track: four for each of the 64 tracks a file may have."""

_ENTRIES_LIMIT = 16
"""Sample descriptions of one track that are looked at."""


def is_encrypted_mp4(path: Path) -> bool:
    """Whether the file is an MP4 whose index describes encrypted audio (sample entry ``enca``)."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in {b"ftyp", b"styp", b"moov", b"free", b"mdat"}:
            return False
        file.seek(0)
        return b"enca" in _sample_entries(_index(file))


def _sample_entries(index: bytes) -> Iterator[bytes]:
    """What each track holds, by its four letters; the same letters elsewhere, as in a title, do not count."""
    for found in islice(re.finditer(b"stsd", index), _TABLES_LIMIT):
        at = found.end() + 4  # behind version and flags: how many there are, then each with its size
        count, at = int.from_bytes(index[at : at + 4], "big"), at + 4
        for _ in range(min(count, _ENTRIES_LIMIT)):
            yield index[at + 4 : at + 8]
            at += max(8, int.from_bytes(index[at : at + 4], "big"))


def _index(file: BinaryIO) -> bytes:
    for _ in range(_BOXES_LIMIT):
        start = file.tell()
        head = file.read(16)
        if len(head) < 8:
            return b""
        size, kind = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            size = struct.unpack(">Q", head[8:])[0]
        if kind == b"moov":
            file.seek(start)
            return file.read(min(size or _MOOV_LIMIT, _MOOV_LIMIT))
        if size < 8 or start + size >= 1 << 62:
            return b""
        file.seek(start + size)
    return b""
