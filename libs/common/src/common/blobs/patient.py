"""Storing what was paid for: a store that is away for a moment must not cost the work."""

import asyncio
from collections.abc import Sequence

from common.blobs import Blobs, BlobsUnavailable

PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds between attempts, 24 in all: less than a lease's life, so nobody else begins the work meanwhile."""


async def write_patiently(blobs: Blobs, name: str, data: bytes, *, pauses: Sequence[float] = PAUSES) -> bool:
    """Do as `Blobs.write`, again and again while the store is away; `BlobsUnavailable` when it stays away."""
    for pause in pauses:
        try:
            return await blobs.write(name, data)
        except BlobsUnavailable:
            await asyncio.sleep(pause)
    return await blobs.write(name, data)
