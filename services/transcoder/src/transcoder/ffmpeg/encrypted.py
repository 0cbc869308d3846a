"""Sees whether an MP4's tracks are encrypted, which ffmpeg only shows by decoding noise."""

import struct
from pathlib import Path
from typing import BinaryIO

_MOOV_LIMIT = 16 * 1024 * 1024
"""Bytes of an index that are searched; the sample descriptions stand near the start of each track."""

_BOXES_LIMIT = 1000
"""Boxes that are stepped over in search of the index."""


def is_encrypted_mp4(path: Path) -> bool:
    """Whether the file is an MP4 whose index describes encrypted audio (sample entry ``enca``)."""
    with path.open("rb") as file:
        if file.read(8)[4:] not in {b"ftyp", b"styp", b"moov", b"free", b"mdat"}:
            return False
        file.seek(0)
        return b"enca" in _index(file)


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
