"""What a worker tells the service through its pipe: framed, in order, and small enough to be checked."""

import json
import os
import struct
from dataclasses import dataclass, field

HEADER = struct.Struct("<cI")
"""Before each message: its kind and how many bytes follow."""

LONGEST = 256 * 1024
"""Bytes of the longest message; whoever sends more is no worker of ours."""

READY, MEDIA, PCM, END = b"r", b"m", b"p", b"e"
"""Kinds, in the order in which they come: once, at most once, any number of times, once unless the worker dies."""

AUDIO = b"a"
"""Between `MEDIA` and `END`, where a format was ordered: bytes of the file in it, behind their place in that file."""

PLACE = struct.Struct("<Q")
"""What an `AUDIO` message begins with."""


@dataclass(frozen=True)
class Ready:
    """The first word of a worker: which layers of its sandbox hold, and which the system does not have."""

    held: list[str]
    missing: list[str]


@dataclass(frozen=True)
class Described:
    """What a file says it is; the fields are those of `transcoder.ports.Media`."""

    container: str
    codec: str
    channels: int
    sample_rate: int
    duration: float | None
    estimated: bool


@dataclass
class Findings:
    """What was seen on the way to the end of a file.

    ``causes`` are keys of `transcoder.causes.CAUSES`; ``ends_early`` says that the file ends before its own structure
    says so, ``broken`` that some of it could not be decoded. Loudness is in dB below full scale. ``kept_channels`` and
    ``kept_rate`` are those of the file in the format that was ordered, 0 without one.
    """

    causes: set[str] = field(default_factory=set)
    ends_early: bool = False
    broken: bool = False
    mean_dbfs: float | None = None
    peak_dbfs: float | None = None
    kept_channels: int = 0
    kept_rate: int = 0


def tell(pipe: int, said: Ready | Described | Findings) -> None:
    """Write one message of words."""
    kind = READY if isinstance(said, Ready) else MEDIA if isinstance(said, Described) else END
    payload = json.dumps(vars(said), default=sorted).encode()
    send(pipe, kind, payload)


def send(pipe: int, kind: bytes, payload: bytes | memoryview) -> None:
    """Write one message; waits while the service does not read."""
    total = HEADER.size + len(payload)
    sent = os.writev(pipe, [HEADER.pack(kind, len(payload)), payload])
    while sent < total:  # a signal came in between; the header is whole, since a pipe takes that much at once
        sent += os.write(pipe, memoryview(payload)[sent - HEADER.size :])
