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


class BlobBusy(Exception):  # noqa: N818 - named for the state, not the class
    """Somebody else is gathering the same blob right now; nothing of this call was kept for certain."""


class OtherSize(Exception):  # noqa: N818 - named for the state, not the class
    """What is gathered of a blob has another size than the caller believed.

    Parameters
    ----------
    size
        How many bytes there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are gathered")
        self.size = size


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
        """Remove every blob whose name begins with the prefix; return how many there were. Repeating is harmless.

        What is being gathered for such names is removed as well, and not counted.
        """
        ...

    async def gather(self, name: str, start: int, chunks: Chunks) -> int:
        """Add bytes to what is gathered for a name, over as many calls and processes as it takes; see `seal`.

        What came is kept and stored for good before this returns, or raises what ``chunks`` raised, or is cancelled;
        a process that is killed loses at most what it had not stored yet, see `gathered`.

        Parameters
        ----------
        name
            Name of the blob that will be; none may have it yet.
        start
            How many bytes the caller believes there are.
        chunks
            The bytes that follow.

        Returns
        -------
        int
            How many bytes there are now.

        Raises
        ------
        OtherSize
            There were not ``start`` bytes; nothing was taken from ``chunks``.
        BlobBusy
            Somebody else is gathering, or began meanwhile.
        """
        ...

    async def gathered(self, name: str) -> BlobInfo | None:
        """How many bytes are stored for good of a blob that is being gathered, or is whole; None when nobody began.

        Never less than what a `gather` returned; ``modified`` is when somebody last came with bytes.
        """
        ...

    async def seal(self, name: str, size: int) -> None:
        """Make what was gathered the blob, without copying it; done already, repeating is harmless.

        Raises
        ------
        OtherSize
            There are not ``size`` bytes.
        BlobBusy
            Somebody is still gathering.
        BlobNotFound
            Nobody began.
        """
        ...

    def local(self, name: str) -> AbstractAsyncContextManager[Path]:
        """A local, seekable, read-only file with the blob's bytes, for programs; raises `BlobNotFound`."""
        ...


async def read_all(blobs: Blobs, name: str) -> bytes:
    """A whole blob's bytes; for results and manifests, never for media."""
    return b"".join([chunk async for chunk in blobs.read(name)])
