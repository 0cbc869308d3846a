"""WAV, AIFF, AU and AVI files by hand: chunks with any contents and any claims."""

import struct


def chunk(kind: bytes, body: bytes, *, size: int | None = None) -> bytes:
    """A little-endian chunk, padded to an even length; ``size`` is what it claims."""
    claimed = len(body) if size is None else size & 0xFFFFFFFF
    return kind + struct.pack("<I", claimed) + body + b"\0" * (len(body) % 2)


def riff(form: bytes, *chunks: bytes) -> bytes:
    """A RIFF file."""
    return chunk(b"RIFF", form + b"".join(chunks))


def wave_format(
    *, codec: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, block: int | None = None
) -> bytes:
    """A WAV's ``fmt `` chunk."""
    align = channels * bits // 8 if block is None else block
    numbers = (codec, channels & 0xFFFF, rate & 0xFFFFFFFF, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    return chunk(b"fmt ", struct.pack("<HHIIHH", *numbers))


def wav(*before: bytes, data: bytes = bytes(32_000), size: int | None = None, form: bytes | None = None) -> bytes:
    """A WAV of a second of silence with chunks before its samples."""
    return riff(b"WAVE", form or wave_format(), *before, chunk(b"data", data, size=size))


def aiff(*before: bytes, channels: int = 1, frames: int = 16_000, rate: bytes = b"\x40\x0c\xfa" + bytes(7)) -> bytes:
    """An AIFF of a second of silence; ``rate`` is an 80-bit number."""

    def part(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">I", len(body)) + body

    common = part(b"COMM", struct.pack(">hIh", channels, frames, 16) + rate)
    body = b"AIFF" + common + b"".join(before) + part(b"SSND", bytes(8) + bytes(32_000))
    return part(b"FORM", body)


def au(*, offset: int = 24, size: int = 32_000, codec: int = 3, rate: int = 16_000, channels: int = 1) -> bytes:
    """A Sun AU of a second of silence."""
    return b".snd" + struct.pack(">IIIII", offset, size, codec, rate, channels) + bytes(32_000)


def avi_with_subtitles(text: bytes) -> bytes:
    """An AVI whose subtitle stream (``GAB2``) is a file of its own, which some players open by what is in it."""
    gab2 = b"GAB2\0" + struct.pack("<HI", 2, 0) + struct.pack("<HI", 4, len(text)) + text
    main = chunk(b"avih", struct.pack("<14I", 33_333, 0, 0, 0x10, 1, 0, 2, 0, 16, 16, 0, 0, 0, 0))
    rect = bytes(8)
    sound = chunk(b"strh", b"auds" + struct.pack("<IIHHIIIIIIII", 0, 0, 0, 0, 0, 2, 32_000, 0, 16_000, 0, 0, 2) + rect)
    words = chunk(b"strh", b"txts" + struct.pack("<IIHHIIIIIIII", 0, 0, 0, 0, 0, 1, 1, 0, 1, len(gab2), 0, 0) + rect)
    form = chunk(b"strf", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
    lists = [
        chunk(b"LIST", b"strl" + words + chunk(b"strf", b"")),
        chunk(b"LIST", b"strl" + sound + form),
    ]
    header = chunk(b"LIST", b"hdrl" + main + b"".join(lists))
    return riff(b"AVI ", header, chunk(b"LIST", b"movi" + chunk(b"00tx", gab2) + chunk(b"01wb", bytes(32_000))))
