"""Matroska files by hand: elements of any size, depth and number."""

import struct
from collections.abc import Sequence

UNKNOWN = b"\x01\xff\xff\xff\xff\xff\xff\xff"
"""The size of an element that goes on until the file ends."""


def element(ident: int, body: bytes | int | str | float, *, size: int | None = None) -> bytes:
    """An element; ``size`` is what it claims."""
    if isinstance(body, bool | int):
        body = body.to_bytes(max(1, (body.bit_length() + 7) // 8), "big")
    elif isinstance(body, float):
        body = struct.pack(">d", body)
    elif isinstance(body, str):
        body = body.encode()
    claimed = len(body) if size is None else size
    return ident.to_bytes((ident.bit_length() + 7) // 8, "big") + (1 << 56 | claimed).to_bytes(8, "big") + body


HEAD = element(
    0x1A45DFA3,
    element(0x4286, 1) + element(0x42F7, 1) + element(0x42F2, 4) + element(0x42F3, 8)
    + element(0x4282, "matroska") + element(0x4287, 4) + element(0x4285, 2),
)  # fmt: skip


def track(number: int, *, codec: str = "A_PCM/INT/LIT", rate: float = 16_000.0, channels: int = 1) -> bytes:
    """An audio track's entry."""
    audio = element(0xB5, rate) + element(0x9F, channels) + element(0x6264, 16)
    return element(
        0xAE, element(0xD7, number) + element(0x73C5, number) + element(0x83, 2) + element(0x86, codec)
        + element(0xE1, audio),
    )  # fmt: skip


def block(number: int, at: int, data: bytes) -> bytes:
    """A simple block of a track, ``at`` ms after its cluster."""
    return element(0xA3, (0x1_0000_0000_0000_00 | number).to_bytes(8, "big") + struct.pack(">hB", at, 0x80) + data)


def matroska(
    *,
    tracks: Sequence[bytes] = (),
    info: bytes = b"",
    more: bytes = b"",
    duration: float = 1000.0,
    times: Sequence[int] = (0,),
    numbers: Sequence[int] = (1,),
    millis: int = 1000,
) -> bytes:
    """A file of silent 16 kHz PCM.

    Parameters
    ----------
    tracks
        Entries of tracks; one of mono audio when there are none.
    info, more
        Elements put into the segment's info, and before its clusters.
    duration
        Milliseconds the header claims.
    times
        Start of each cluster in ms.
    numbers
        Tracks that each cluster has a block of.
    millis
        Milliseconds of audio of each block.
    """
    about = element(0x1549A966, element(0x2AD7B1, 1_000_000) + element(0x4489, duration) + info)
    listed = element(0x1654AE6B, b"".join(tracks or [track(1)]))
    pcm = bytes(millis * 32)
    clusters = b"".join(
        element(0x1F43B675, element(0xE7, time) + b"".join(block(number, 0, pcm) for number in numbers))
        for time in times
    )
    return HEAD + element(0x18538067, about + listed + more + clusters)


def nested(ident: int, depth: int) -> bytes:
    """Elements in elements; each head takes as many bytes as the identifier and eight."""
    one = (ident.bit_length() + 7) // 8 + 8
    heads = [
        ident.to_bytes(one - 8, "big") + (1 << 56 | one * inner).to_bytes(8, "big") for inner in reversed(range(depth))
    ]
    return b"".join(heads)
