"""Uploads in several requests, apart from HTTP: how they are, how they end, who takes them, what is removed."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from common.blobs import Blobs
from common.events import BlobRef, now
from common.options import JobOptions
from gateway.problems import INVALID, NOT_FOUND, Problem
from gateway.uploads.finish import Finish
from gateway.uploads.models import Finished, Taken, Upload
from gateway.uploads.problems import UPLOAD_EXPIRED, UPLOAD_TAKEN, UPLOAD_UNFINISHED
from gateway.uploads.store import UploadStore

Wanted = Callable[[str, UUID], Awaitable[Collection[UUID]]]


@dataclass(frozen=True)
class State:
    """How an upload is right now; sizes in bytes."""

    upload: Upload
    offset: int
    length: int | None
    expires: datetime
    finished: Finished | None

    @property
    def complete(self) -> bool:
        """Whether all bytes are there."""
        return self.offset == self.length


class Uploads:
    """The uploads of all owners.

    Parameters
    ----------
    blobs
        Where the bytes are.
    store
        What is known of uploads.
    finish
        What ends them.
    lifetime
        How long after its last byte one is kept.
    """

    def __init__(self, blobs: Blobs, store: UploadStore, finish: Finish, *, lifetime: timedelta) -> None:
        self._blobs = blobs
        self._store = store
        self._finish = finish
        self._lifetime = lifetime

    async def state(self, owner: str, upload_id: UUID) -> State:
        """How an owner's upload is; a 404 problem when there is none, 410 when it has expired."""
        return await self._state(await self._find(owner, upload_id))

    async def finish(self, state: State) -> Finished | None:
        """End an upload if all its bytes are there; None when they are not."""
        if not state.complete:
            return None
        return await self._finish(state.upload, state.offset)

    async def take(self, owner: str, upload_id: UUID, *, by: str, options: Mapping[str, Any] | None = None) -> Taken:
        """Take a complete upload, for a job that somebody else makes of it, or for the job that it is already.

        Parameters
        ----------
        by
            Who takes it, such as a batch and a line; the same may take it again, at any time, and gets the same.
        options
            What is asked for beside the upload's own options.

        Raises
        ------
        Problem
            404 when there is none, 409 when it is not complete, is a part, or is another's; 422 when it is a job that
            does something else than is asked for.
        """
        upload = await self._find(owner, upload_id)
        before = await self._store.taken(upload)
        # Neither what a batch waits to take expires, nor what was taken: it stays for another try, and is erased with
        # its job.
        finished = await self.finish(await self._look(upload))
        if finished is None:
            raise Problem(UPLOAD_UNFINISHED, "The upload is not complete.")
        if upload.kind == "partial":
            raise Problem(UPLOAD_TAKEN, "A partial upload is used by the upload that is made of it, and by no other.")
        if finished.event is not None:
            _check_same(finished.event.options, upload.options, options or {})
        if (before or await self._store.take(upload, by)) != by:
            raise Problem(UPLOAD_TAKEN, "The upload is used by another batch, or another line of this one.")
        return Taken(
            job_id=upload.job_id,
            source=BlobRef(name=upload.bytes_name, size=finished.size),
            sha256=finished.sha256,
            filename=upload.filename,
            content_type=upload.content_type,
            options=upload.options,
            event=finished.event,
        )

    async def taken_by(self, owner: str, upload_id: UUID) -> str | None:
        """Who took an upload; None when nobody did, or there is none."""
        upload = await self._store.find(owner, upload_id)
        return None if upload is None else await self._store.taken(upload)

    async def remove(self, upload: Upload) -> None:
        """Forget an upload; its bytes go as well, unless they are a job's, or will be."""
        finished = await self._store.finished(upload)
        if (finished is None or finished.event is None) and await self._store.taken(upload) is None:
            await self._blobs.remove(upload.bytes_name)
        await self._store.forget(upload)

    async def sweep(self, wanted: Wanted | None = None) -> int:
        """Remove uploads that have expired for a while; return how many.

        Parameters
        ----------
        wanted
            Which of an owner's uploads, of all or of one, are still to be taken: these stay, however old.
        """
        removed = 0
        async for prefix, upload in self._store.older(now() - self._lifetime):
            if upload is None:
                await self._blobs.remove(prefix)
            elif await self._gone(upload) and not (wanted and await wanted(upload.owner, upload.id)):
                await self.remove(upload)
                removed += 1
        return removed

    def expires(self, last: datetime) -> datetime:
        """When an upload ends whose last byte came then."""
        return last + self._lifetime

    async def _find(self, owner: str, upload_id: UUID) -> Upload:
        upload = await self._store.find(owner, upload_id)
        if upload is None:
            raise Problem(NOT_FOUND, "There is no such upload.")
        return upload

    async def _state(self, upload: Upload) -> State:
        state = await self._look(upload)
        if state.expires < now():
            raise Problem(UPLOAD_EXPIRED, "No byte came for too long; begin anew.")
        return state

    async def _gone(self, upload: Upload) -> bool:
        # A while longer than it can be used, for somebody may just be using it.
        return (await self._look(upload)).expires + self._lifetime / 20 < now()

    async def _look(self, upload: Upload) -> State:
        finished = await self._store.finished(upload)
        if finished is not None:
            return State(upload, finished.size, finished.size, self.expires(finished.finished_at), finished)
        length = await self._store.length(upload)
        if upload.kind == "final":  # all of it is there from the first, in its parts
            return State(upload, length or 0, length, self.expires(upload.created_at), None)
        gathered = await self._blobs.gathered(upload.bytes_name)
        size, last = (gathered.size, gathered.modified) if gathered is not None else (0, upload.created_at)
        return State(upload, size, length, self.expires(max(last, upload.created_at)), None)


def _check_same(does: JobOptions, sent: JobOptions, asked: Mapping[str, Any]) -> None:
    """Refuse other options for a job that is there; when it was to be worked for is past, and no matter."""
    both = JobOptions.model_validate({**sent.model_dump(mode="json", exclude_unset=True), **asked})
    if both.model_copy(update={"priority": does.priority, "deadline": does.deadline}) != does:
        message = "is a job already, with other options; send it with 'hold', or ask for no others"
        raise Problem(INVALID, f"The upload {message}.", errors=[("upload", message)])
