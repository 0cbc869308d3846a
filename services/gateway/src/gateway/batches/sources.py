"""Where an item's bytes are, stored where the bytes of an upload would be; the transcoder fetches or copies them."""

from hashlib import sha256
from uuid import UUID

from common import layout
from common.blobs import Blobs
from common.drop import Drop
from common.events import BlobRef, UploadReceived
from common.options import JobOptions
from gateway.acceptance import Acceptance
from gateway.filenames import sanitise
from gateway.remote import Remote


class Sources:
    """`gateway.batches.ports.Addresses` over the gateway's way to take addresses."""

    def __init__(self, *, remote: Remote, blobs: Blobs, acceptance: Acceptance) -> None:
        self._remote = remote
        self._blobs = blobs
        self._acceptance = acceptance

    async def receive(
        self, owner: str, job: UUID, url: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        """Store the address; return the event."""
        return await self._remote.receive(owner, job, url, options, idempotent=idempotent)

    async def receive_blob(
        self, owner: str, job: UUID, name: str, options: JobOptions, *, idempotent: bool
    ) -> UploadReceived:
        """Store the name of a blob to be copied; return the event."""
        plan = self._acceptance.plan(options)
        drop = Drop(blob=name)
        content = drop.model_dump_json().encode()
        digest = sha256(content).hexdigest()
        source = layout.dropped(owner, job, digest)
        await self._blobs.write(source, content)
        return UploadReceived(
            job_id=job,
            owner=owner,
            lane=options.lane,
            source=BlobRef(name=source),
            filename=sanitise(drop.filename),
            sha256=digest,
            options=options,
            plan=plan,
            idempotent=idempotent,
            remote=True,
        )
