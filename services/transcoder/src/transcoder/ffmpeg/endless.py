"""Sees whether a WAV was written as a stream, whose header cannot say where it ends."""

from pathlib import Path

_HEAD = 64 * 1024
"""Bytes in which the header is looked for."""

_PLACEHOLDER = 0x7FFF_0000
"""From here on the size of the samples is no size: programs that write to a pipe put 2 or 4 GiB less a little."""


def is_endless_wav(path: Path) -> bool:
    """Whether the file is a WAV whose header gives no size for its samples."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    at = 12
    while at + 8 <= len(head):
        size = int.from_bytes(head[at + 4 : at + 8], "little")
        if head[at : at + 4] == b"data":
            return size == 0 or size >= _PLACEHOLDER
        at += 8 + size + size % 2
    return False
