"""Uploads of an owner that are no job yet, for an export."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from common.blobs import Blobs
from gateway.uploads.models import Upload
from gateway.uploads.store import UploadStore


@dataclass(frozen=True)
class Unfinished:
    """One upload: how many of its bytes are there, and the blob they are when all of them are."""

    upload: Upload
    received: int
    blob: str | None

    def shown(self) -> dict[str, Any]:
        """What there is to say of it; sizes in bytes."""
        said = self.upload.model_dump(exclude={"owner", "plan"}, mode="json")
        return {**said, "received": self.received}


async def unfinished(blobs: Blobs, owner: str) -> AsyncIterator[Unfinished]:
    """Every upload of which no job was made, oldest first; may raise `common.blobs.BlobsUnavailable`."""
    store = UploadStore(blobs)
    for upload in await store.of(owner):
        finished = await store.finished(upload)
        if (finished is not None and finished.event is not None) or await store.taken(upload) is not None:
            continue  # a job, whose recording comes with it
        gathered = await blobs.gathered(upload.bytes_name)
        whole = await blobs.stat(upload.bytes_name) is not None
        yield Unfinished(upload, gathered.size if gathered is not None else 0, upload.bytes_name if whole else None)
