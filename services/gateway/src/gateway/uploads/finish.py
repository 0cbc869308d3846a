"""The end of an upload: the bytes become a blob, and the blob a job, once, whoever asks and however often."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from uuid import UUID
from weakref import WeakValueDictionary

import structlog

from common.blobs import BlobBusy, BlobNotFound, Blobs, OtherSize
from common.bus.producer import BusUnavailable
from common.events import BlobRef, UploadReceived, now
from gateway.acceptance import Acceptance
from gateway.problems import INVALID, NOT_FOUND, Problem, unavailable
from gateway.uploads.hashing import Hashes, RunningHash, hash_of
from gateway.uploads.models import Finished, Upload
from gateway.uploads.problems import UPLOAD_BUSY, UPLOAD_UNFINISHED
from gateway.uploads.store import UploadStore

log = structlog.get_logger(__name__)


Made = Callable[[Upload], None]


def _untold(_upload: Upload) -> None:
    pass


_PATIENCE = 5.0
_PAUSE = 0.1


class Finish:
    """Finishes uploads. A step that failed is done again by the next request that finds all bytes there.

    Parameters
    ----------
    blobs
        Where the bytes are.
    store
        What is known of uploads.
    hashes
        Hashes made while the bytes came.
    acceptance
        What makes a job of them.
    """

    def __init__(self, blobs: Blobs, store: UploadStore, hashes: Hashes, acceptance: Acceptance) -> None:
        self._blobs = blobs
        self._store = store
        self._hashes = hashes
        self._acceptance = acceptance
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, upload: Upload, size: int, *, made: Made = _untold) -> Finished:
        """Finish an upload of which all ``size`` bytes are there.

        Parameters
        ----------
        made
            Told when this, of all that ended the upload, made the job.

        Raises
        ------
        Problem
            503 when the log is away: the bytes stay, and asking again is enough. 423 while another gateway is at it.
        """
        lock = self._locks.setdefault(upload.job_id, asyncio.Lock())
        async with lock:
            finished = await self._store.finished(upload) or await self._close(upload, size)
            if finished.event is not None and not await self._store.accepted(upload):
                try:
                    await self._acceptance.accept(finished.event)
                except BusUnavailable:
                    log.warning("kafka_unavailable", job_id=str(upload.job_id))
                    raise unavailable(
                        "All bytes are here, the log is away: ask again with HEAD, or with an empty PATCH at the end."
                    ) from None
                if await self._store.accept(upload):
                    made(upload)
            return finished

    async def _close(self, upload: Upload, size: int) -> Finished:
        try:
            try:
                sha256 = await self._blob(upload, size)
            except (BlobNotFound, OtherSize, Problem):
                # Another gateway may have ended it meanwhile, and removed what it was made of.
                if (finished := await self._store.finished(upload)) is not None:
                    return finished
                found = await self._blobs.stat(upload.bytes_name)
                if found is None or found.size != size:
                    raise
                sha256 = await hash_of(self._blobs.read(upload.bytes_name))
        except BlobBusy:
            raise Problem(UPLOAD_BUSY, "Another request is just ending this upload; try again in a moment.") from None
        except (BlobNotFound, OtherSize):
            raise Problem(NOT_FOUND, "The bytes of this upload are not there any more.") from None
        event = None if upload.kind == "partial" or upload.hold else await self._event(upload, size, sha256)
        return await self._store.finish(upload, Finished(size=size, sha256=sha256, finished_at=now(), event=event))

    async def _blob(self, upload: Upload, size: int) -> str:
        """Make a blob of what came; return its hash."""
        if upload.kind == "final":
            return await self._join(upload)
        if size == 0 and await self._blobs.gathered(upload.bytes_name) is None:
            await self._blobs.gather(upload.bytes_name, 0, _nothing())
        await self._seal(upload, size)
        running = self._hashes.at(upload.job_id, size)
        return running.hexdigest() if running else await hash_of(self._blobs.read(upload.bytes_name))

    async def _seal(self, upload: Upload, size: int) -> None:
        for _ in range(int(_PATIENCE / _PAUSE)):
            try:
                return await self._blobs.seal(upload.bytes_name, size)
            except BlobBusy:  # the request that brought the last bytes is just leaving
                await asyncio.sleep(_PAUSE)
        return await self._blobs.seal(upload.bytes_name, size)

    async def _event(self, upload: Upload, size: int, sha256: str) -> UploadReceived:
        plan = upload.plan or self._acceptance.plan(upload.options)
        return UploadReceived(
            job_id=upload.job_id,
            owner=upload.owner,
            lane=upload.options.lane,
            source=BlobRef(name=upload.bytes_name, size=size),
            filename=upload.filename,
            content_type=upload.content_type,
            sha256=sha256,
            options=upload.options,
            plan=plan,
            idempotent=True,
            same_as=await self._acceptance.same(upload.owner, sha256, upload.options, plan),
        )

    async def _join(self, upload: Upload) -> str:
        """Make one blob of the parts', and its hash: bytes of committed blobs can only be copied."""
        if await self._blobs.stat(upload.bytes_name) is None:
            running = RunningHash()
            async with aclosing(running.over(self._bytes_of_parts(upload))) as hashed:
                if await self._blobs.write(upload.bytes_name, hashed):
                    return running.hexdigest()
        # Another gateway was first, and may have removed the parts by now.
        return await hash_of(self._blobs.read(upload.bytes_name))

    async def _bytes_of_parts(self, upload: Upload) -> AsyncIterator[bytes]:
        for part in await self.parts(upload.owner, upload.parts):
            async for chunk in self._blobs.read(part.bytes_name):
                yield chunk

    async def parts(self, owner: str, ids: tuple[UUID, ...]) -> list[Upload]:
        """The parts that a final upload names; a problem says which of them cannot be one."""
        found = []
        for part in ids:
            upload = await self._store.find(owner, part)
            if upload is None or upload.kind != "partial":
                message = f"{part} is no partial upload"
                raise Problem(INVALID, f"Upload-Concat: {message}.", errors=[("Upload-Concat", message)])
            if await self._store.finished(upload) is None:
                raise Problem(UPLOAD_UNFINISHED, f"The partial upload {part} is not complete.", upload=str(part))
            found.append(upload)
        return found


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield
