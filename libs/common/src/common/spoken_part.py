"""A stored transcript without its words, which are by far the most of it and its end: they need not be read."""

from contextlib import aclosing
from typing import Any

from common.blobs import Blobs

_WORDS = b',"words":['
"""Where the words begin: inside a string the quotes would have a backslash before them."""
_UTTERANCES = b'"utterances":['
"""Stands before the words; transcripts of earlier versions have it behind them, and are read whole."""


async def read_spoken(blobs: Blobs, name: str) -> bytes:
    """A `common.transcript.Transcript` as JSON, its words left out where they are its end; of eight hours 2 MB, not 6.

    Raises
    ------
    BlobNotFound
        There is no such blob; `BlobsUnavailable` when the store is down.
    """
    read = bytearray()
    chunks: Any = blobs.read(name)
    async with aclosing(chunks):
        async for chunk in chunks:
            looked = max(0, len(read) - len(_WORDS))
            read += chunk
            if (at := read.find(_WORDS, looked)) >= 0 and read.find(_UTTERANCES, 0, at) >= 0:
                return bytes(read[:at]) + b"}"
    return bytes(read)
