"""Blobs in memory, for tests of handlers; it keeps the same contract as the real stores."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from common.blobs import BlobBusy, BlobInfo, BlobNotFound, BlobsUnavailable, Chunks, Name, OtherSize
from common.blobs.names import check_name, check_prefix

_BLOCK = 1024 * 1024


class MemoryBlobs:
    """Write-once blobs that end with the process.

    Set ``down`` to True and every method raises `BlobsUnavailable`, until it is False again.
    """

    def __init__(self) -> None:
        self.down = False
        self._blobs: dict[str, tuple[bytes, datetime]] = {}
        self._gathered: dict[str, bytearray] = {}
        self._gathering: set[str] = set()

    async def write(self, name: Name, chunks: Chunks | bytes) -> bool:
        """Store the bytes under a name if nothing is there."""
        if isinstance(name, str):
            check_name(name)
        self._up()
        data = chunks if isinstance(chunks, bytes) else b"".join([chunk async for chunk in chunks])
        final = check_name(name if isinstance(name, str) else name())
        self._up()
        if final in self._blobs:
            return False
        self._blobs[final] = (data, datetime.now(UTC))
        return True

    async def read(self, name: str, start: int = 0) -> AsyncIterator[bytes]:
        """Iterate over a blob's bytes from an offset."""
        if start < 0:
            msg = "an offset is not negative"
            raise ValueError(msg)
        data = self._data(name)
        for at in range(start, len(data), _BLOCK):
            yield data[at : at + _BLOCK]

    async def stat(self, name: str) -> BlobInfo | None:
        """Size and time of a blob, or None."""
        self._up()
        found = self._blobs.get(check_name(name))
        return None if found is None else BlobInfo(name, len(found[0]), found[1])

    async def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """Every blob whose name begins with the prefix."""
        self._up()
        check_prefix(prefix)
        for name, (data, modified) in list(self._blobs.items()):
            if name.startswith(prefix):
                yield BlobInfo(name, len(data), modified)

    async def remove(self, prefix: str) -> int:
        """Remove every blob whose name begins with the prefix, which is not empty."""
        self._up()
        if not check_prefix(prefix):
            msg = "removing needs a prefix"
            raise ValueError(msg)
        for name in [name for name in self._gathered if name.startswith(prefix)]:
            del self._gathered[name]
        names = [name for name in self._blobs if name.startswith(prefix)]
        for name in names:
            del self._blobs[name]
        return len(names)

    @asynccontextmanager
    async def local(self, name: str) -> AsyncIterator[Path]:
        """A temporary file with the blob's bytes."""
        with tempfile.NamedTemporaryFile(prefix="blob-") as file:
            file.write(self._data(name))
            file.flush()
            yield Path(file.name)

    async def gather(self, name: str, start: int, chunks: Chunks) -> int:
        """Add bytes to what is gathered for a name."""
        found = await self.gathered(name)
        size = found.size if found is not None else 0
        if size != start or name in self._blobs:
            raise OtherSize(size)
        if name in self._gathering:
            raise BlobBusy
        self._gathering.add(name)
        held = self._gathered.setdefault(name, bytearray())
        try:
            async for chunk in chunks:
                self._up()
                held += chunk
        finally:
            self._gathering.discard(name)
        if self._gathered.get(name) is not held:
            raise BlobBusy
        return len(held)

    async def gathered(self, name: str) -> BlobInfo | None:
        """How many bytes there are of a blob that is being gathered, or is whole."""
        whole = await self.stat(name)
        if whole is not None or name not in self._gathered:
            return whole
        return BlobInfo(name, len(self._gathered[name]), datetime.now(UTC))

    async def seal(self, name: str, size: int) -> None:
        """Make what was gathered the blob."""
        found = await self.gathered(name)
        if found is None:
            raise BlobNotFound(name)
        if found.size != size:
            raise OtherSize(found.size)
        if name in self._gathering:
            raise BlobBusy
        if name in self._gathered:
            self._blobs[name] = (bytes(self._gathered.pop(name)), datetime.now(UTC))

    def _data(self, name: str) -> bytes:
        self._up()
        try:
            return self._blobs[check_name(name)][0]
        except KeyError:
            raise BlobNotFound(name) from None

    def _up(self) -> None:
        if self.down:
            msg = "the memory store was told to be down"
            raise BlobsUnavailable(msg)
