"""Jobs with an address, as the gateway stores them and the transcoder fetches them."""

import hashlib
from uuid import uuid4

from common import layout
from common.address import Address
from common.blobs import Blobs
from common.events import BlobRef, UploadReceived
from common.options import SegmentPlan


async def remote_job(
    blobs: Blobs, url: str, *, owner: str = "tester", max_seconds: float | None = 30.0
) -> UploadReceived:
    """Store an address; return the event that tells of it."""
    job, address = uuid4(), Address(url=url)
    content = address.model_dump_json().encode()
    digest = hashlib.sha256(content).hexdigest()
    name = layout.address(owner, job, digest)
    await blobs.write(name, content)
    return UploadReceived(
        job_id=job,
        owner=owner,
        source=BlobRef(name=name),
        sha256=digest,
        plan=SegmentPlan(provider="tested", max_seconds=max_seconds),
        remote=True,
        address=address.shown,
    )
