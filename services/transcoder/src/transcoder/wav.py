"""The header of a WAV file with 16 kHz mono 16-bit samples."""

import struct

from transcoder.ports import RATE, SAMPLE_BYTES

HEADER_BYTES = 44
"""Bytes before the first sample."""


def header(data: int) -> bytes:
    """The 44 bytes before ``data`` bytes of samples; a day of audio stays below the format's 4 GiB."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", HEADER_BYTES - 8 + data, b"WAVE",
        b"fmt ", 16, 1, 1, RATE, RATE * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES,
        b"data", data,
    )  # fmt: skip
