"""Removing bytes that never became a job: their client got an error and did not come back."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from common import ids, layout
from common.blobs import BlobInfo, Blobs, BlobsUnavailable
from common.events import now
from gateway.database import StoreUnavailable
from gateway.store import Store

log = structlog.get_logger(__name__)

_LOOKED_UP_AT_ONCE = 1000


async def sweep(blobs: Blobs, store: Store, *, older_than: timedelta) -> int:
    """Remove originals whose job has no row and of which everything is old; return how many jobs' bytes went.

    Young ones stay, for an event that was refused may still be published, and its row may be late. So do those from
    before the oldest row: a database that was lost knows nothing of them until it is rebuilt from the log.
    """
    limit = now() - older_than
    removed = 0
    for owner in await store.owners():
        since = await store.oldest(owner) or limit
        found = await _without_a_row(blobs, store, owner)
        orphans = [job for job, modified in found.items() if since <= modified < limit]
        # What is to be released has no job yet, but an upload's bytes lie in the folder of the one it will be.
        wanted = {ids.upload_job(owner, upload) for upload in await store.uploads_wanted(owner)} if orphans else set()
        for job in orphans:
            # Asked again, for the listing may have taken long, and the row may have come since.
            if job not in wanted and not await store.known({job}):
                await blobs.remove(layout.originals(owner, job))
                removed += 1
    return removed


async def _without_a_row(blobs: Blobs, store: Store, owner: str) -> dict[UUID, datetime]:
    """Jobs of which there are only bytes, and when the youngest of these came; a few, however many jobs there are."""
    newest: dict[UUID, datetime] = {}
    async for listed in _batches(blobs.list(layout.originals_of(owner))):
        known = await store.known({job for job, _ in listed})
        for job, modified in listed:
            if job not in known:
                newest[job] = max(modified, newest.get(job, modified))
    return newest


async def _batches(found: AsyncIterator[BlobInfo]) -> AsyncIterator[list[tuple[UUID, datetime]]]:
    batch: list[tuple[UUID, datetime]] = []
    async for blob in found:
        batch.append((UUID(blob.name.split("/")[3]), blob.modified))
        if len(batch) == _LOOKED_UP_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


async def keep_sweeping(blobs: Blobs, store: Store, *, older_than: timedelta, every: timedelta) -> None:
    """Sweep again and again until cancelled; a store that is away is left for the next time."""
    while True:
        try:
            if removed := await sweep(blobs, store, older_than=older_than):
                log.info("orphans_removed", jobs=removed)
        except (BlobsUnavailable, StoreUnavailable):
            log.warning("sweep_put_off")
        except Exception:
            log.exception("sweep_failed")
        await asyncio.sleep(every.total_seconds())
