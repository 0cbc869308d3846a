"""Removing bytes that never became a job: their client got an error and did not come back."""

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from common import layout
from common.blobs import Blobs, BlobsUnavailable
from common.events import now
from gateway.auth import OPERATOR
from gateway.store import Store, StoreUnavailable

log = structlog.get_logger(__name__)

_LOOKED_UP_AT_ONCE = 1000


async def sweep(blobs: Blobs, store: Store, *, older_than: timedelta) -> int:
    """Remove originals whose job has no row and of which everything is old; return how many jobs' bytes went.

    Young ones stay, for an event that was refused may still be published, and its row may be late.
    """
    newest: dict[UUID, datetime] = defaultdict(lambda: datetime.min.replace(tzinfo=now().tzinfo))
    async for blob in blobs.list(f"users/{OPERATOR}/originals/"):
        job = UUID(blob.name.split("/")[3])
        newest[job] = max(newest[job], blob.modified)
    limit = now() - older_than
    old = [job for job, modified in newest.items() if modified < limit]
    removed = 0
    for start in range(0, len(old), _LOOKED_UP_AT_ONCE):
        batch = old[start : start + _LOOKED_UP_AT_ONCE]
        for job in set(batch) - await store.known(batch):
            await blobs.remove(layout.originals(OPERATOR, job))
            removed += 1
    return removed


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
