"""The hash of an upload's bytes, made while they come: what one process saw whole is not read again."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from hashlib import sha256
from uuid import UUID

from common.blobs import Chunks
from gateway.intake import HASHED_AT_ONCE, MOST_HELD

_MOST = 10_000


class RunningHash:
    """SHA-256 of bytes from the first on."""

    def __init__(self) -> None:
        self._hash = sha256()
        self.size = 0

    async def over(self, chunks: Chunks) -> AsyncGenerator[bytes, None]:
        """The same chunks, hashed in a thread while the next ones come."""
        hashing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        hashing.set_result(None)
        held: list[bytes] = []
        waiting = 0
        try:
            async for chunk in chunks:
                held.append(chunk)
                waiting += len(chunk)
                if waiting >= HASHED_AT_ONCE or len(held) >= MOST_HELD:
                    await hashing
                    # hashlib releases the GIL, so the hash runs on another core while these bytes are written.
                    hashing = asyncio.get_running_loop().run_in_executor(None, self._update, held)
                    held, waiting = [], 0
                yield chunk
        finally:
            await hashing
            self._update(held)

    def hexdigest(self) -> str:
        """The hash of the `size` bytes there were."""
        return self._hash.hexdigest()

    def _update(self, held: list[bytes]) -> None:
        for chunk in held:
            self._hash.update(chunk)
            self.size += len(chunk)


class Hashes:
    """Hashes of uploads under way in this process; the ones that were idle longest are forgotten first."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[UUID, RunningHash] = OrderedDict()

    def at(self, upload: UUID, offset: int) -> RunningHash | None:
        """The hash of exactly the first ``offset`` bytes, which the caller goes on with; None when it is not known."""
        found = self._hashes.pop(upload, None) or RunningHash()
        return found if found.size == offset else None

    def keep(self, upload: UUID, running: RunningHash) -> None:
        """Keep a hash for the next bytes."""
        self._hashes[upload] = running
        if len(self._hashes) > _MOST:
            self._hashes.popitem(last=False)


async def hash_of(chunks: Chunks) -> str:
    """SHA-256 of stored bytes, in hexadecimal."""
    running = RunningHash()
    async for _ in running.over(chunks):
        pass
    return running.hexdigest()
