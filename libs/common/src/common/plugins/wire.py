"""What a service and a plug-in process say to each other: framed, one request and its answers at a time."""

import json
import struct
from typing import Any, BinaryIO

HEADER = struct.Struct(">cQ")
"""Before each message: its kind and how many bytes follow."""

LONGEST = 256 * 1024 * 1024
"""Bytes of the longest message; the text of a day of speech, three times over, has a hundredth of it."""

PLACE = struct.Struct(">q")
"""Before the samples of a passage: the sample of the recording at which it begins."""

BEGIN, AUDIO, SETTINGS, TEXT = b"b", b"a", b"s", b"t"
"""Requests. Each is answered by messages of the same kind, audio by any number of parts."""

RUNNING, DONE, FAILED = b"r", b"d", b"f"
"""Between answers: which plug-in runs now; that the answer is whole; why there will be none."""


def read(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next message as kind and payload, or None at the end."""
    head = stream.read(HEADER.size)
    if len(head) < HEADER.size:
        return None
    kind, size = HEADER.unpack(head)
    return kind, stream.read(size)


def write(stream: BinaryIO, kind: bytes, payload: bytes = b"") -> None:
    """Send a message."""
    stream.write(HEADER.pack(kind, len(payload)) + payload)
    stream.flush()


def words(value: Any) -> bytes:
    """A JSON payload. Raises `TypeError` and `ValueError` for what JSON cannot say."""
    return json.dumps(value, allow_nan=False).encode()
