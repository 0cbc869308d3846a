"""The bytes of one request on their way into the store: bounded, hashed, and with a checksum only if they are right."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from uuid import UUID

from aiohttp import web

from common.blobs import BlobBusy, Blobs, BlobsUnavailable, Chunks, OtherSize
from common.blobs.threads import in_thread
from gateway.form import pieces
from gateway.problems import TOO_LARGE, Problem
from gateway.uploads.hashing import Hashes, RunningHash
from gateway.uploads.headers import Checksum
from gateway.uploads.models import Upload
from gateway.uploads.problems import CHECKSUM_MISMATCH, OFFSET_MISMATCH, UPLOAD_BUSY
from gateway.uploads.spool import Spool, spool

_PATIENCE = 5.0
"""Seconds that a request waits for one before it, whose connection was cut, to be done with what had come."""


class Receiving:
    """Takes the bytes of requests.

    Parameters
    ----------
    blobs
        Where they go.
    hashes
        Where hashes wait for the next request.
    stall
        Seconds of silence after which a request is given up.
    """

    def __init__(self, blobs: Blobs, hashes: Hashes, *, stall: float) -> None:
        self._blobs = blobs
        self._hashes = hashes
        self._stall = stall
        self._busy: dict[UUID, tuple[web.Request, asyncio.Event]] = {}

    async def receive(
        self, request: web.Request, upload: Upload, offset: int, *, room: int, checksum: Checksum | None = None
    ) -> int:
        """Add a request's body to an upload; return how many bytes there are now.

        What came before the client was gone is kept, except under a checksum, which then proves nothing.

        Parameters
        ----------
        room
            How many bytes may come.

        Raises
        ------
        Problem
            409 when the offset is another, 413 when more comes than may, 423 when another request is at it, 460 when
            the checksum is of other bytes, 503 when there is no room to hold them until it is known; 400 or 408 when
            the body ends early or falls silent.
        """
        if (request.content_length or 0) > room:
            raise _too_much(room)
        async with self._alone(upload.job_id, request):
            try:
                if checksum is None:
                    return await self._gather(upload, offset, self._body(request, room))
                # Beside the store, so that bytes nobody has looked at are never part of the upload, whenever we die.
                with spool(request.content_length) as held:
                    await _verify(self._body(request, room), checksum, held)
                    return await self._gather(upload, offset, held.read())
            except OtherSize as other:
                detail = f"There are {other.size} bytes; go on from there."
                raise Problem(OFFSET_MISMATCH, detail, upload_offset=other.size) from None
            except BlobBusy:
                raise _busy() from None

    async def _gather(self, upload: Upload, offset: int, chunks: Chunks) -> int:
        running = RunningHash() if offset == 0 else self._hashes.at(upload.job_id, offset)
        if running is None:
            return await self._blobs.gather(upload.bytes_name, offset, chunks)
        async with aclosing(running.over(chunks)) as hashed:
            try:
                size = await self._blobs.gather(upload.bytes_name, offset, hashed)
            except (BlobBusy, OtherSize, BlobsUnavailable):
                raise
            except Exception:  # the chunks' own, and all that came is kept
                self._hashes.keep(upload.job_id, running)
                raise
        self._hashes.keep(upload.job_id, running)
        return size

    async def _body(self, request: web.Request, room: int) -> AsyncIterator[bytes]:
        came = 0
        async for piece in pieces(request, stall=self._stall, limit=room):
            if isinstance(piece, bytes):
                came += len(piece)
                if came > room:
                    raise _too_much(room)
                yield piece

    @asynccontextmanager
    async def _alone(self, key: UUID, request: web.Request) -> AsyncIterator[None]:
        """Be the only one in this process; who was before us has lost its client, for the client came again."""
        if key in self._busy:
            before, left = self._busy[key]
            if before.transport is not None:
                before.transport.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await left.wait()
        if key in self._busy:
            raise _busy()
        self._busy[key] = request, asyncio.Event()
        try:
            yield
        finally:
            _, left = self._busy.pop(key)
            left.set()


async def _verify(body: AsyncIterator[bytes], checksum: Checksum, held: Spool) -> None:
    expected = checksum.begin()

    def keep(piece: bytes) -> None:
        expected.update(piece)
        held.write(piece)

    async for piece in body:
        await in_thread(keep, piece)
    if expected.digest() != checksum.digest:
        raise Problem(CHECKSUM_MISMATCH, f"Its {checksum.algorithm} is another; the chunk was dropped, send it again.")


def _too_much(room: int) -> Problem:
    return Problem(TOO_LARGE, f"At most {room} bytes may follow.", limit_bytes=room)


def _busy() -> Problem:
    detail = "Another request is sending to this upload; ask with HEAD how far it is, and try again in a moment."
    return Problem(UPLOAD_BUSY, detail, headers={"Retry-After": "1"})
