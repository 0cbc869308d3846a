"""QuickTime and MP4 files by hand: boxes in boxes, so that any of them can lie."""

import struct
from collections.abc import Sequence

RATE = 16_000

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

ITSELF = b"\0\0\0\x0curl \0\0\0\x01"
"""A data reference that says the samples lie in the same file."""


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box with its size."""
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """A box with version 0 and flags."""
    return box(kind, struct.pack(">I", flags), *parts)


def reference(kind: bytes, target: str) -> bytes:
    """A data reference (``url ``, ``urn ``, ``alis``) to what lies elsewhere."""
    if kind == b"alis":
        return full(b"alis", _alias(target))
    return full(kind, target.encode() + b"\0")


def movie(
    *,
    samples: int = RATE,
    references: Sequence[bytes] = (ITSELF,),
    offset: int | None = None,
    sample_size: int = 2,
    count: int | None = None,
    rate: int = RATE,
    channels: int = 1,
    duration: int | None = None,
    edits: bytes = b"",
    brand: bytes = b"qt  ",
    codec: bytes = b"sowt",
    user: bytes = b"",
    tracks: int = 1,
) -> bytes:
    """A QuickTime movie of silent PCM whose every number can be set.

    Parameters
    ----------
    samples
        Samples of silence that are really there.
    references
        What stands in ``dref``; the track uses the first.
    offset
        Where the samples are said to lie; None for where they do.
    sample_size, count
        Bytes of a sample and how many there are said to be.
    duration
        What the headers say, in samples.
    edits
        An ``edts`` box.
    user
        Boxes put into ``moov`` behind the tracks.
    tracks
        How many tracks there are, all of the same samples.
    """
    head = box(b"ftyp", brand, struct.pack(">I", 0), brand)
    data = box(b"mdat", bytes(samples * 2))
    long = samples if duration is None else duration
    told = samples if count is None else count
    where = len(head) + 8 if offset is None else offset
    sound = (
        struct.pack(">6xH", 1)
        + struct.pack(">8xHHHH", channels & 0xFFFF, 16, 0, 0)
        + struct.pack(">I", rate % 2**16 << 16)
    )
    table = box(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), box(codec, sound)),
        full(b"stts", struct.pack(">III", 1, told & 0xFFFFFFFF, 1)),
        full(b"stsc", struct.pack(">IIII", 1, 1, told & 0xFFFFFFFF, 1)),
        full(b"stsz", struct.pack(">II", sample_size & 0xFFFFFFFF, told & 0xFFFFFFFF)),
        full(b"stco", struct.pack(">II", 1, where & 0xFFFFFFFF)),
    )
    dref = full(b"dref", struct.pack(">I", len(references)), *references)
    parts = [
        box(
            b"trak",
            full(
                b"tkhd", struct.pack(">IIIII8xHHHH", 0, 0, number, 0, long, 0, 0, 0x100, 0), MATRIX, bytes(8), flags=7
            ),
            edits,
            box(
                b"mdia",
                full(b"mdhd", struct.pack(">IIIIHH", 0, 0, rate, long, 0x55C4, 0)),
                full(b"hdlr", b"mhlr", b"soun", bytes(12), b"\0"),
                box(b"minf", full(b"smhd", bytes(4)), box(b"dinf", dref), table),
            ),
        )
        for number in range(1, tracks + 1)
    ]
    header = full(
        b"mvhd", struct.pack(">IIIIIH10x", 0, 0, rate, long, 0x10000, 0x100), MATRIX, bytes(24), struct.pack(">I", 2)
    )
    return head + data + box(b"moov", header, *parts, user)


def edit_list(entries: Sequence[tuple[int, int]]) -> bytes:
    """An ``edts`` box of (duration, media time) pairs."""
    body = b"".join(struct.pack(">Iii", length, time, 0x10000) for length, time in entries)
    return box(b"edts", full(b"elst", struct.pack(">I", len(entries)), body))


def nested(kind: bytes, depth: int) -> bytes:
    """Boxes in boxes; made from the inside, so that it takes no recursion."""
    return b"".join(struct.pack(">I4s", 8 * inner, kind) for inner in range(depth, 0, -1))


def _alias(target: str) -> bytes:
    """A Macintosh alias record that names a file by its absolute path."""
    name = target.rpartition("/")[2].encode()[:27]
    parts = [
        bytes(10), b"\x04disk".ljust(28, b"\0"), bytes(12), bytes([len(name)]), name.ljust(63, b"\0"), bytes(16),
        struct.pack(">hh", 1, target.count("/")), bytes(16),
    ]  # fmt: skip
    for kind, value in ((2, b"disk" + target.replace("/", ":").encode()), (18, target.encode()), (19, b"/")):
        parts.append(struct.pack(">HH", kind, len(value)) + value + b"\0" * (len(value) % 2))
    return b"".join(parts) + struct.pack(">hH", -1, 0)
