"""What is known of uploads, in the store of blobs: documents that are written once, so no two gateways disagree."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel

from common import ids, layout
from common.blobs import BlobNotFound, Blobs, read_all
from gateway.uploads.models import Finished, Length, TakenBy, Upload

Document = TypeVar("Document", bound=BaseModel)

_UPLOAD, _LENGTH, _FINISHED, _ACCEPTED, _TAKEN = (
    "upload.json",
    "length.json",
    "finished.json",
    "accepted.json",
    "taken.json",
)


class UploadStore:
    """Documents of uploads; every method may raise `common.blobs.BlobsUnavailable`.

    Parameters
    ----------
    blobs
        Where the bytes are as well.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def create(self, upload: Upload) -> Upload:
        """Keep a new upload; the one that is there when its id is taken."""
        return await self._first(upload, _UPLOAD, upload)

    async def find(self, owner: str, upload: UUID) -> Upload | None:
        """An owner's upload."""
        prefix = layout.upload(owner, ids.upload_job(owner, upload))
        return await self._read(f"{prefix}{_UPLOAD}", Upload)

    async def length(self, upload: Upload) -> int | None:
        """How long it will be, if that was said by now."""
        if upload.length is not None:
            return upload.length
        said = await self._read(_name(upload, _LENGTH), Length)
        return None if said is None else said.length

    async def say_length(self, upload: Upload, length: int) -> int:
        """Keep how long it will be; return what was said first."""
        return (await self._first(upload, _LENGTH, Length(length=length))).length

    async def finished(self, upload: Upload) -> Finished | None:
        """How it ended, if all its bytes are there and looked at."""
        return await self._read(_name(upload, _FINISHED), Finished)

    async def finish(self, upload: Upload, finished: Finished) -> Finished:
        """Keep how it ended; return what was kept first."""
        return await self._first(upload, _FINISHED, finished)

    async def accepted(self, upload: Upload) -> bool:
        """Whether it is a job for certain."""
        return await self._blobs.stat(_name(upload, _ACCEPTED)) is not None

    async def accept(self, upload: Upload) -> bool:
        """Keep that it is a job; whether nobody had kept it before."""
        return await self._blobs.write(_name(upload, _ACCEPTED), b"{}")

    async def take(self, upload: Upload, by: str) -> str:
        """Keep who takes it; return who was first."""
        return (await self._first(upload, _TAKEN, TakenBy(by=by))).by

    async def taken(self, upload: Upload) -> str | None:
        """Who took it; None when nobody did."""
        found = await self._read(_name(upload, _TAKEN), TakenBy)
        return None if found is None else found.by

    async def forget(self, upload: Upload) -> None:
        """Remove everything that is known of it, and a part's bytes."""
        await self._blobs.remove(layout.upload(upload.owner, upload.job_id))

    async def of(self, owner: str) -> list[Upload]:
        """Every upload of an owner of which something is still known, oldest first."""
        prefix = layout.uploads_of(owner)
        names = [blob.name async for blob in self._blobs.list(prefix) if blob.name.endswith(f"/{_UPLOAD}")]
        found = [upload for name in names if (upload := await self._read(name, Upload)) is not None]
        return sorted(found, key=lambda upload: upload.created_at)

    async def older(self, limit: datetime) -> AsyncIterator[tuple[str, Upload | None]]:
        """Every upload, of everybody, of which all that is known came before a time, and that nobody took.

        Its prefix comes with it, for what it was may be known no more.
        """
        newest: dict[str, datetime] = {}
        taken: set[str] = set()
        async for blob in self._blobs.list(layout.UPLOADS):
            folder, _, part = blob.name.rpartition("/")
            newest[folder] = max(blob.modified, newest.get(folder, blob.modified))
            if part == _TAKEN:
                taken.add(folder)
        for folder, modified in newest.items():
            if modified < limit and folder not in taken:
                yield f"{folder}/", await self._read(f"{folder}/{_UPLOAD}", Upload)

    async def _first(self, upload: Upload, part: str, document: Document) -> Document:
        name = _name(upload, part)
        if await self._blobs.write(name, document.model_dump_json().encode()):
            return document
        return await self._read(name, type(document)) or document

    async def _read(self, name: str, model: type[Document]) -> Document | None:
        try:
            return model.model_validate_json(await read_all(self._blobs, name))
        except BlobNotFound:
            return None


def _name(upload: Upload, part: str) -> str:
    return f"{layout.upload(upload.owner, upload.job_id)}{part}"
