"""The port to stored bytes, and the way to open one from a setting."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

Chunks = AsyncIterator[bytes]

Name = str | Callable[[], str]
"""A blob's name, or a function asked for it once the chunks are exhausted: a name that holds the bytes' hash."""


@dataclass(frozen=True)
class BlobInfo:
    """What is known of a stored blob: name, size in bytes, when it was last written (UTC)."""

    name: str
    size: int
    modified: datetime


class BlobsUnavailable(Exception):  # noqa: N818 - named for the state, not the class
    """The store is down or full; the same call may succeed later. Nothing half-written is visible."""


class BlobNotFound(Exception):  # noqa: N818 - named for the state, not the class
    """No blob has this name."""


class Blobs(Protocol):
    """Write-once blobs with names as in `common.layout`. Every method may raise `BlobsUnavailable`."""

    async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
        """Store the bytes under a name, only if nothing is there yet; visible whole or not at all.

        Returns
        -------
        bool
            True when written, False when the name was taken (the bytes are then dropped). When ``chunks`` or a
            callable ``name`` raises, or the task is cancelled, nothing remains and the error is passed on.
        """
        ...

    def read(self, name: str, start: int = 0) -> Chunks:
        """Iterate over a blob's bytes from an offset, in chunks of at most 1 MiB; raises `BlobNotFound`."""
        ...

    async def stat(self, name: str) -> BlobInfo | None:
        """Size and time of a blob, or None when there is none."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Every blob whose name begins with the prefix, in no promised order."""
        ...

    async def remove(self, prefix: str) -> int:
        """Remove every blob whose name begins with the prefix; return how many there were. Repeating is harmless."""
        ...

    def local(self, name: str) -> AbstractAsyncContextManager[Path]:
        """A local, seekable, read-only file with the blob's bytes, for programs; raises `BlobNotFound`."""
        ...


async def read_all(blobs: Blobs, name: str) -> bytes:
    """A whole blob's bytes; for results and manifests, never for media."""
    return b"".join([chunk async for chunk in blobs.read(name)])
