"""Removing uploads that nobody goes on with."""

import asyncio
from datetime import timedelta

import structlog

from common.blobs import BlobsUnavailable
from gateway.database import StoreUnavailable
from gateway.uploads.uploads import Uploads, Wanted

log = structlog.get_logger(__name__)


async def keep_sweeping(uploads: Uploads, wanted: Wanted, *, every: timedelta) -> None:
    """Sweep again and again until cancelled; a store that is away is left for the next time."""
    while True:
        try:
            if removed := await uploads.sweep(wanted):
                log.info("uploads_expired", uploads=removed)
        except (BlobsUnavailable, StoreUnavailable):
            log.warning("sweep_put_off")
        except Exception:
            log.exception("sweep_failed")
        await asyncio.sleep(every.total_seconds())
